"""Tables of scores on the terminal; importing them needs neither torch nor museval."""

import math
from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from unmix.errors import counted
from unmix.evaluation.metrics import METRICS, TRACK_METRICS

ROUNDING = 120.0  # dB; higher values are rounding errors, such as the SAR of the mixture
Medians = Mapping[str, Mapping[str, Mapping[str, float]]]


def shown(decibels: float) -> str:
    """Format decibels with two decimals, or as `>120` above 120 dB, where only rounding errors are left."""
    return f">{ROUNDING:.0f}" if decibels > ROUNDING else f"{decibels:.2f}"


def heads() -> list[str]:
    """Column names of a table with every metric and track metric."""
    return [*METRICS, *(metric.title for metric in TRACK_METRICS)]


def cells(medians: Mapping[str, float], means: Mapping[str, float]) -> list[str]:
    """Cells of a row below `heads`: medians by metric, then means by key of a track metric, empty where missing."""
    return [
        *(shown(medians[metric]) for metric in METRICS),
        *(shown(means[metric.key]) if metric.key in means else "" for metric in TRACK_METRICS),
    ]


def print_table(medians: Medians, num_tracks: int, console: Console | None = None) -> None:
    """Print the medians of a method beside those of its baseline.

    Args:
        medians: method -> target -> metric -> dB, the method first, its baseline second.
        num_tracks: number of tracks behind the medians.
        console: where to print; None is the terminal.
    """
    method, baseline = medians
    title = f"{method}: median of windows, then of {counted(num_tracks, 'track')}, in dB"
    table = Table(title=title, title_justify="left", caption=f"in brackets: {baseline}", caption_justify="left")
    table.add_column("target")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for target, ours in medians[method].items():
        base = medians[baseline][target]
        table.add_row(target, *(f"[bold]{shown(ours[m])}[/bold] \\[{shown(base[m])}]" for m in METRICS))
    (console or Console()).print(table)


def print_methods(medians: Medians, num_tracks: int, console: Console | None = None) -> None:
    """Print the SDR of several methods, one per row; arguments as for `print_table`, with any number of methods."""
    table = Table(title=f"SDR: median of windows, then of {counted(num_tracks, 'track')}, in dB", title_justify="left")
    targets = list(dict.fromkeys(target for method in medians.values() for target in method))
    for name in ("method", *targets):
        table.add_column(name, justify="left" if name == "method" else "right")
    best = {
        target: max((one[target]["SDR"] for one in medians.values() if target in one), default=math.nan)
        for target in targets
    }
    for method, ours in medians.items():
        cells = (_bold(ours[target]["SDR"], best[target]) if target in ours else "-" for target in targets)
        table.add_row(method, *cells)
    (console or Console()).print(table)


def _bold(decibels: float, best: float) -> str:
    return f"[bold]{shown(decibels)}[/bold]" if decibels == best else shown(decibels)


def print_comparison(
    ours: Mapping[str, Mapping[str, float]],
    published: Mapping[str, Mapping[str, float]],
    name: str,
    console: Console | None = None,
) -> None:
    """Print our medians, those published as `name`, and the difference; both are target -> metric -> dB."""
    title = f"ours / {name} as published / difference, in dB"
    table = Table(title=title, title_justify="left")
    table.add_column("target")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for target in (one for one in ours if one in published):
        pairs = [(ours[target][metric], published[target][metric]) for metric in METRICS]
        cells = ("-" if math.isnan(b) else f"{a:.2f} / {b:.2f} / [bold]{a - b:+.2f}[/bold]" for a, b in pairs)
        table.add_row(target, *cells)
    (console or Console()).print(table)
