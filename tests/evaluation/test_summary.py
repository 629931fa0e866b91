import json
import math

import pytest

from unmix.evaluation import published
from unmix.evaluation.metrics import BSS_EVAL, FORMER, METRICS, USDR, Definition
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.summary import Summary, from_json

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


def test_the_best_track_has_the_lowest_value_of_an_error():
    error = Definition("error", "mean error", unit="", better="low")
    rows = [TrackScore("ours", row.track, "bass", {"error": row.metrics["SDR"]}) for row in make_rows((3.0, 1.0, 2.0))]
    summary = Summary("ours", "mixture", rows, {}, definitions=[error])
    assert summary.extremes("bass") == {"worst": "A - C", "best": "D - E"}


def with_usdr(rows, value):
    return [TrackScore(row.method, row.track, row.target, {**row.metrics, "uSDR": value}) for row in rows]


def test_the_content_has_scores_definitions_and_what_reproduces_them():
    rows = with_usdr(make_rows((1.0, 2.0, 6.0)), 2.5) + with_usdr(make_rows((0.0, 0.5, 1.0), method="mixture"), 0.5)
    summary = Summary("ours", "mixture", rows, {"niter": 1}, {"A - C": (3, 4)}, ("umxl", "umx"), FORMER)
    content = json.loads(json.dumps(summary.content()))
    assert content["num_tracks"] == 3
    assert content["scenario"] == ["bass"]
    assert content["definitions"]["SDR"]["over_tracks"] == "median"
    assert content["medians"]["ours"]["bass"]["SDR"] == 2.0
    assert content["means"] == {"ours": {"bass": {"uSDR": 2.5}}, "mixture": {"bass": {"uSDR": 0.5}}}
    assert content["means_of_medians"]["ours"]["bass"]["SDR"] == 3.0
    assert content["windows_that_count"] == {"A - C": [3, 4]}
    assert {name: medians["bass"]["SDR"] for name, medians in content["published"].items()} == {
        "umxl": 6.02,
        "umx": 5.23,
    }
    assert content["niter"] == 1
    stored = from_json(content)
    assert (stored.method, stored.num_tracks, stored.definitions) == ("ours", 3, list(FORMER))
    assert stored.overall == summary.overall


def test_a_summary_of_an_earlier_version_still_reads():
    medians = {"ours": {"bass": dict.fromkeys(METRICS, 2.0)}, "mixture": {"bass": dict.fromkeys(METRICS, 1.0)}}
    means = {"mean_sdr_of_whole_tracks": {"ours": {"bass": 2.5}, "mixture": {"bass": 0.5}}}
    stored = from_json({"num_tracks": 2, "medians": medians, **means})
    assert stored.definitions == [*BSS_EVAL, USDR]
    assert stored.overall["ours"]["bass"] == {**medians["ours"]["bass"], "uSDR": 2.5}
    assert from_json({"num_tracks": 2, "medians": medians}).definitions == list(BSS_EVAL)
