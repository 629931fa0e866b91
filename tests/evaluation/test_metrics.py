import json

import pytest
import torch

from unmix.evaluation import metrics, scores, track_scoring
from unmix.evaluation.metrics import TRACK_METRICS, TrackMetric

RATE = 8000
NAMES = ("vocals", "drums")
TRACK_SDR = TRACK_METRICS[0].key


def draw(seconds=3.0, seed=0):
    """References and estimates, (sources, channels, samples)."""
    generator = torch.Generator().manual_seed(seed)
    references = torch.randn(len(NAMES), 2, int(seconds * RATE), generator=generator)
    return references, references + 0.3 * torch.randn(references.shape, generator=generator)


def readers(references, estimates):
    return [lambda start, stop, stems=stems: stems[..., start:stop] for stems in (references, estimates)]


def score(references, estimates):
    true, estimated = readers(references, estimates)
    (store,) = track_scoring.score_track("a song", NAMES, true, [estimated], references.shape[-1], sample_rate=RATE)
    return store


def test_the_sdr_of_a_whole_track_is_of_all_samples_and_channels_at_once():
    references, estimates = draw(seconds=2.5)
    references[1] = 0
    store = score(references, estimates)
    signal, noise = references[0].double().square().sum(), (references - estimates)[0].double().square().sum()
    means = scores.means_over_tracks([store])
    assert means["vocals"][TRACK_SDR] == pytest.approx(float(10 * torch.log10(signal / noise)), abs=1e-5)
    assert means["drums"][TRACK_SDR] < -90, "an estimate of a silent source has a score"
    other = score(*draw(seed=1))
    expected = (means["vocals"][TRACK_SDR] + scores.means_over_tracks([other])["vocals"][TRACK_SDR]) / 2
    assert scores.means_over_tracks([store, other])["vocals"][TRACK_SDR] == pytest.approx(expected)


def test_long_tracks_have_the_same_sdr_read_in_blocks(monkeypatch):
    references, estimates = draw()
    expected = metrics.whole_track_sdr(*readers(references, estimates), references.shape[-1])
    monkeypatch.setattr(metrics, "BLOCK", 1000)
    found = metrics.whole_track_sdr(*readers(references, estimates), references.shape[-1])
    torch.testing.assert_close(found, expected)


def test_a_metric_is_one_entry():
    def error_power(references, estimates, num_samples):
        return (references(0, num_samples) - estimates(0, num_samples)).square().mean(dim=(1, 2))

    before = score(*draw())
    TRACK_METRICS.append(TrackMetric("error_power", "mean_error_power", "error power", error_power))
    try:
        store = score(*draw())
        assert json.loads(store)["targets"][0]["error_power"] == pytest.approx(0.09, rel=0.05)
        assert scores.means_over_tracks([store])["drums"]["error_power"] == pytest.approx(0.09, rel=0.05)
        assert scores.is_complete(store)
        assert not scores.is_complete(before), "tracks scored before are scored again"
    finally:
        TRACK_METRICS.pop()
    assert scores.is_complete(before)
