"""Published scores come out of the shipped data."""

import math

import pytest

from unmix.evaluation import published, scores
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scores import TrackScore

TARGETS = ("vocals", "drums", "bass", "other")
# Medians of SDR, SIR, ISR and SAR in the files of SiSEC 2018
UHL2 = {
    "vocals": (5.93, 11.69, 12.12, 6.28),
    "drums": (5.92, 11.76, 10.30, 6.14),
    "bass": (5.03, 10.41, 9.25, 6.10),
    "other": (4.19, 6.34, 9.09, 4.93),
}
STL2 = {
    "vocals": (3.25, 8.06, 7.45, 4.05),
    "drums": (4.22, 8.83, 6.97, 5.29),
    "bass": (3.21, 5.78, 8.31, 4.64),
    "other": (2.25, 2.37, 7.06, 3.99),
}
SDR = {
    "TAK2": (7.16, 6.81, 5.40, 4.81),
    "MWF": (9.13, 8.09, 6.75, 7.56),
    "IRM1": (8.52, 7.33, 6.18, 6.92),
    "MIX": (1.12, 1.33, 0.67, 1.16),
}


@pytest.mark.parametrize(("method", "expected"), [("UHL2", UHL2), ("STL2", STL2)])
def test_our_aggregation_of_sisec_2018_gives_the_published_medians(method, expected):
    ours = published.medians_of(f"sisec18:{method}")
    for target, values in expected.items():
        assert [ours[target][metric] for metric in METRICS] == pytest.approx(values, abs=0.0101)


@pytest.mark.parametrize("method", SDR)
def test_our_aggregation_gives_the_published_sdr_of_oracles_and_submissions(method):
    ours = published.medians_of(f"sisec18:{method}")
    assert [ours[target]["SDR"] for target in TARGETS] == pytest.approx(SDR[method], abs=0.0101)


def test_published_scores_are_of_fifty_test_tracks():
    assert len(published.tracks()) == 50
    assert "AM Contra - Heart Peripheral" in published.tracks()


def test_unpublished_values_are_nan():
    assert published.medians_of("umxl")["bass"]["SDR"] == 6.02
    assert math.isnan(published.medians_of("umxl")["bass"]["SAR"])
    assert published.medians_of("umxhq")["drums"]["SIR"] == 11.65


def test_an_unknown_method_is_refused_with_a_suggestion():
    with pytest.raises(ValueError, match=r"^evaluation\.compare: got 'umxqh', .*did you mean 'umxhq'") as refused:
        published.medians_of("umxqh")
    assert len(str(refused.value)) < 160


def test_means_of_medians_are_means_over_tracks_that_have_a_score():
    rows = [
        TrackScore("ours", track, "bass", dict.fromkeys(METRICS, value))
        for track, value in (("a", 1.0), ("b", 5.0), ("c", math.nan), ("d", 3.6))
    ]
    assert scores.means_of_medians(rows)["ours"]["bass"]["SDR"] == pytest.approx(3.2)
    assert scores.summarize(rows)["ours"]["bass"]["SDR"] == 3.6
