import math
from io import StringIO

import pytest
from rich.console import Console

from unmix.evaluation import published
from unmix.evaluation.metrics import BSS_EVAL, FORMER, METRICS, USDR, Definition
from unmix.reports.tables import cells, print_comparison, print_methods, print_table, shown


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


def test_a_table_has_a_column_per_definition_and_says_what_they_mean(console):
    values = {**dict.fromkeys(METRICS, 1.0), "uSDR": 3.5}
    print_table({"ours": {"vocals": values}, "mixture": {"vocals": values}}, 3, console, definitions=FORMER)
    text = console.file.getvalue()
    assert "3.50 [3.50]" in text
    assert "SDR, SIR, ISR, SAR: BSS Eval v4 (museval), dB: median over windows of 1 s, then median over tracks" in text
    assert "uSDR: energy ratio of the whole track (MDX 2021), dB: whole track, mean over tracks" in text
    assert "scenario: vocals" in text


def test_a_missing_value_is_an_empty_cell():
    assert cells({"SDR": 1.0}, [BSS_EVAL[0], USDR]) == ["1.00", ""]


def test_the_best_of_an_error_is_the_lowest():
    error = Definition("error", "mean error", unit="", better="low")
    values = {name: {"vocals": {"error": value}} for name, value in (("one", 2.0), ("two", 1.0), ("three", 3.0))}
    console = Console(file=StringIO(), width=120, force_terminal=True)
    print_methods(values, 2, console, main=error)
    assert "\x1b[1m1.00\x1b[0m" in console.file.getvalue()
    assert "\x1b[1m3.00\x1b[0m" not in console.file.getvalue()


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
