"""Charts of pages, as specifications for Vega-Lite, which draws them in the reader's browser.

Why Vega-Lite: a chart is data, made and tested in Python; box plots, panels with shared axes, tooltips, zoom, cut
labels, labels for screen readers and the download as SVG or PNG come with it; and SVG in the colour of the page's text
follows light and dark. Its three files add 0.8 MB to a page. Plotly with box plots has 1.4 MB, ECharts 1.1 MB;
Observable Plot (0.5 MB with d3) has no zoom, uPlot and Chart.js no box plots, and these need JavaScript per chart.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Each has a contrast of at least 3 to white and to the darkest grey of a page; after Okabe and Ito's palette.
COLORS = ("#0078BB", "#D55E00", "#009E73", "#C26A9C", "#9A7B00", "#7B6FE0")
GREY = "#808080"
STEP = 30  # pixels from one row to the next
BELOW = 10  # pixels from a box to its points
ROOM: Any = {"zero": False, "padding": 8}  # pixels beside the lowest and highest value, whose points the axis would cut
ZOOM: Any = {
    "name": "zoom",
    "bind": "scales",
    "select": {"type": "interval", "encodings": ["x"], "zoom": "wheel![event.ctrlKey]"},
}
CONFIG: Any = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "title": {"anchor": "start", "color": "currentColor", "fontSize": 14, "subtitleColor": "currentColor"},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor"), "currentColor"),
        **dict.fromkeys(("domainColor", "tickColor"), GREY),
        "gridColor": "#8884",
        "titleFontWeight": "normal",
        "labelLimit": 220,
    },
    "header": {"labelColor": "currentColor", "labelFontWeight": "bold", "labelFontSize": 12, "title": None},
    "legend": {
        **dict.fromkeys(("labelColor", "titleColor"), "currentColor"),
        "orient": "bottom",
        "direction": "vertical",
        "title": None,
        "labelLimit": 320,
        "symbolLimit": 0,
    },
    "tooltipFormat": {"numberFormat": ".4"},
    "boxplot": {"median": {"color": "currentColor"}, "rule": {"color": GREY}, "ticks": False},
}

Chart = dict[str, Any]
Points = Sequence[tuple[float, float]]


def shown(value: Any) -> str:
    """Format a value: floats with four significant digits, None as an empty string."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def chart(title: str, rows: Sequence[Mapping[str, Any]], spec: Mapping[str, Any], **layout: Any) -> Chart:
    """Make a chart of rows; `layout` is read by charts.js, which gives the chart its width.

    A chart with a layout of its own is wide: it takes the whole width of a page.
    """
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",  # a name, which is not fetched
        "description": title,
        "usermeta": {"title": title, "is_wide": bool(layout), **layout},
        "config": CONFIG,
        "data": {"values": list(rows)},
        **spec,
    }


def rows_by_panel(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    value: str,
    marks: Sequence[Mapping[str, Any]],
    muted: Sequence[str] = (),
    is_shared: bool = True,
) -> Chart | None:
    """Draw values to the right, names in rows below each other, and one panel beside the other, or below on a phone.

    Args:
        title: the question that the chart answers.
        rows: each with `panel`, `name`, `value` and whatever the marks need; panels and names in order of appearance.
            `text` is how tooltips show the value, with four significant digits where it is not given.
        value: label of the axis of values.
        marks: layers of Vega-Lite, drawn in this order.
        muted: names that are drawn in grey.
        is_shared: whether all panels have one axis of values.
    Returns:
        None when no row has a finite value.
    """
    rows = [{"text": shown(row["value"]), **row} for row in rows if math.isfinite(row["value"])]
    if not rows:
        return None
    panels, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("panel", "name"))
    condition = {"test": {"field": "name", "oneOf": list(muted)}, "value": GREY}
    encoding = {
        "y": {"field": "name", "title": " ", "type": "nominal", "sort": names, "axis": {"title": None, "grid": True}},
        # the title is what the tooltip of a box says, as in `Median of score`
        "x": {"field": "value", "title": "score", "type": "quantitative", "scale": ROOM, "axis": {"title": value}},
        "color": {"condition": condition, "value": COLORS[0]},
    }
    spec = {
        "facet": {"column": {"field": "panel", "type": "nominal", "sort": panels, "header": {"title": None}}},
        "spec": {"height": {"step": STEP}, "encoding": encoding, "layer": list(marks)},
        "resolve": {"scale": {"x": "shared" if is_shared else "independent"}},
    }
    return chart(title, rows, spec, panels=len(panels), characters=max(map(len, names)))


