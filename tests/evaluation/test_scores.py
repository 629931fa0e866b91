import json
import math
import shutil

import museval
import pytest
import torch

from unmix.evaluation import scores, track_scoring
from unmix.evaluation.engines import ENGINES, BssEval
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scores import TrackScore

RATE = 8000
NAMES = ("vocals", "drums")


def draw(seconds=3.0, seed=0):
    """References and estimates, (sources, channels, samples)."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(len(NAMES), 2, int(seconds * RATE), generator=generator)
    return references, references + 0.3 * torch.randn(references.shape, generator=generator)


def score(references, estimates, engine="torch", names=NAMES):
    true, estimated = (lambda start, stop, stems=stems: stems[..., start:stop] for stems in (references, estimates))
    (store,) = track_scoring.score_track(
        "a song", names, true, [estimated], references.shape[-1], sample_rate=RATE, chosen=[BssEval(engine)]
    )
    return store


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.5, 1.0, 3.0, 3.7])
def test_both_engines_write_the_same_json_as_museval(seconds):
    references, estimates = draw(seconds)
    references[1, :, :2000] = 0
    if seconds > 3:
        references[1, :, :RATE] = 0  # the first window is NaN
    axes = [stems.transpose(1, 2).numpy() for stems in (references, estimates)]
    sdr, isr, sir, sar = museval.evaluate(*axes, win=RATE, hop=RATE)
    track = museval.TrackStore(win=1.0, hop=1.0, track_name="a song")
    for i, name in enumerate(NAMES):
        track.add_target(name, {"SDR": sdr[i], "SIR": sir[i], "ISR": isr[i], "SAR": sar[i]})
    expected = json.loads(track.json)
    for engine in ENGINES:
        store = json.loads(score(references, estimates, engine))
        assert [target["name"] for target in store["targets"]] == list(NAMES)
        for ours, theirs in zip(store["targets"], expected["targets"], strict=True):
            assert json.dumps(ours["frames"]) == json.dumps(theirs["frames"])


def test_museval_reads_our_json_and_finds_the_same_medians(tmp_path):
    for track in ("one", "another"):
        path = tmp_path / "test" / f"{track}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(score(*draw(seed=len(track))))
    store = museval.EvalStore()
    store.add_eval_dir(tmp_path)
    theirs = store.agg_frames_tracks_scores()
    rows = [
        row for path in (tmp_path / "test").iterdir() for row in scores.of_track("ours", path.stem, path.read_text())
    ]
    for target, metrics in scores.summarize(rows)["ours"].items():
        for metric, value in metrics.items():
            assert theirs[target][metric] == pytest.approx(value, abs=1e-5)
    track = museval.TrackStore(track_name="one")
    track.scores = json.loads(path.read_text())
    track.validate()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", [0, 1])
def test_a_silent_stem_makes_every_window_nan_and_is_named_in_a_warning(engine, kind, caplog):
    stems = draw(2.0)
    stems[kind][1] = 0
    for window in json.loads(score(*stems, engine))["targets"][0]["frames"]:
        assert math.isnan(window["metrics"]["SDR"])
    name = ("reference", "estimate")[kind]
    assert f"a song has no score: the {name} drums silent throughout" in caplog.text


def test_a_silent_stem_in_every_window_is_warned_of(caplog):
    references, estimates = draw(2.0)
    references[0, :, :RATE] = 0
    estimates[1, :, RATE:] = 0
    score(references, estimates)
    assert "a song has no score: every window has a silent stem" in caplog.text


def test_infinite_ratios_are_written_as_nan():
    references, _ = draw()
    assert math.isnan(json.loads(score(references, references))["targets"][0]["frames"][0]["metrics"]["SDR"])


def test_medians_leave_out_windows_that_are_nan():
    frames = [{"metrics": dict.fromkeys(METRICS, value)} for value in (1.0, math.nan, 3.0, 7.0)]
    silent = [{"metrics": dict.fromkeys(METRICS, math.nan)}]
    store = json.dumps({"targets": [{"name": "bass", "frames": frames}, {"name": "other", "frames": silent}]})
    bass, other = scores.of_track("ours", "a song", store)
    assert bass.metrics["SDR"] == 3.0
    assert math.isnan(other.metrics["SDR"])


def test_summarize_takes_the_median_over_tracks_that_have_a_score():
    rows = [
        TrackScore("ours", track, "bass", dict.fromkeys(METRICS, value))
        for track, value in (("a", 1.0), ("b", 5.0), ("c", math.nan), ("d", 2.0))
    ]
    assert scores.summarize(rows)["ours"]["bass"]["SDR"] == 2.0


def test_csv_has_the_columns_of_sisec_2018():
    row = TrackScore("ours", "A, B - C", "bass", {"SDR": 1.0, "SIR": 2.0, "ISR": 3.0, "SAR": math.nan})
    heads, values = scores.to_csv([row]).splitlines()
    assert heads == "method,track,target,SDR,SIR,ISR,SAR,scenario,definitions"
    assert values.startswith('ours,"A, B - C",bass,1.00000,2.00000,3.00000,nan,bass,"SDR, SIR, ISR, SAR: BSS Eval v4')
    assert "median over windows of 1 s, then median over tracks" in values


def test_score_track_refuses_bad_input(monkeypatch):
    references, estimates = draw()
    with pytest.raises(ValueError, match="a song: got 1 stem; BSS Eval needs at least two"):
        score(references[:1], estimates[:1], names=["vocals"])
    with pytest.raises(ValueError, match="engine: got 'musevall', allowed torch, museval; did you mean 'museval'"):
        score(references, estimates, "musevall")
    with pytest.raises(ValueError, match="estimates: got NaN or infinite samples"):
        score(references, estimates * torch.nan)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="engine: museval needs ffmpeg and ffprobe"):
        score(references, estimates, "museval")
