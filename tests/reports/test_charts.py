import json
import math

import pytest

from unmix.reports import charts


def row(name, value, panel="vocals", label="a track", **more):
    return {"panel": panel, "name": name, "label": label, "value": value, **more}


def values(chart):
    return chart["data"]["values"]


def test_panels_and_names_stand_in_order_of_appearance_without_values_that_are_not_finite():
    rows = [row("b", 2.0), row("a", 1.0, "bass"), row("c", math.nan), row("a", math.inf, "drums")]
    chart = charts.boxes("Which?", rows, value="SDR", muted=["a"])
    assert [each["name"] for each in values(chart)] == ["b", "a"]
    assert chart["facet"]["column"]["sort"] == ["vocals", "bass"]
    assert chart["spec"]["encoding"]["y"]["sort"] == ["b", "a"]
    assert chart["spec"]["encoding"]["color"]["condition"] == {
        "test": {"field": "name", "oneOf": ["a"]},
        "value": charts.GREY,
    }
    assert chart["usermeta"] == {"title": "Which?", "is_wide": True, "panels": 2, "characters": 1}
    assert [each["text"] for each in values(chart)] == ["2", "1"]
    json.dumps(chart, allow_nan=False)
    assert charts.boxes("Which?", [row("a", math.nan)], value="SDR") is None


def test_boxes_have_their_points_and_dots_are_points_alone():
    rows = [row("a", 1.0), row("a", 2.0)]
    marks = [layer["mark"]["type"] for layer in charts.boxes("?", rows, value="SDR")["spec"]["layer"]]
    assert marks == ["boxplot", "circle"]
    dots = charts.dots("?", rows, value="SDR", labels="evaluation")
    assert [layer["mark"]["type"] for layer in dots["spec"]["layer"]] == ["circle"]
    assert dots["spec"]["layer"][0]["encoding"]["tooltip"][0] == {"field": "label", "title": "evaluation"}


def test_a_tooltip_shows_the_text_of_a_row_or_four_digits_of_its_value():
    rows = [row("a", 0.012345), row("b", 7.0, text="7.00")]
    chart = charts.boxes("?", rows, value="SDR in dB")
    assert [each["text"] for each in values(chart)] == ["0.01235", "7.00"]
    assert {"field": "text", "title": "SDR in dB"} in chart["spec"]["layer"][1]["encoding"]["tooltip"]


def test_differences_have_intervals_only_where_rows_have_them():
    points = [row("a", 1.0), row("a", -1.0)]
    interval = row("a", 0.0, low=-1.0, high=1.0, is_shown=False)
    for rows, expected in ((points, ["rule", "circle"]), ([*points, interval], ["rule", "circle", "rule", "tick"])):
        chart = charts.differences("?", rows, value="dB")
        assert [layer["mark"]["type"] for layer in chart["spec"]["layer"]] == expected


def test_the_first_lines_are_named_in_the_legend_and_the_others_counted():
    chart = charts.lines("t", {f"run {i}": [(0, i), (1, i)] for i in range(9)}, x="epoch", y="loss")
    scale = chart["encoding"]["color"]["scale"]
    assert scale["domain"] == [f"run {i}" for i in range(6)] + ["3 more"]
    assert scale["range"] == [*charts.COLORS, charts.GREY]
    series = {each["name"]: each["series"] for each in values(chart)}
    assert (series["run 0"], series["run 8"]) == ("run 0", "3 more")


def test_lines_leave_out_values_that_are_not_finite_and_need_two_values_of_one_line():
    chart = charts.lines("t", {"a": [(0, 1.0), (1, 2.0), (2, math.nan)], "b": [(0, 2.0)]}, x="x", y="y")
    assert [(each["name"], each["value"]) for each in values(chart)] == [("a", 1.0), ("a", 2.0), ("b", 2.0)]
    assert chart["mark"]["point"], "a line of one value is a point"
    assert charts.lines("t", {"a": [(0, 1.0)], "b": [(0, 2.0)]}, x="x", y="y") is None
    assert charts.lines("t", {"a": [(0, math.nan)], "b": []}, x="x", y="y") is None


def test_groups_stand_side_by_side_in_their_category():
    chart = charts.groups("t", {"a": {"1": 2.0, "2": 3.0}, "b": {"1": 1.0, "2": math.nan}}, x="x", y="y")
    assert [(each["name"], each["category"]) for each in values(chart)] == [("a", "1"), ("a", "2"), ("b", "1")]
    assert chart["encoding"]["xOffset"] == {"field": "name", "sort": ["a", "b"]}
    assert charts.groups("t", {"a": {"1": math.nan}}, x="x", y="y") is None


def test_bars_have_a_name_each_and_none_without_values():
    chart = charts.bars("Which matter?", {"optimizer.lr": 0.75, "model": 0.25}, x="share")
    assert [(each["name"], each["value"]) for each in values(chart)] == [("optimizer.lr", 0.75), ("model", 0.25)]
    assert chart["spec"]["layer"][0]["encoding"]["x"]["scale"] == {"zero": True}
    assert charts.bars("Which matter?", {}, x="share") is None


@pytest.mark.parametrize("color", [*charts.COLORS, charts.GREY])
def test_marks_have_the_contrast_of_wcag_to_light_and_dark_pages(contrast, color):
    assert all(contrast(color, page) >= 3 for page in ("#ffffff", "#121212"))
