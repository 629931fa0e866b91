"""Charts of the leaderboard, drawn by matplotlib as SVG, with tooltips that name the lines and marks."""

import math
import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe and Ito's palette, safe for colour-blind readers.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#999999"
MARKERS = "osD^v*"
# From the worst to the best value; the colours also differ in lightness.
WORST_TO_BEST = LinearSegmentedColormap.from_list("worst to best", ["#4466aa", "#eeaa22"])
WIDTH, HEIGHT = 5.4, 3.0  # inches, 96 pixels each, without the legend
MOST_TICKS = 6  # on an axis of parallel coordinates
TEXT_HEIGHT = 0.06  # of a value on such an axis, which is 1 high
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titley": 1.02,
    "svg.fonttype": "none",  # keep text as text, not as outlines
    "svg.hashsalt": "unmix",  # fixed ids, so that equal charts give equal files
}

Points = Sequence[tuple[float, float]]


def svg(figure: Figure) -> Markup:
    """Convert a figure to an SVG element for a page; the gid of an artist becomes its tooltip."""
    text = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    names = {artist.get_gid() for artist in figure.findobj(Artist)}
    titles = {str(Markup.escape(name)): Markup("<title>{}</title>").format(name) for name in names if name}
    # Without ids on groups, which would clash between the charts of a page.
    element = re.sub(r'<g id="([^"]*)">', lambda match: f"<g>{titles.get(match[1], '')}", text.getvalue())
    return Markup(element[element.index("<svg") :])


def lines(title: str, series: Mapping[str, Points], *, x: str) -> Figure | None:
    """Draw a line chart, one line per name, the first six in colour; None when no value is finite."""
    finite = {name: [point for point in points if math.isfinite(point[1])] for name, points in series.items()}
    drawn = {name: points for name, points in finite.items() if points}
    if not drawn:
        return None
    colored, others = list(drawn)[: len(COLORS)], list(drawn)[len(COLORS) :]
    legend = [*colored, f"{len(others)} more"] if others else colored
    figure, axes = _axes(title, x, legend)
    for name in others:
        axes.plot(*zip(*drawn[name], strict=True), marker=_mark(drawn[name]), color=GREY, linewidth=0.8, gid=name)
    for name, color in zip(colored, COLORS, strict=False):
        axes.plot(*zip(*drawn[name], strict=True), marker=_mark(drawn[name]), color=color, linewidth=1.8, gid=name)
    _add_legend(figure, [*axes.lines[len(others) :], *axes.lines[: min(1, len(others))]], legend)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


def _mark(points: Points) -> str:
    """Marker for a line: a dot for a single point, which would be invisible otherwise, else none."""
    return "o" if len(points) == 1 else ""


def groups(title: str, series: Mapping[str, Mapping[str, float]], *, x: str) -> Figure | None:
    """Draw marks by category, one per name, categories in order of appearance; None when no value is finite.

    Args:
        title: title of the chart.
        series: name -> category -> value.
        x: label of the axis of categories.
    """
    values = [value for marks in series.values() for value in marks.values() if math.isfinite(value)]
    if not values:
        return None
    figure, axes = _axes(title, x, list(series) if len(series) > 1 else [])
    categories = list(dict.fromkeys(category for marks in series.values() for category in marks))
    handles: list[Any] = []
    for i, (name, marks) in enumerate(series.items()):
        offset = 0.12 * (i - (len(series) - 1) / 2)
        for category, value in marks.items():
            handle = axes.plot(
                categories.index(category) + offset,
                value,
                MARKERS[i % len(MARKERS)],
                color=COLORS[i % len(COLORS)],
                gid=f"{name}, {category}: {value:.4g}",
            )
        handles += handle
    axes.set_xticks(range(len(categories)), categories)
    axes.set_xlim(-0.5, len(categories) - 0.5)
    if len(series) > 1:
        _add_legend(figure, handles, list(series))
    return figure


