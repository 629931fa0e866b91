"""Tables of scores on the terminal; importing them needs neither torch nor museval."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from unmix.errors import counted
from unmix.evaluation.metrics import BSS_EVAL, METRICS, Definition, describe

ROUNDING = 120.0  # dB; higher values are rounding errors, such as the SAR of the mixture
WIDEST = 10_000  # characters, wider than any table
Overall = Mapping[str, Mapping[str, Mapping[str, float]]]


def shown(value: float, definition: Definition = BSS_EVAL[0]) -> str:
    """Format a score; ratios in dB above 120 as `>120`, where only rounding errors are left."""
    is_ratio = definition.unit == "dB" and definition.better == "high"
    return f">{ROUNDING:.0f}" if is_ratio and value > ROUNDING else f"{value:.{definition.decimals(value)}f}"


def cells(values: Mapping[str, float], definitions: Sequence[Definition]) -> list[str]:
    """Cells of a row, one per definition, empty where a value is missing."""
    return [shown(values[each.name], each) if each.name in values else "" for each in definitions]


def print_table(
    overall: Overall, num_tracks: int, console: Console | None = None, *, definitions: Sequence[Definition] = BSS_EVAL
) -> None:
    """Print the scores of a method beside those of its baseline, and what they mean.

    Args:
        overall: method -> target -> metric -> value over all tracks, the method first, its baseline second.
        num_tracks: number of tracks.
        console: where to print; None is the terminal.
        definitions: what the scores mean, in the order of columns.
    """
    method, baseline = overall
    lines = [*describe(definitions, list(overall[method])), f"in brackets: {baseline}"]
    table = Table(title=escape(f"{method}: {counted(num_tracks, 'track')}"), title_justify="left")
    table.add_column("target")
    for each in definitions:
        table.add_column(each.name, justify="right", no_wrap=True)
    for target, ours in overall[method].items():
        pairs = zip(cells(ours, definitions), cells(overall[baseline][target], definitions), strict=True)
        table.add_row(target, *(f"[bold]{own}[/bold] \\[{base}]" for own, base in pairs))
    print_wide(table, lines, console)


def print_methods(
    overall: Overall, num_tracks: int, console: Console | None = None, *, main: Definition = BSS_EVAL[0]
) -> None:
    """Print one metric of several methods, one per row.

    Args:
        overall, num_tracks, console: as for `print_table`, with any number of methods.
        main: the metric.
    """
    targets = list(dict.fromkeys(target for method in overall.values() for target in method))
    table = Table(title=f"{main.name}: {counted(num_tracks, 'track')}", title_justify="left")
    for name in ("method", *targets):
        table.add_column(name, justify="left" if name == "method" else "right")
    best = {target: _best(target, overall, main) for target in targets}
    for method, ours in overall.items():
        row = (_bold(ours[target][main.name], best[target], main) if target in ours else "-" for target in targets)
        table.add_row(method, *row)
    print_wide(table, describe([main], targets), console)


def print_wide(table: Table, lines: Sequence[str], console: Console | None) -> None:
    """Print a table without line breaks in its cells, however narrow the terminal, and lines below it."""
    console = console or Console()
    table.width = Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum
    console.print(table, soft_wrap=True)
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _best(target: str, overall: Overall, main: Definition) -> float:
    values = [ours[target][main.name] for ours in overall.values() if target in ours]
    return (max if main.better == "high" else min)(values, default=math.nan)


def _bold(value: float, best: float, main: Definition) -> str:
    return f"[bold]{shown(value, main)}[/bold]" if value == best else shown(value, main)


def print_comparison(
    ours: Mapping[str, Mapping[str, float]],
    published: Mapping[str, Mapping[str, float]],
    name: str,
    console: Console | None = None,
) -> None:
    """Print our scores by BSS Eval, those published as `name`, and the difference; both are target -> metric -> dB."""
    table = Table(title=f"ours / {name} as published / difference", title_justify="left")
    table.add_column("target")
    for metric in METRICS:
        table.add_column(metric, justify="right")
    for target in (each for each in ours if each in published):
        pairs = [(ours[target][metric], published[target][metric]) for metric in METRICS]
        row = ("-" if math.isnan(b) else f"{a:.2f} / {b:.2f} / [bold]{a - b:+.2f}[/bold]" for a, b in pairs)
        table.add_row(target, *row)
    print_wide(table, describe(BSS_EVAL, list(ours))[:-1], console)
