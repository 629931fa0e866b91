import math

import pytest

from unmix.evaluation import published
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.summary import Summary

TRACKS = ("A - C", "D - E", "F - G")


def make_rows(sdrs, target="bass", method="ours"):
    return [
        TrackScore(method, track, target, dict.fromkeys(METRICS, sdr)) for track, sdr in zip(TRACKS, sdrs, strict=True)
    ]


@pytest.mark.parametrize(
    ("sdrs", "expected"),
    [
        ((3.0, 1.0, 2.0), {"worst": "D - E", "best": "A - C"}),
        ((math.nan, 1.0, 2.0), {"worst": "D - E", "best": "F - G"}),
        ((math.nan, 1.0, math.nan), {"only": "D - E"}),
        ((math.nan,) * 3, {}),
    ],
)
def test_the_worst_and_the_best_track_are_of_those_with_a_score(sdrs, expected):
    assert Summary("ours", "mixture", make_rows(sdrs), {}).extremes("bass") == expected


@pytest.mark.parametrize(("seconds", "change", "expected"), [(240, "", True), (7, "", False), (240, "?", False)])
def test_only_the_whole_test_tracks_of_musdb_are_compared_with_sisec_s_participants(seconds, change, expected):
    rows = [TrackScore("ours", f"{row.track}{change}", row.target, row.metrics) for row in published.sisec18()]
    windows = {row.track: (seconds - 1, seconds) for row in rows}
    assert Summary("ours", "mixture", rows, {}, windows).is_among_participants is expected


def test_the_content_has_medians_means_and_what_reproduces_them():
    rows = make_rows((1.0, 2.0, 6.0)) + make_rows((0.0, 0.5, 1.0), method="mixture")
    means = {"ours": {"bass": {"whole_track_sdr": 2.5}}}
    summary = Summary("ours", "mixture", rows, {"niter": 1}, {"A - C": (3, 4)}, ("umxl", "umx"), means)
    content = summary.content()
    assert content["num_tracks"] == 3
    assert content["medians"]["ours"]["bass"]["SDR"] == 2.0
    assert content["means_of_medians"]["ours"]["bass"]["SDR"] == 3.0
    assert content["mean_sdr_of_whole_tracks"] == {"ours": {"bass": 2.5}}
    assert content["windows_that_count"] == {"A - C": (3, 4)}
    assert {name: medians["bass"]["SDR"] for name, medians in content["published"].items()} == {
        "umxl": 6.02,
        "umx": 5.23,
    }
    assert content["niter"] == 1
