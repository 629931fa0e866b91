import math
import re

import pytest

from unmix.experiments import charts


def points(svg):
    """Of every line of a chart, (x, y) each."""
    found = re.findall(r'<polyline points="(.*?)"', svg)
    return [[tuple(map(float, pair.split(","))) for pair in one.split()] for one in found]


def test_lines_rise_with_their_values_and_leave_out_what_is_no_number():
    svg = charts.lines("t", {"a": [(0, 1.0), (1, 2.0), (2, math.nan)], "b": [(0, 2.0)]}, x="x", y="y")
    (first, second), (other,) = points(svg)
    assert first[0] < second[0]
    assert first[1] > second[1] == other[1], "up is less in SVG"
    assert charts.lines("t", {"a": []}, x="x", y="y") == ""


def test_parallel_coordinates_need_two_rows_and_two_axes():
    rows = [{"size": 1, "kind": "a", "loss": 3.0}, {"size": 2, "kind": "b", "loss": 1.0}, {"size": 9, "kind": None}]
    found = charts.parallel("t", rows, ["size", "kind", "loss"])
    assert len(points(found)) == 2
    assert found.index("#4466aa") < found.index("#eeaa22"), "the best is drawn over the others"
    assert charts.parallel("t", rows[:1], ["size", "loss"]) == ""
    assert charts.parallel("t", rows, ["loss"]) == ""


def test_groups_stand_side_by_side_in_their_category():
    svg = charts.groups("t", {"<a>": {"1": 2.0, "2": 3.0}, "b": {"1": 1.0, "2": math.nan}}, x="x", y="y")
    assert "&lt;a&gt;, 1: 2" in svg
    assert svg.count("<circle") == 2 + 1  # and the legend
    assert svg.count("<rect") == 1 + 1
    assert charts.groups("t", {"a": {"1": math.nan}}, x="x", y="y") == ""


@pytest.mark.parametrize("values", [(1.0, 1.0), (0.001, 0.0013), (-3, 900), (0, 1)])
def test_ticks_are_round_and_within(values):
    found = charts._nice(*values)
    assert 1 <= len(found) <= 7
    assert all(values[0] - 1e-9 <= one <= values[1] + 1e-9 for one in found)
