import math
from io import StringIO

import pytest
from rich.console import Console

from unmix.evaluation import published
from unmix.evaluation.metrics import METRICS, TRACK_METRICS, TrackMetric
from unmix.reports.tables import cells, heads, print_comparison, print_methods, print_table, shown


@pytest.fixture
def console():
    return Console(file=StringIO(), width=120)


def scores(**sdr):
    """Target -> metric -> dB."""
    return {target: dict.fromkeys(METRICS, value) for target, value in sdr.items()}


def test_table_shows_ours_beside_the_baseline(console):
    print_table({"ours": scores(vocals=7.0), "mixture": scores(vocals=2.0)}, 3, console)
    assert "vocals" in console.file.getvalue()
    assert "7.00 [2.00]" in console.file.getvalue()


def test_values_beyond_rounding_errors_are_shown_as_such():
    values = {6.125: "6.12", -3.0: "-3.00", 119.999: "120.00", 176.79: ">120"}
    assert {value: shown(value) for value in values} == values
    assert shown(math.nan) == "nan"


def test_a_metric_is_a_column_by_its_entry_alone():
    medians = dict.fromkeys(METRICS, 1.0)
    assert dict(zip(heads(), cells(medians, {}), strict=True))["SDR, whole tracks"] == ""
    TRACK_METRICS.append(TrackMetric("si_sdr", "mean_si_sdr", "SI-SDR", lambda *_: None))
    try:
        assert dict(zip(heads(), cells(medians, {"si_sdr": 2.0}), strict=True))["SI-SDR"] == "2.00"
    finally:
        TRACK_METRICS.pop()


def test_the_table_of_methods_marks_the_best_and_leaves_missing_targets_open(console):
    print_methods({"one": scores(vocals=5.5, drums=5.5), "two": scores(vocals=6.5)}, 2, console)
    lines = console.file.getvalue().splitlines()
    assert next(line for line in lines if "two" in line).split() == ["│", "two", "│", "6.50", "│", "-", "│"]


def test_the_comparison_shows_ours_theirs_and_the_difference(console):
    theirs = {"bass": published.medians_of("umxl")["bass"]}
    print_comparison(scores(bass=5.5, drums=1.0), theirs, "umxl", console)
    text = console.file.getvalue()
    assert "5.50 / 6.02 / -0.52" in text
    assert "umxl as published" in text
    assert "drums" not in text
