import math

import pytest

from unmix.reports import charts


def heights(figure):
    """By gid of every line, its y values."""
    return {line.get_gid(): list(line.get_ydata()) for line in figure.axes[0].lines if line.get_gid()}


def test_lines_leave_out_values_that_are_not_finite():
    figure = charts.lines("t", {"a": [(0, 1.0), (1, 2.0), (2, math.nan)], "b": [(0, 2.0)]}, x="x")
    assert heights(figure) == {"a": [1.0, 2.0], "b": [2.0]}
    assert charts.lines("t", {"a": [(0, math.nan)], "b": []}, x="x") is None


def test_the_first_lines_are_named_in_the_legend_and_the_others_counted():
    figure = charts.lines("t", {f"run {i}": [(0, i), (1, i)] for i in range(9)}, x="x")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [f"run {i}" for i in range(6)] + ["3 more"]
    colors = {line.get_gid(): line.get_color() for line in figure.axes[0].lines}
    assert [colors[f"run {i}"] for i in range(9)] == [*charts.COLORS, *[charts.GREY] * 3]
    assert [handle.get_color() for handle in legend.get_lines()] == [*charts.COLORS, charts.GREY]


def test_groups_stand_side_by_side_in_their_category():
    figure = charts.groups("t", {"a": {"1": 2.0, "2": 3.0}, "b": {"1": 1.0, "2": math.nan}}, x="x")
    marks = {line.get_gid(): line.get_xdata()[0] for line in figure.axes[0].lines}
    assert marks["a, 1: 2"] < 0 < marks["b, 1: 1"] < marks["a, 2: 3"] < 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["a", "b"]
    assert charts.groups("t", {"a": {"1": math.nan}}, x="x") is None


def test_parallel_coordinates_draw_the_best_over_the_others():
    rows = [{"size": 1, "kind": "a", "loss": 1.0}, {"size": 2, "kind": "b", "loss": 3.0}, {"size": 9, "kind": None}]
    figure = charts.parallel("t", rows, ["size", "kind", "loss"])
    assert list(heights(figure).items()) == [
        ("size 2, kind b, loss 3", [1, 1, 1]),
        ("size 1, kind a, loss 1", [0, 0, 0]),
    ]
    worst, best = (line.get_color() for line in figure.axes[0].lines[:2])
    assert worst == pytest.approx(charts.WORST_TO_BEST(0.0))
    assert best == pytest.approx(charts.WORST_TO_BEST(1.0))


def test_parallel_coordinates_write_no_value_over_another():
    rows = [{"size": size, "sdr": sdr} for size, sdr in ((1, 4.0), (2, 4.95), (3, 5.0), (4, 4.5))]
    figure = charts.parallel("t", rows, ["size", "sdr"], is_better_high=True)
    assert {text.get_text() for text in figure.axes[0].texts} == {"size", "sdr", "1", "2", "3", "4", "4.5", "5"}
    assert [line.get_gid() for line in figure.axes[0].lines if line.get_gid()][-1] == "size 3, sdr 5"


def test_parallel_coordinates_need_two_rows_and_two_columns():
    rows = [{"size": 1, "loss": 1.0}, {"size": 2, "loss": 3.0}]
    assert charts.parallel("t", rows[:1], ["size", "loss"]) is None
    assert charts.parallel("t", rows, ["loss"]) is None


def test_an_svg_is_an_element_whose_lines_are_named_and_whose_text_is_escaped():
    figure = charts.lines("<t> & more", {"<a> & b": [(0, 1.0), (1, 2.0)]}, x="x")
    text = charts.svg(figure)
    assert text.startswith("<svg")
    assert "<title>&lt;a&gt; &amp; b</title>" in text
    assert "&lt;t&gt; &amp; more" in text
    assert "<a>" not in text
    assert '<g id="' not in text
    assert text == charts.svg(charts.lines("<t> & more", {"<a> & b": [(0, 1.0), (1, 2.0)]}, x="x"))


def test_shares_have_a_bar_and_a_name_each_and_none_without_values():
    element = charts.svg(charts.shares("importance", {"optimizer.lr": 0.75, "model": 0.25}, x="share"))
    assert "<title>optimizer.lr: 0.75</title>" in element
    assert element.index(">optimizer.lr</text>") < element.index(">model</text>")
    assert charts.shares("importance", {}, x="share") is None