def shares(title: str, values: Mapping[str, float], *, x: str) -> Figure | None:
    """Draw a horizontal bar for each name, the first at the top; None without values.

    Args:
        title: title of the chart.
        values: name -> value.
        x: label of the axis of values.
    """
    if not values:
        return None
    figure, axes = _axes(title, x, [])
    for height, (name, value) in enumerate(values.items()):
        axes.barh(-height, value, height=0.4, color=COLORS[0], gid=f"{name}: {value:.4g}")
        axes.text(0, -height + 0.25, name, va="bottom", fontsize=8)
    axes.set_yticks([])
    axes.set_ylim(-len(values) + 0.5, 0.8)
    axes.grid(axis="x", alpha=0.3)
    return figure


def parallel(
    title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, is_better_high: bool = False
) -> Figure | None:
    """Draw parallel coordinates: one line per row, one axis per column, coloured by the last column.

    The best row, with the lowest value unless `is_better_high`, is drawn in orange over the others. Returns None for
    fewer than two columns, or fewer than two rows with a value in all of them.
    """
    rows = [row for row in rows if all(row.get(column) is not None for column in columns)]
    if len(rows) < 2 or len(columns) < 2:
        return None
    figure, axes = _axes(title, "", [])
    axes.set_axis_off()
    axes.set_xlim(0, (len(columns) - 1) * 1.12)  # room for the values of the last axis
    scales = [_positions([row[column] for row in rows]) for column in columns]
    for row in sorted(rows, key=lambda row: row[columns[-1]], reverse=not is_better_high):
        heights = [scale[row[column]] for column, scale in zip(columns, scales, strict=True)]
        name = ", ".join(f"{column} {shown(row[column])}" for column in columns)
        rank = heights[-1] if is_better_high else 1 - heights[-1]
        axes.plot(heights, color=WORST_TO_BEST(rank), linewidth=1.8, gid=name)
    for i, (column, scale) in enumerate(zip(columns, scales, strict=True)):
        axes.axvline(i, color="black", linewidth=0.8)
        axes.text(i, -0.08, column.rpartition(".")[2], ha="center", va="top", fontsize=9)
        for value in _ticks(scale):
            axes.text(i + 0.02, scale[value], shown(value), va="center", fontsize=8, bbox=_HALO)
    return figure


def _ticks(scale: Mapping[Any, float]) -> list[Any]:
    """Choose the values to write beside an axis: the lowest, the highest, and others whose texts do not overlap."""
    ends = sorted(scale, key=lambda value: min(scale[value], 1 - scale[value]))
    ticks: list[Any] = []
    for value in ends[:2] if len(scale) > MOST_TICKS else ends:
        if all(abs(scale[value] - scale[tick]) > TEXT_HEIGHT for tick in ticks):
            ticks.append(value)
    return ticks


_HALO = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.5}


def shown(value: Any) -> str:
    """Format a value: floats with four significant digits, None as an empty string."""
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _axes(title: str, x: str, legend: Sequence[str]) -> tuple[Figure, Axes]:
    """Make a figure with axes, and room for a legend of these names; fixed margins, as automatic ones are slow."""
    legend_height = 0.18 * math.ceil(len(legend) / _legend_columns(legend))
    height = HEIGHT + legend_height
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height))
        figure.subplots_adjust(0.12, (0.5 + legend_height) / height, 0.97, 1 - 0.35 / height)
        axes = figure.add_subplot()
        axes.set(title=title, xlabel=x)
        axes.grid(axis="y", alpha=0.3)
    return figure, axes


def _add_legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """Add a legend at the bottom of the figure, outside the axes."""
    figure.legend(handles, names, loc="lower left", ncols=_legend_columns(names), fontsize=8, frameon=False)


def _legend_columns(names: Sequence[str]) -> int:
    return 1 if max(map(len, names), default=0) > 32 else 2


def _positions(values: Sequence[Any]) -> dict[Any, float]:
    """Map each value to a height between 0 and 1: numbers in proportion, others in equal steps."""
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        low, high = min(values), max(values)
        return {value: (value - low) / ((high - low) or 1) for value in sorted(set(values))}
    different = sorted(set(values), key=str)
    return {value: i / max(1, len(different) - 1) for i, value in enumerate(different)}
