"""A leaderboard as people see it: on the terminal, as Markdown, as one HTML page."""

import html
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich import box
from rich.console import Console
from rich.table import Table

from unmix.experiments import charts, page
from unmix.experiments.leaderboard import Leaderboard, Row, columns_of

TEXT = ("kind", "run", "state", "experiment", "target", "report")
# Said in `run` already.
HIDDEN = ("kind", "experiment", "target", "seed", "report")
KNOWN = {"kind", "run", "state", "experiment", "target", "seed", "epochs", "val_loss", "val_sdr", "report"}
MOST_CURVES = 40
KINDS = {"evaluation": "Evaluations", "run": "Runs", "job": "Jobs without a run"}
DIRECTIONS = {True: "bidirectional", False: "unidirectional", None: "all"}

STYLE = """figure { display: inline-block; margin: 0 1rem 1rem 0; max-width: 100% }
figcaption { font-weight: 600 }
svg { width: 30rem; max-width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: currentColor }
svg .line { fill: none; stroke-width: 1.8; opacity: .85 }
svg .line:hover { stroke-width: 4; opacity: 1 }
svg .axis { stroke: currentColor; fill: none } svg .grid { stroke: currentColor; opacity: .15 }
svg .tick { opacity: .8 }
.legend span { margin-right: 1rem; white-space: nowrap }
.legend i { display: inline-block; width: .8rem; height: .25rem }
.legend { font-size: .8rem; max-width: 30rem }
"""

PAGE = """<!doctype html>
<html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
<h1>{title}</h1>
{tables}
{damaged}
{charts}
<script>
{script}</script>
</html>
"""


def print_board(found: Leaderboard, rows: Sequence[Row], console: Console | None = None) -> None:
    """A table a kind on the terminal, and what could not be read."""
    console = console or Console()
    for kind, title in KINDS.items():
        some = [row for row in rows if row["kind"] == kind]
        if not some:
            continue
        table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
        for name in visible_columns(some):
            table.add_column(name, justify="left" if name in TEXT else "right", overflow="fold", no_wrap=name != "run")
        for row in some:
            table.add_row(*(shown(row.get(name)) for name in visible_columns(some)))
        console.print(table)
    for path, reason in found.damaged:
        console.print(f"damaged: {path}: {reason}", markup=False, soft_wrap=True)


def visible_columns(rows: Sequence[Row]) -> list[str]:
    """Those with something in them, but for what another says already."""
    return [name for name in columns_of(rows) if name not in HIDDEN and any(row.get(name) is not None for row in rows)]


def to_markdown(rows: Sequence[Row]) -> str:
    """A table a kind, to be pasted into a README or an issue."""
    parts = []
    for kind, title in KINDS.items():
        some = [row for row in rows if row["kind"] == kind]
        columns = visible_columns(some)
        lines = [columns, ["---" if name in TEXT else "---:" for name in columns]]
        lines += [[shown(row.get(name)).replace("|", "\\|") for name in columns] for row in some]
        parts += [f"{title}\n\n", *(f"| {' | '.join(line)} |\n" for line in lines), "\n"] if some else []
    return "".join(parts)


def to_html(found: Leaderboard, rows: Sequence[Row], out: Path) -> str:
    """One page that needs no other file; links lead to reports below `out`."""
    tables = "".join(
        f"<h2>{title}</h2>{_table([row for row in rows if row['kind'] == kind])}"
        for kind, title in KINDS.items()
        if any(row["kind"] == kind for row in rows)
    )
    damaged = "".join(f"<li>{html.escape(path)}: {html.escape(reason)}</li>" for path, reason in found.damaged)
    return PAGE.format(
        title=f"{sum(row['kind'] == 'run' for row in rows)} runs, "
        f"{sum(row['kind'] == 'evaluation' for row in rows)} evaluations",
        style=page.STYLE + STYLE,
        script=page.SORT,
        charts="".join([*_curves(found, rows), *_sizes(rows), *_parallel(rows)]),
        tables=tables + _clips(rows, out),
        damaged=f"<h2>Damaged</h2><ul>{damaged}</ul>" if damaged else "",
    )