def boxes(title: str, rows: Sequence[Mapping[str, Any]], *, value: str, **options: Any) -> Chart | None:
    """Draw a box and all points of every name in every panel; the point under the mouse is marked everywhere.

    Rows have a `label` each, the name of the track; the rest is as for `rows_by_panel`.
    """
    box = {"type": "boxplot", "extent": 1.5, "outliers": False, "size": 10, "opacity": 0.65}
    marks = [{"mark": box}, points(value, labels="track")]
    return rows_by_panel(title, rows, value=value, marks=marks, **options)


def dots(
    title: str, rows: Sequence[Mapping[str, Any]], *, value: str, labels: str, muted: Sequence[str] = ()
) -> Chart | None:
    """Draw one point of every name in every panel; the rest is as for `boxes`."""
    layer = points(value, labels=labels)
    look = {"mark": {**layer["mark"], "yOffset": 0, "opacity": 1}}
    size = {**layer["encoding"]["size"], "value": 70}
    marks = [{**layer, **look, "encoding": {**layer["encoding"], "size": size}}]
    return rows_by_panel(title, rows, value=value, marks=marks, muted=muted, is_shared=False)


def differences(title: str, rows: Sequence[Mapping[str, Any]], *, value: str, average: str = "median") -> Chart | None:
    """Draw points on both sides of zero; rows that have `low` and `high` are averages with their intervals.

    Such a row is drawn in orange if it `is_shown`, a difference that the tests show, and has its `interval` as text.
    `average` names what it is; the rest is as for `boxes`.
    """
    is_interval = {"filter": "isValid(datum.low)"}
    tooltip = [{"field": "name", "title": " "}, {"field": "panel", "title": "  "},
               {"field": "text", "title": average}, {"field": "interval", "title": "95 % interval"}]  # fmt: skip
    color = {"color": {"condition": {"test": "datum.is_shown", "value": COLORS[1]}, "value": "currentColor"}}
    layer = points(value, labels="track")
    marks: list[Chart] = [
        {"mark": {"type": "rule", "strokeDash": [4, 3]}, "encoding": {"x": {"datum": 0}, "y": None,
                                                                      "color": {"value": GREY}}},
        {**layer, "transform": [{"filter": "!isValid(datum.low)"}]},
        {"transform": [is_interval], "mark": {"type": "rule", "strokeWidth": 3}, "encoding": {
            **color, "x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}, "tooltip": tooltip}},
        {"transform": [is_interval], "mark": {"type": "tick", "thickness": 3, "size": 14}, "encoding": {
            **color, "tooltip": tooltip}},
    ]  # fmt: skip
    has_intervals = any("low" in row for row in rows)
    return rows_by_panel(title, rows, value=value, marks=marks if has_intervals else marks[:2])


def points(value: str, *, labels: str) -> Chart:
    """A layer of points with tooltips, which zooms; the label under the mouse is marked in all panels and rows."""
    hovered: Any = {"name": "hovered", "select": {"type": "point", "fields": ["label"], "on": "pointerover"}}
    marked = {"param": "hovered", "empty": False}
    return {
        "params": [ZOOM, {**hovered, "select": {**hovered["select"], "clear": "pointerout"}}],
        "mark": {"type": "circle", "opacity": 0.85, "clip": True, "yOffset": BELOW},
        "encoding": {
            "size": {"condition": {**marked, "value": 130}, "value": 22},
            "stroke": {"condition": {**marked, "value": "currentColor"}, "value": None},
            "tooltip": [
                {"field": "label", "title": labels},
                {"field": "name", "title": " "},
                {"field": "panel", "title": "  "},
                {"field": "text", "title": value},
            ],
        },
    }


def lines(title: str, series: Mapping[str, Points], *, x: str, y: str) -> Chart | None:
    """Draw a line per name, the first six in colour; a point for one value; None if no line has two finite values."""
    finite = {name: [point for point in values if math.isfinite(point[1])] for name, values in series.items()}
    drawn = {name: values for name, values in finite.items() if values}
    if max(map(len, drawn.values()), default=0) < 2:
        return None
    colored, others = list(drawn)[: len(COLORS)], list(drawn)[len(COLORS) :]
    legend = [*colored, f"{len(others)} more"] if others else colored
    series_of = dict.fromkeys(others, legend[-1]) | {name: name for name in colored}
    rows = [{"name": n, "series": series_of[n], "x": at, "value": v} for n in [*others, *colored] for at, v in drawn[n]]
    colors = {"domain": legend, "range": [*COLORS[: len(colored)], GREY][: len(legend)]}
    picked = {"name": "picked", "select": {"type": "point", "fields": ["series"]}, "bind": "legend"}
    spec = {
        "width": "container",
        "height": 220,
        "params": [picked, {**ZOOM, "select": {**ZOOM["select"], "encodings": ["x", "y"]}}],
        "mark": {"type": "line", "point": {"size": 16}, "strokeWidth": 1.8, "clip": True},
        "encoding": {
            "x": {"field": "x", "type": "quantitative", "axis": {"title": x, "tickMinStep": 1, "grid": False},
                  "scale": {**ROOM, "nice": False}},
            "y": {"field": "value", "type": "quantitative", "axis": {"title": y}, "scale": ROOM},
            "color": {"field": "series", "type": "nominal", "scale": colors},
            "detail": {"field": "name"},
            "opacity": {"condition": {"param": "picked", "value": 1}, "value": 0.15},
            "tooltip": [{"field": "name", "title": " "}, {"field": "x", "title": x},
                        {"field": "value", "title": y, "format": ".4"}],
        },
    }  # fmt: skip
    return chart(title, rows, spec)


def groups(title: str, series: Mapping[str, Mapping[str, float]], *, x: str, y: str) -> Chart | None:
    """Draw marks by category, one per name, categories in order of appearance; None when no value is finite."""
    rows = [
        {"name": name, "category": category, "value": value}
        for name, marks in series.items()
        for category, value in marks.items()
        if math.isfinite(value)
    ]
    if not rows:
        return None
    names, categories = (list(dict.fromkeys(row[key] for row in rows)) for key in ("name", "category"))
    scale = {"domain": names, "range": [COLORS[i % len(COLORS)] for i in range(len(names))]}
    legend: dict[str, Any] = {} if len(names) > 1 else {"legend": None}
    spec = {
        "width": "container",
        "height": 220,
        "mark": {"type": "point", "filled": True, "opacity": 1, "size": 90},
        "encoding": {
            "x": {"field": "category", "type": "nominal", "sort": categories, "axis": {"title": x, "labelAngle": 0}},
            "y": {"field": "value", "type": "quantitative", "axis": {"title": y}, "scale": ROOM},
            "xOffset": {"field": "name", "sort": names},
            "color": {"field": "name", "type": "nominal", "scale": scale, **legend},
            "shape": {"field": "name", "type": "nominal", "sort": names, **legend},
            "tooltip": [{"field": "name", "title": " "}, {"field": "category", "title": x},
                        {"field": "value", "title": y, "format": ".4"}],
        },
    }  # fmt: skip
    return chart(title, rows, spec)


def bars(title: str, values: Mapping[str, float], *, x: str) -> Chart | None:
    """Draw a horizontal bar for each name, the first at the top; None without values."""
    rows = [{"panel": "", "name": name, "label": name, "value": value} for name, value in values.items()]
    scale = {"x": {"field": "value", "type": "quantitative", "scale": {"zero": True}, "axis": {"title": x}}}
    tooltip = [{"field": "name", "title": " "}, {"field": "text", "title": x}]
    bar = {"mark": {"type": "bar", "height": 14}, "encoding": {**scale, "tooltip": tooltip}}
    return rows_by_panel(title, rows, value=x, marks=[bar])
