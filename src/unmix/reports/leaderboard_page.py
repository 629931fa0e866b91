"""Output of the leaderboard: tables on the terminal, Markdown, and one HTML page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from unmix.errors import counted
from unmix.evaluation.oracle_names import is_method_of_oracle
from unmix.evaluation.scoring import EvaluationFolder
from unmix.reports import clips, leaderboard_charts, pages
from unmix.reports.charts import shown
from unmix.reports.leaderboard import FAILED, TEXT, Leaderboard, Row, columns_of, is_score, is_setting
from unmix.reports.ranking import comparable, is_better_high, main_score

# Columns that are not shown, because `run` or the table's title contains them, or the HTML page links to them.
HIDDEN = ("kind", "study", "experiment", "target", "seed", "test_set", "scores", "objective", "report")
FIRST = (
    "run",
    "rank",
    "sdr",
    "state",
    "node",
    "since",
    "val_loss",
    "val_sdr",
    "parameters",
    "reason",
)  # columns that a terminal of any width shows
CLIPPED = 8  # characters of a heading, at least, on a narrow terminal
WIDEST = 10_000  # characters, wider than any table
KINDS = {"evaluation": "Evaluations", "trial": "Trials", "run": "Runs", "job": "Jobs without a run"}
FAILURES = "Failed"


def print_tables(
    leaderboard: Leaderboard, rows: Sequence[Row], console: Console | None = None, *, sorted_by: str | None = None
) -> None:
    """Print one table per kind of row as wide as the terminal allows, then what failed, then damaged folders.

    The columns `FIRST` and the one that rows are sorted by are shown at any width.
    """
    console = console or Console()
    for title, own, columns in tables(rows):
        if title == FAILURES:
            console.print(f"[italic]{FAILURES}[/italic]")
            for row in own:
                console.print(f" {row['run']}: {row['reason']}", markup=False, highlight=False, soft_wrap=True)
            console.print()
        else:
            _print_table(console, title, own, columns, (*FIRST, sorted_by, main_score(own[0])))
            if line := meaning(own):
                console.print(f"{line}\n", markup=False, highlight=False, soft_wrap=True)
    for path, reason in leaderboard.damaged:
        console.print(f"damaged: {path}: {reason}", markup=False, soft_wrap=True)


def _print_table(
    console: Console, title: str, rows: Sequence[Row], columns: Sequence[str], always: Sequence[str | None]
) -> None:
    """Print a table; when the terminal is too narrow, with short headings and without the least important columns.

    The columns `always` stay, so that a long name of a run is printed in full.
    """
    kept, table = list(columns), _table(title, rows, columns, {name: name for name in columns})
    for heads in (short := _short_names(columns), _clipped(short)):
        if _width(table, console) > console.width:
            table = _table(title, rows, kept, heads)
    for name in sorted((name for name in reversed(columns) if name not in always), key=_importance):
        if _width(table, console) > console.width:
            kept.remove(name)
            table = _table(title, rows, kept, heads)
    table.width = _width(table, console)
    console.print(table, soft_wrap=True)
    console.print()
    if hidden := [name for name in columns if name not in kept]:
        console.print(f"not shown for lack of width: {', '.join(hidden)}\n", highlight=False, soft_wrap=True)


def _table(title: str, rows: Sequence[Row], columns: Sequence[str], heads: Mapping[str, str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), show_edge=False)
    for name in columns:
        table.add_column(heads[name], justify="left" if name in TEXT else "right", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(shown(row.get(name))) for name in columns))
    return table


def _width(table: Table, console: Console) -> int:
    """Width of a table without any line break, in characters."""
    return Measurement.get(console, console.options.update(max_width=WIDEST), table).maximum


def _short_names(columns: Sequence[str]) -> dict[str, str]:
    """Name of a column -> its last part, or the full name if another column ends in the same part."""
    ends = [name.rpartition(".")[2] for name in columns]
    return {name: end if ends.count(end) == 1 else name for name, end in zip(columns, ends, strict=True)}


def _clipped(names: Mapping[str, str]) -> dict[str, str]:
    """Cut the names of columns that may be left out to `CLIPPED` characters, unless two would become equal."""
    cut = {name: f"{end[: CLIPPED - 1]}\u2026" if len(end) > CLIPPED else end for name, end in names.items()}
    ends = list(cut.values())
    return {name: end if name in FIRST or ends.count(cut[name]) > 1 else cut[name] for name, end in names.items()}


def _importance(column: str) -> int:
    """Sort key, least important first: the number of epochs, scores of single targets, settings."""
    return 2 if is_setting(column) else 1 if is_score(column) else 0


def tables(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], list[str]]]:
    """Yield title, rows and visible columns for all rows of a kind whose results compare, and for what failed."""
    for kind, title in KINDS.items():
        own = [row for row in rows if row["kind"] == kind and row["state"] != FAILED]
        for name, group in comparable(own).items() if own else ():
            yield f"{title}: {name}" if name else title, group, visible_columns(group)
    if failed := [row for row in rows if row["state"] == FAILED]:
        yield FAILURES, failed, [name for name in visible_columns(failed) if name not in FIRST[1:-1]]


def meaning(rows: Sequence[Row]) -> str:
    """Definition and scenario of the scores of evaluations; all different ones when they are not the same."""
    return " | ".join(dict.fromkeys(row["scores"] for row in rows if row.get("scores")))


def visible_columns(rows: Sequence[Row]) -> list[str]:
    """Names of the columns that have a value in some row, without those of `HIDDEN`: results first, then settings."""
    names = [name for name in columns_of(rows) if name not in HIDDEN and any(row.get(name) is not None for row in rows)]
    first = [main_score(rows[0]) or name if name == "sdr" else name for name in FIRST]
    return sorted(names, key=lambda name: first.index(name) if name in first else len(first) + (not is_setting(name)))


def to_markdown(rows: Sequence[Row]) -> str:
    """Format one Markdown table per kind of row, for a README or an issue."""
    parts = []
    for title, own, columns in tables(rows):
        lines = [columns, ["---" if name in TEXT else "---:" for name in columns]]
        lines += [[shown(row.get(name)).replace("|", "\\|") for name in columns] for row in own]
        parts += [f"{title}\n\n", *(f"| {' | '.join(line)} |\n" for line in lines), "\n"]
        parts += [f"{line}\n\n" for line in filter(None, [meaning(own)])]
    return "".join(parts)


def to_html(leaderboard: Leaderboard, rows: Sequence[Row], out: Path, *, is_served: bool = False) -> str:
    """Render the leaderboard as one HTML page with everything embedded; its links lead to the reports below `out`.

    A page that `is_served` replaces what has changed every few seconds.
    """
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in ("run", "evaluation")}
    return pages.render(
        "leaderboard.html",
        title=", ".join(counted(count, name) for name, count in counts.items() if count),
        text_columns=TEXT,
        tables=[
            {
                "title": title,
                "heads": _short_names(columns),
                "rows": [_html_row(row, columns) for row in own],
                "meaning": meaning(own),
            }
            for title, own, columns in tables(rows)
        ],
        clips=_clips(rows, out),
        damaged=leaderboard.damaged,
        charts=leaderboard_charts.all_charts(leaderboard, rows),
        is_served=is_served,
    )


def _html_row(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    """Cells of a row as (column, text), and the relative URL of its report or None, for the template."""
    address = quote(row["report"]) if row.get("report") else None
    return {"address": address, "cells": [(name, shown(row.get(name))) for name in columns]}


def _clips(rows: Sequence[Row], out: Path) -> dict[str, Any] | None:
    """Read the clips of the trained model with the best score on the test tracks that are listed first.

    Returns:
        `run`, the name of the evaluation, `is_oracle`, and `passages`, title -> name -> MP3 file; None without clips.
        An oracle, which knows the true sources, is only played when no trained model was evaluated.
    """
    evaluations = [row for row in rows if (column := main_score(row)) and not math.isnan(row[column])]
    if not evaluations:
        return None
    group = next(iter(comparable(evaluations).values()))
    column = main_score(group[0]) or ""
    sign = 1 if is_better_high(column) else -1
    best = max(group, key=lambda row: (not _is_oracle(row), sign * row.get(column, -sign * math.inf)))
    folder = EvaluationFolder((out / best["report"]).parent)
    passages = {f"{target}: {own.title}": own.sounds for target, own in clips.read(folder).items()}
    if not passages:  # of an earlier version
        files = sorted(folder.path.glob("clips/*.mp3"))
        passages = {"estimates": {file.stem: file.read_bytes() for file in files}} if files else {}
    return {"run": best["run"], "is_oracle": _is_oracle(best), "passages": passages} if passages else None


def _is_oracle(row: Row) -> bool:
    return is_method_of_oracle(row["run"].rpartition("/")[0])
