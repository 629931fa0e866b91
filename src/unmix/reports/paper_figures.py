"""The figures of a paper, as PDF or SVG; the same table gives the same bytes."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unmix.reports.charts import COLORS
from unmix.reports.paper import MEAN, Cell, Table
from unmix.reports.paper_formats import short_names

MOST_PANELS = 4  # side by side
LINE = 0.17  # height of a line of a legend, inches
LONGEST_BESIDE = 24  # characters of names in two columns of a legend
LINES = ("-", "--", ":")
MARKERS = "osD^v*"
STYLE: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.hashsalt": "unmix",  # fixed ids
}
# Without the date, and the version of matplotlib.
METADATA: dict[str, Any] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "svg": {"Date": None, "Creator": None},
}
# Epochs and validation SDR in dB of one run.
Curve = Sequence[tuple[int, float]]
# What is trained, such as `vocals` -> name of the method -> one curve per run.
Curves = Mapping[str, Mapping[str, Sequence[Curve]]]


def draw(table: Table, curves: Curves, kind: str) -> dict[str, bytes]:
    """Draw all figures that the table has data for.

    Args:
        table: see `paper.build`.
        curves: validation SDR of all runs.
        kind: `pdf` or `svg`.
    Returns:
        Name of the file without its ending -> its content.
    """
    logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells which glyphs it embeds
    with matplotlib.rc_context(STYLE):
        figures = {
            "boxplot": _box_plot(table),
            "parameters": _scatter(table, "parameters", "parameters, in millions", 1e6),
            "seconds": _scatter(table, "pace", "seconds of processing per second of audio", 1.0),
            "learning_curves": _learning_curves(curves, _labels(table)),
        }
        return {name: _encoded(figure, kind) for name, figure in figures.items() if figure is not None}


def _encoded(figure: Figure, kind: str) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format=kind, metadata=METADATA[kind])
    return buffer.getvalue()


def _box_plot(table: Table) -> Figure:
    """Draw one panel per source, one box per method: scores of the tracks."""
    names, methods = _labels(table), list(table.scores)
    figure, panels = _panels(table.sources, 0.19 * len(methods) + 0.75, _width(names[method] for method in methods))
    for number, (panel, source) in enumerate(zip(panels, table.sources, strict=True)):
        for i, method in enumerate(methods):
            values = [value for value in table.scores[method][source].values() if math.isfinite(value)]
            _box(panel, values, -i, COLORS[i % len(COLORS)], has_mean=table.metric.over_tracks == "mean")
        panel.set(xlabel=_axis(table), ylim=(-len(methods) + 0.5, 0.5))
        labels = [names[method] if number % MOST_PANELS == 0 else "" for method in methods]
        panel.set_yticks([-i for i in range(len(methods))], labels)
        panel.grid(axis="x", alpha=0.3)
    return figure


def _box(panel: Axes, values: Sequence[float], position: float, color: str, *, has_mean: bool) -> None:
    panel.boxplot(
        values,
        orientation="horizontal",
        positions=[position],
        widths=0.6,
        showmeans=has_mean,  # a point, as the line of a box is the median
        meanprops={"marker": "o", "markersize": 3.5, "markerfacecolor": color, "markeredgecolor": "white"},
        showfliers=False,  # a few tracks at -40 dB would leave no room for the others
        manage_ticks=False,
        patch_artist=True,
        boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
        whiskerprops={"color": color},
        capprops={"color": color},
        medianprops={"color": color, "linewidth": 1.5},
    )


def _scatter(table: Table, fact: str, label: str, unit: float) -> Figure | None:
    """Draw the score over a fact of the methods, on a logarithmic axis; None for fewer than two."""
    column = MEAN if MEAN in table.columns else table.columns[0]
    rows = [row for row in table.rows if getattr(row, fact) and not math.isnan(row.cells[column].value)]
    if len(rows) < 2:
        return None
    what = "mean over sources" if column == MEAN else column
    names = [_labels(table)[row.name] for row in rows]
    figure, (panel,) = _panels([what], 2.4, 0.5, width=3.0, below=names)
    for name, row in zip(names, rows, strict=True):
        _point(panel, row.cells[column], getattr(row, fact) / unit, table.rows.index(row), name)
    panel.set(xscale="log", xlabel=label, ylabel=_axis(table))
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_formatter(_few_numbers)
    panel.grid(alpha=0.3)
    figure.legend(loc="lower left", frameon=False, ncols=_columns(names))
    return figure


def _few_numbers(value: float, position: float) -> str:
    """Label of a minor tick of a logarithmic axis: only 2 and 5 of each decade."""
    return f"{value:g}" if f"{value:e}"[0] in "25" else ""


def _point(panel: Axes, cell: Cell, x: float, number: int, name: str) -> None:
    panel.errorbar(
        x,
        cell.value,
        yerr=cell.deviation,
        fmt=MARKERS[(number + number // len(COLORS)) % len(MARKERS)],
        color=COLORS[number % len(COLORS)],
        label=name,
    )


def _learning_curves(curves: Curves, labels: Mapping[str, str]) -> Figure | None:
    """Draw one panel for everything that is trained, one colour per method, one line per seed; None without curves."""
    drawn = {target: methods for target, methods in curves.items() if any(map(any, methods.values()))}
    if not drawn:
        return None
    names = [labels[name] for name in labels if any(any(methods.get(name, ())) for methods in drawn.values())]
    figure, panels = _panels(list(drawn), 1.9, 0.5, below=names)
    handles: dict[str, Any] = {}
    for panel, methods in zip(panels, drawn.values(), strict=True):
        for number, name in enumerate(labels):
            for run in filter(None, methods.get(name, ())):
                (handles[name],) = panel.plot(
                    *zip(*run, strict=True),
                    color=COLORS[number % len(COLORS)],
                    linestyle=LINES[number // len(COLORS) % len(LINES)],
                    linewidth=1,
                    marker="." if len(run) == 1 else "",
                )
        panel.set(xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("validation SDR in dB")
    shown = [name for name in labels if name in handles]
    figure.legend([handles[name] for name in shown], names, loc="lower left", frameon=False, ncols=_columns(names))
    return figure


def _panels(
    titles: Sequence[str], height: float, left: float, *, width: float = 1.5, below: Sequence[str] = ()
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels, up to four side by side.

    Margins are fixed, as automatic ones take as long as drawing. Sizes are in inches.

    Args:
        titles: titles of the panels.
        height: height of a panel with its title and labels.
        left: room for labels at the left.
        width: width of a panel.
        below: names in the legend, one per line.
    """
    columns = min(len(titles), MOST_PANELS)
    rows = math.ceil(len(titles) / columns)
    legend = LINE * math.ceil(len(below) / _columns(below))
    size = left + columns * width + 0.15, rows * height + legend
    figure = Figure(figsize=size)
    figure.subplots_adjust(
        left=left / size[0],
        right=1 - 0.1 / size[0],
        bottom=(legend + 0.45) / size[1],
        top=1 - 0.25 / size[1],
        wspace=0.2,
        hspace=0.7 / max(0.1, height - 0.7),
    )
    panels = [figure.add_subplot(rows, columns, i + 1) for i in range(len(titles))]
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title)
    return figure, panels


def _width(labels: Iterable[str]) -> float:
    """Width of the longest label, inches."""
    return 0.25 + 0.07 * max(map(len, labels), default=0)


def _axis(table: Table) -> str:
    """Label of an axis of scores, with an arrow down if low ones are better."""
    return table.metric.label if table.metric.better == "high" else f"{table.metric.label} \u2193"


def _columns(names: Sequence[str]) -> int:
    """Number of columns of a legend."""
    return 1 if max(map(len, names), default=0) > LONGEST_BESIDE else 2


def _labels(table: Table) -> dict[str, str]:
    """Names of the methods for figures; a dollar would begin a formula."""
    return {name: short.replace("$", r"\$") for name, short in short_names(table).items()}
