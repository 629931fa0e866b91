"""Parallel coordinates: one line per row of the leaderboard, one axis per setting, the result last."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unmix.reports.charts import COLORS, GREY, Chart, chart, shown

MOST_TICKS = 6  # on an axis
TEXT_HEIGHT = 0.08  # of a value beside an axis, which is 1 high
AXIS_WIDTH = 115  # pixels between two axes, at least; a narrow page scrolls the chart

Row = Mapping[str, Any]


def parallel(title: str, rows: Sequence[Row], columns: Sequence[str], *, is_better_high: bool = False) -> Chart | None:
    """Draw parallel coordinates, the best row in orange over the others.

    Args:
        title: the question that the chart answers.
        rows: column -> value; rows without a value in some column are left out.
        columns: the axes; the last one is the result.
        is_better_high: whether the row with the highest result is the best, not that with the lowest.
    Returns:
        None for fewer than two columns, or fewer than two rows with a value in all of them.
    """
    rows = [row for row in rows if all(row.get(column) is not None for column in columns)]
    if len(rows) < 2 or len(columns) < 2:
        return None
    ordered = sorted(rows, key=lambda row: row[columns[-1]], reverse=not is_better_high)  # the best last, on top
    scales = [_positions([row[column] for row in rows]) for column in columns]
    heads = _heads(columns)
    values = [*_lines(ordered, columns, scales, heads), *_ticks(scales, heads)]
    return chart(title, values, {"layer": _layers(heads)}, axis_width=AXIS_WIDTH, axes=len(columns))


def _heads(columns: Sequence[str]) -> list[str]:
    """Last part of each column's name, or the whole name where two would be equal."""
    ends = [column.rpartition(".")[2] for column in columns]
    return [end if ends.count(end) == 1 else column for end, column in zip(ends, columns, strict=True)]


def _lines(rows: Sequence[Row], columns: Sequence[str], scales: Sequence[Row], heads: Sequence[str]) -> Iterator[Row]:
    for number, row in enumerate(rows):
        label = ", ".join(f"{head} {shown(row[column])}" for head, column in zip(heads, columns, strict=True))
        rank = "best" if number == len(rows) - 1 else "other"
        for column, scale, head in zip(columns, scales, heads, strict=True):
            yield {"axis": head, "height": scale[row[column]], "row": number, "label": label, "rank": rank}


def _ticks(scales: Sequence[Mapping[Any, float]], heads: Sequence[str]) -> Iterator[Row]:
    for scale, head in zip(scales, heads, strict=True):
        for value in _chosen(scale):
            yield {"axis": head, "height": scale[value], "tick": shown(value)}


def _chosen(scale: Mapping[Any, float]) -> list[Any]:
    """Choose the values to write beside an axis: the lowest, the highest, and others whose texts do not overlap."""
    ends = sorted(scale, key=lambda value: min(scale[value], 1 - scale[value]))
    ticks: list[Any] = []
    for value in ends[:2] if len(scale) > MOST_TICKS else ends:
        if all(abs(scale[value] - scale[tick]) > TEXT_HEIGHT for tick in ticks):
            ticks.append(value)
    return ticks


def _positions(values: Sequence[Any]) -> dict[Any, float]:
    """Map each value to a height between 0 and 1: numbers in proportion, others in equal steps."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        return {value: (value - low) / ((high - low) or 1) for value in sorted(set(values))}
    different = sorted(set(values), key=str)
    return {value: i / max(1, len(different) - 1) for i, value in enumerate(different)}


def _layers(heads: Sequence[str]) -> list[Any]:
    """Lines of the axes, lines of the rows, and values, which have a halo in the colour of the page."""
    x = {
        "field": "axis",
        "type": "nominal",
        "sort": list(heads),
        "scale": {"type": "point", "padding": 0.4},
        "axis": {"title": None, "orient": "top", "labelAngle": 0, "labelLimit": AXIS_WIDTH - 8, "domain": False,
                 "ticks": False, "grid": True, "gridColor": GREY, "labelPadding": 10},
    }  # fmt: skip
    y = {"field": "height", "type": "quantitative", "axis": None, "scale": {"domain": [0, 1], "nice": False}}
    is_best: Chart = {"test": "datum.rank === 'best'"}
    hovered: Chart = {"param": "hovered", "empty": False}
    lines: Chart = {
        "transform": [{"filter": "isValid(datum.row)"}],
        "params": [
            {
                "name": "hovered",
                "select": {"type": "point", "fields": ["row"], "on": "pointerover", "clear": "pointerout"},
            }
        ],
        "mark": {"type": "line", "strokeJoin": "round", "point": {"size": 40}},
        "encoding": {
            "detail": {"field": "row"},
            "color": {"condition": {**is_best, "value": COLORS[1]}, "value": COLORS[0]},
            "strokeWidth": {"condition": [{**hovered, "value": 4}, {**is_best, "value": 3}], "value": 1.4},
            "opacity": {"condition": [{**hovered, "value": 1}, {**is_best, "value": 1}], "value": 0.55},
            "tooltip": {"field": "label"},
        },
    }
    text: Chart = {"type": "text", "align": "left", "dx": 6, "fontSize": 11}
    ticks: list[Chart] = [
        {
            "transform": [{"filter": "isValid(datum.tick)"}],
            "mark": {**text, **look},
            "encoding": {"text": {"field": "tick"}},
        }
        for look in ({"stroke": "Canvas", "strokeWidth": 4, "strokeJoin": "round"}, {"color": "currentColor"})
    ]
    return [{**layer, "encoding": {"x": x, "y": y, **layer["encoding"]}} for layer in (lines, *ticks)]
