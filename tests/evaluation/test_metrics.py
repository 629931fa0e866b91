"""The contract of metrics: what a result says of itself, and what is refused."""

import json
import math

import pytest
import torch

from unmix.evaluation import metrics, scores, track_scoring
from unmix.evaluation.energy_ratios import ChunkSdr, SiSdr, TrackSdr
from unmix.evaluation.engines import BssEval
from unmix.evaluation.metrics import BSS_EVAL, FORMER, USDR, Definition

RATE = 8000
NAMES = ("vocals", "drums")


class ErrorPower:
    """Mean squared error."""

    definitions = (Definition("error power", "mean squared error", unit="", better="low"),)

    def __call__(self, stems):
        (references, estimates), *_ = stems.blocks()
        return {"error power": (references - estimates).square().mean(dim=(1, 2))}


def draw(seconds=3.0, seed=0):
    """References and estimates, (sources, channels, samples)."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(len(NAMES), 2, int(seconds * RATE), generator=generator)
    return references, references + 0.3 * torch.randn(references.shape, generator=generator)


def score(references, estimates, *chosen, names=NAMES):
    true, estimated = (lambda start, stop, stems=stems: stems[..., start:stop] for stems in (references, estimates))
    (store,) = track_scoring.score_track(
        "a song", names, true, [estimated], references.shape[-1], sample_rate=RATE, chosen=chosen or None
    )
    return store


def test_the_default_is_bss_eval_and_the_sdr_of_whole_tracks():
    content = json.loads(score(*draw()))
    assert metrics.from_json(content["definitions"]) == list(FORMER)
    assert content["scenario"] == list(NAMES)
    assert set(content["targets"][0]["track"]) == {"uSDR"}
    assert set(content["targets"][0]["frames"][0]["metrics"]) == {"SDR", "SIR", "ISR", "SAR"}


def test_a_metric_is_a_class_with_definitions_and_a_call():
    before, store = score(*draw()), score(*draw(), BssEval(), ErrorPower())
    rows = scores.of_track("ours", "a song", store)
    assert rows[1].metrics["error power"] == pytest.approx(0.09, rel=0.05)
    overall = scores.summarize(rows, ErrorPower.definitions)
    assert overall["ours"]["drums"] == {"error power": rows[1].metrics["error power"]}
    assert scores.is_complete(store, [*BSS_EVAL, *ErrorPower.definitions])
    assert not scores.is_complete(before, ErrorPower.definitions), "tracks scored before are scored again"
    newer = Definition("error power", "mean squared error", unit="", better="low", version="2")
    assert not scores.is_complete(store, [newer]), "as are those scored by another version"


def test_files_of_earlier_versions_are_complete_if_they_have_the_sdr_of_whole_tracks():
    frames = [{"time": 0.0, "duration": 1.0, "metrics": dict.fromkeys(("SDR", "SIR", "SAR", "ISR"), 3.0)}]
    old = json.dumps({"targets": [{"name": "bass", "whole_track_sdr": 2.5, "frames": frames}]})
    older = json.dumps({"targets": [{"name": "bass", "frames": frames}]})
    (row,) = scores.of_track("ours", "a song", old)
    assert row.metrics == {"SDR": 3.0, "SIR": 3.0, "ISR": 3.0, "SAR": 3.0, "uSDR": 2.5}
    assert scores.is_complete(old, FORMER)
    assert not scores.is_complete(older, FORMER)
    assert scores.is_complete(older, BSS_EVAL)
    assert not scores.is_complete(old, ChunkSdr().definitions)


def test_windows_of_different_lengths_are_kept_apart():
    store = score(*draw(4.0), BssEval(), ChunkSdr(window_seconds=2))
    frames = json.loads(store)["targets"][0]["frames"]
    assert [(frame["time"], frame["duration"]) for frame in frames] == [
        *((float(start), 1.0) for start in range(4)),
        (0.0, 2.0),
        (2.0, 2.0),
    ]
    assert len(scores.windows(store, "vocals")) == 4, "those of the first metric"
    assert scores.num_windows(score(*draw(4.0), TrackSdr())) == (0, 0)


def test_a_metric_without_any_value_is_named_with_the_reason(caplog):
    references, estimates = draw()
    references[1] = 0
    values = scores.of_track("ours", "a song", score(references, estimates, ChunkSdr(), TrackSdr(), SiSdr()))
    assert "a song has no cSDR: the reference drums silent throughout" in caplog.text
    assert math.isnan(values[1].metrics["SI-SDR"])
    assert math.isfinite(values[0].metrics["SI-SDR"])
    assert values[1].metrics["uSDR"] < -90, "an estimate of a silent source has a score"


class Shapeless:
    definitions = (Definition("shapeless", "a number"),)

    def __call__(self, stems):
        return {"shapeless": torch.zeros(3)}


class Nameless(Shapeless):
    def __call__(self, stems):
        return {}


class Undefined:
    def __call__(self, stems):
        return {}


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ([], "metrics: got none, name at least one"),
        ([Undefined()], "metrics: Undefined is no metric: it needs `definitions`"),
        ([TrackSdr(), TrackSdr()], "metrics: TrackSdr and TrackSdr both compute uSDR; leave one out"),
    ],
)
def test_what_does_not_keep_the_contract_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        metrics.definitions_of(chosen)


@pytest.mark.parametrize(("metric", "shape"), [(Shapeless(), r"\(3,\)"), (Nameless(), "None")])
def test_values_of_another_shape_than_promised_are_refused(metric, shape):
    with pytest.raises(ValueError, match=rf"gave shapeless of shape {shape}, \(2,\) is needed"):
        score(*draw(1.0), metric)


@pytest.mark.parametrize("metric", [BssEval(), ChunkSdr(), TrackSdr(), SiSdr()])
@pytest.mark.parametrize("kind", ["references", "estimates"])
def test_nan_is_refused_by_every_metric(metric, kind):
    references, estimates = draw()
    (references if kind == "references" else estimates)[1, 0, 7] = math.nan
    with pytest.raises(ValueError, match=f"a song: {kind}: got NaN or infinite samples"):
        score(references, estimates, metric)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"over_tracks": "mode"}, "over_tracks: got 'mode', allowed mean, median"),
        ({"better": "up"}, "better: got 'up', allowed high, low"),
        ({"window_seconds": 0}, "window_seconds: got 0, allowed above 0"),
        ({"name": ""}, "name: got '', a text is needed"),
    ],
)
def test_a_definition_refuses_what_it_does_not_know(values, message):
    with pytest.raises(ValueError, match=message):
        Definition(**{"name": "a", "measure": "b", **values})


def test_a_definition_is_described_in_one_line():
    assert metrics.describe(FORMER, ("vocals", "drums", "bass", "other")) == [
        "SDR, SIR, ISR, SAR: BSS Eval v4 (museval), dB: median over windows of 1 s, then median over tracks",
        "uSDR: energy ratio of the whole track (MDX 2021), dB: whole track, mean over tracks",
        "scenario: 4 stems: vocals, drums, bass, other",
    ]
    assert metrics.scenario(("vocals", "accompaniment")) == "vocals, accompaniment"
    assert (USDR.key, Definition("SI-SDR x", "y").key) == ("usdr", "si_sdr_x")
