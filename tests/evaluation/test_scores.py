import json
import math
import shutil

import museval
import numpy as np
import pytest

from unmix.evaluation import scores
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.table import METRICS

RATE = 8000


def draw(seconds=3.0, names=("vocals", "drums"), seed=0):
    generator = np.random.default_rng(seed)
    references = {name: generator.standard_normal((2, int(seconds * RATE))).astype(np.float32) for name in names}
    estimates = {name: stem + 0.3 * generator.standard_normal(stem.shape) for name, stem in references.items()}
    return references, estimates


def test_store_is_museval_s_own():
    references, estimates = draw()
    references["drums"][:, :RATE] = 0  # one window that does not count
    store = json.loads(scores.score_track("a song", references, estimates, sample_rate=RATE))
    axes = [np.stack([stems[name].T for name in references]) for stems in (references, estimates)]
    sdr, isr, sir, sar = museval.evaluate(*axes, win=RATE, hop=RATE)
    for i, target in enumerate(store["targets"]):
        assert target["name"] == list(references)[i]
        for metric, values in (("SDR", sdr), ("ISR", isr), ("SIR", sir), ("SAR", sar)):
            ours = [window["metrics"][metric] for window in target["frames"]]
            assert np.allclose(ours, values[i], atol=1e-5, equal_nan=True)
    assert math.isnan(store["targets"][0]["frames"][0]["metrics"]["SDR"])


def test_medians_leave_out_windows_that_do_not_count():
    frames = [{"metrics": dict.fromkeys(METRICS, value)} for value in (1.0, math.nan, 3.0, 7.0)]
    silent = [{"metrics": dict.fromkeys(METRICS, math.nan)}]
    store = json.dumps({"targets": [{"name": "bass", "frames": frames}, {"name": "other", "frames": silent}]})
    bass, other = scores.medians("ours", "a song", store)
    assert bass.metrics["SDR"] == 3.0
    assert math.isnan(other.metrics["SDR"])


def test_summary_is_the_median_over_tracks():
    rows = [
        TrackScore("ours", track, "bass", dict.fromkeys(METRICS, value))
        for track, value in (("a", 1.0), ("b", 5.0), ("c", math.nan), ("d", 2.0))
    ]
    assert scores.summarize(rows)["ours"]["bass"]["SDR"] == 2.0


def test_csv_has_sisec_s_columns():
    row = TrackScore("ours", "A, B - C", "bass", {"SDR": 1.0, "SIR": 2.0, "ISR": 3.0, "SAR": math.nan})
    assert scores.to_csv([row]) == (
        'method,track,target,SDR,SIR,ISR,SAR\nours,"A, B - C",bass,1.00000,2.00000,3.00000,nan\n'
    )


def test_bad_input_is_refused(monkeypatch):
    references, estimates = draw()
    with pytest.raises(ValueError, match="a song: got references vocals, drums and estimates vocals; the same names"):
        scores.score_track("a song", references, {"vocals": estimates["vocals"]}, sample_rate=RATE)
    with pytest.raises(ValueError, match="two at least"):
        scores.score_track(
            "a song", {"vocals": references["vocals"]}, {"vocals": estimates["vocals"]}, sample_rate=RATE
        )
    short = {**estimates, "drums": estimates["drums"][:, 1:]}
    with pytest.raises(ValueError, match=r"drums has shape \(2, 24000\), its estimate \(2, 23999\)"):
        scores.score_track("a song", references, short, sample_rate=RATE)
    silent = {**estimates, "drums": estimates["drums"] * 0}
    with pytest.raises(ValueError, match="the estimate drums is silent throughout"):
        scores.score_track("a song", references, silent, sample_rate=RATE)
    with pytest.raises(ValueError, match="the reference drums is silent throughout"):
        scores.score_track("a song", {**references, "drums": silent["drums"]}, estimates, sample_rate=RATE)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="museval: needs ffmpeg and ffprobe"):
        scores.score_track("a song", references, estimates, sample_rate=RATE)