def _table(rows: Sequence[Row]) -> str:
    columns = visible_columns(rows)
    heads = "".join(f"<th{' scope=row' if name in TEXT else ''}>{html.escape(name)}</th>" for name in columns)
    body = "\n".join(f"<tr>{''.join(_cell(row, name) for name in columns)}</tr>" for row in rows)
    head = f"<thead><tr>{heads}</tr></thead>"
    return f"<div class=wide><table class=sortable>{head}\n<tbody>\n{body}\n</tbody></table></div>"


def _cell(row: Row, name: str) -> str:
    text = shown(row.get(name))
    if name == "run":
        return page.row_head(text, quote(row["report"]) if row.get("report") else None)
    return page.row_head(text) if name in TEXT else f"<td>{html.escape(text)}</td>"


def _curves(found: Leaderboard, rows: Sequence[Row]) -> Iterator[str]:
    """Learning curves of the best runs, a chart a target; a run is named by what tells it from the others."""
    runs = [row for row in rows if row["kind"] == "run" and found.curves.get(row["run"])]
    runs = sorted(runs, key=lambda row: math.inf if row["val_loss"] is None else row["val_loss"])[:MOST_CURVES]
    for target in dict.fromkeys(row["target"] for row in runs):
        some = {_label(row, runs): found.curves[row["run"]] for row in runs if row["target"] == target}
        yield charts.lines(f"{target}: validation loss", dict(sorted(some.items())), x="epoch", y="val/loss")


def _label(row: Row, runs: Sequence[Row]) -> str:
    """Its hyperparameters, short; the whole name where that is not enough."""
    said = ", ".join(f"{name.rpartition('.')[2]} {shown(row.get(name))}" for name in _hyperparameters(runs))
    alike = [one for one in runs if one["target"] == row["target"] and one is not row]
    is_enough = said and all(any(one.get(name) != row.get(name) for name in _hyperparameters(runs)) for one in alike)
    return said if is_enough else row["run"]


def _hyperparameters(runs: Sequence[Row]) -> list[str]:
    """Columns of the configuration in which these differ."""
    names = [name for name in columns_of(runs) if name not in KNOWN]
    return [name for name in names if len({repr(row.get(name)) for row in runs}) > 1]


def _sizes(rows: Sequence[Row]) -> Iterator[str]:
    """Where runs differ in hidden size or direction: the best of each, a chart a target."""
    keys = "model.hidden_size", "model.bidirectional"
    runs = [row for row in rows if row.get("val_loss") is not None and any(row.get(key) is not None for key in keys)]
    for target in dict.fromkeys(row["target"] for row in runs):
        series: dict[str, dict[str, float]] = {}
        for row in sorted(runs, key=lambda row: row.get(keys[0]) or 0):
            if row["target"] == target:
                one, size = series.setdefault(DIRECTIONS[row.get(keys[1])], {}), shown(row.get(keys[0])) or "all"
                one[size] = min(row["val_loss"], one.get(size, math.inf))
        yield charts.groups(f"{target}: best validation loss", series, x="hidden size", y="val/loss")


def _parallel(rows: Sequence[Row]) -> Iterator[str]:
    """One chart a target: losses of different ones do not compare."""
    done = [row for row in rows if row["kind"] == "run" and row.get("val_loss") is not None]
    for target in dict.fromkeys(row["target"] for row in done):
        runs = [row for row in done if row["target"] == target]
        axes = [
            name for name in _hyperparameters(runs) if all(isinstance(row.get(name), int | float | str) for row in runs)
        ]
        yield charts.parallel(f"{target}: brightest is best", runs, [*axes[:6], "val_loss"])


def _clips(rows: Sequence[Row], out: Path) -> str:
    """What the best evaluation sounds like; the reports of the others have their own."""
    evaluations = [row for row in rows if row["kind"] == "evaluation" and row["sdr"] == row["sdr"]]
    if not evaluations:
        return ""
    best = max(evaluations, key=lambda row: row["sdr"])
    files = sorted((out / best["report"]).parent.glob("clips/*.mp3"))
    players = "".join(
        f"<label>{html.escape(file.stem)} {page.player(page.sound(file.read_bytes()))}</label>" for file in files
    )
    return f"<h2>How {html.escape(best['run'])} sounds</h2><p class=players>{players}</p>" if players else ""


def shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
