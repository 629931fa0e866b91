"""Output of the leaderboard: tables on the terminal, Markdown, and one HTML page."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from unmix.reports import charts, pages
from unmix.reports.charts import shown
from unmix.reports.leaderboard import Leaderboard, Row, columns_of

TEXT = ("kind", "run", "state", "experiment", "target", "report")
# Columns that are not shown, because `run` or the table's title contains them, or the HTML page links to them.
HIDDEN = ("kind", "experiment", "target", "seed", "report")
KNOWN = {"kind", "run", "state", "experiment", "target", "seed", "epochs", "steps", "val_loss", "val_sdr", "report"}
MOST_CURVES = 40
MOST_AXES = 6
KINDS = {"evaluation": "Evaluations", "run": "Runs", "job": "Jobs without a run"}
DIRECTIONS = {True: "bidirectional", False: "unidirectional", None: "all"}


def print_tables(leaderboard: Leaderboard, rows: Sequence[Row], console: Console | None = None) -> None:
    """Print one table per kind of row, then every damaged folder with the reason why it cannot be read."""
    console = console or Console()
    for title, own, columns in tables(rows):
        table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
        for name in columns:
            table.add_column(name, justify="left" if name in TEXT else "right", overflow="fold", no_wrap=name != "run")
        for row in own:
            table.add_row(*(shown(row.get(name)) for name in columns))
        console.print(table)
    for path, reason in leaderboard.damaged:
        console.print(f"damaged: {path}: {reason}", markup=False, soft_wrap=True)


def tables(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], list[str]]]:
    """Yield title, rows and visible columns for each kind of row (evaluation, run, job) that occurs."""
    for kind, title in KINDS.items():
        own = [row for row in rows if row["kind"] == kind]
        if own:
            yield title, own, visible_columns(own)


def visible_columns(rows: Sequence[Row]) -> list[str]:
    """Names of the columns that have a value in some row, without those of `HIDDEN`."""
    return [name for name in columns_of(rows) if name not in HIDDEN and any(row.get(name) is not None for row in rows)]


def to_markdown(rows: Sequence[Row]) -> str:
    """Format one Markdown table per kind of row, for a README or an issue."""
    parts = []
    for title, own, columns in tables(rows):
        lines = [columns, ["---" if name in TEXT else "---:" for name in columns]]
        lines += [[shown(row.get(name)).replace("|", "\\|") for name in columns] for row in own]
        parts += [f"{title}\n\n", *(f"| {' | '.join(line)} |\n" for line in lines), "\n"]
    return "".join(parts)


def to_html(leaderboard: Leaderboard, rows: Sequence[Row], out: Path) -> str:
    """Render the leaderboard as one HTML page with everything embedded; its links lead to the reports below `out`."""
    counts = {kind: sum(row["kind"] == kind for row in rows) for kind in KINDS}
    figures = [*_curves(leaderboard, rows), *_sizes(rows), *_parallel(rows)]
    return pages.render(
        "leaderboard.html",
        title=f"{counts['run']} runs, {counts['evaluation']} evaluations",
        text_columns=TEXT,
        tables=[
            {"title": title, "columns": columns, "rows": [_html_row(row, columns) for row in own]}
            for title, own, columns in tables(rows)
        ],
        clips=_clips(rows, out),
        damaged=leaderboard.damaged,
        charts=[charts.svg(figure) for figure in figures if figure is not None],
    )


def _html_row(row: Row, columns: Sequence[str]) -> dict[str, Any]:
    """Cells of a row as (column, text), and the relative URL of its report or None, for the template."""
    address = quote(row["report"]) if row.get("report") else None
    return {"address": address, "cells": [(name, shown(row.get(name))) for name in columns]}


def _curves(leaderboard: Leaderboard, rows: Sequence[Row]) -> Iterator[Figure | None]:
    """Yield a chart of the best runs' learning curves per target; equal settings share a colour where possible."""
    runs = [row for row in rows if row["kind"] == "run" and leaderboard.curves.get(row["run"])]
    runs = sorted(runs, key=lambda row: math.inf if row["val_loss"] is None else row["val_loss"])[:MOST_CURVES]
    for target in sorted(dict.fromkeys(row["target"] for row in runs)):
        own = {_label(row, runs): leaderboard.curves[row["run"]] for row in runs if row["target"] == target}
        names = list(own)
        names = sorted(names[: len(charts.COLORS)]) + names[len(charts.COLORS) :]
        curves = {name: [(epoch + 1, loss) for epoch, loss in own[name]] for name in names}
        yield charts.lines(f"{target}: validation loss", curves, x="epoch")


def _label(row: Row, runs: Sequence[Row]) -> str:
    """Label of a run: its hyperparameters if no other run of its target has the same, else its name."""
    names = _hyperparameters(runs)
    label = ", ".join(f"{name.rpartition('.')[2]} {shown(row.get(name))}" for name in names)
    others = [other for other in runs if other["target"] == row["target"] and other is not row]
    is_enough = label and all(any(other.get(name) != row.get(name) for name in names) for other in others)
    return label if is_enough else row["run"]


def _hyperparameters(runs: Sequence[Row]) -> list[str]:
    """Names of the configuration's columns in which the runs differ."""
    names = [name for name in columns_of(runs) if name not in KNOWN]
    return [name for name in names if len({repr(row.get(name)) for row in runs}) > 1]


def _sizes(rows: Sequence[Row]) -> Iterator[Figure | None]:
    """Yield a chart per target: best loss by hidden size, uni- or bidirectional; none if no run has these columns."""
    keys = "model.hidden_size", "model.bidirectional"
    runs = [row for row in rows if row.get("val_loss") is not None and any(row.get(key) is not None for key in keys)]
    for target in sorted(dict.fromkeys(row["target"] for row in runs)):
        series: dict[str, dict[str, float]] = {}
        for row in sorted(runs, key=lambda row: row.get(keys[0]) or 0):
            if row["target"] == target:
                marks, size = series.setdefault(DIRECTIONS[row.get(keys[1])], {}), shown(row.get(keys[0])) or "all"
                marks[size] = min(row["val_loss"], marks.get(size, math.inf))
        yield charts.groups(f"{target}: best validation loss", series, x="hidden size")


def _parallel(rows: Sequence[Row]) -> Iterator[Figure | None]:
    """Yield a chart of hyperparameters and loss in parallel coordinates per target, as losses differ in scale."""
    done = [row for row in rows if row["kind"] == "run" and row.get("val_loss") is not None]
    for target in sorted(dict.fromkeys(row["target"] for row in done)):
        runs = [row for row in done if row["target"] == target]
        axes = [
            name for name in _hyperparameters(runs) if all(isinstance(row.get(name), int | float | str) for row in runs)
        ]
        title = f"{target}: hyperparameters, the best in orange"
        yield charts.parallel(title, runs, [*axes[:MOST_AXES], "val_loss"])


def _clips(rows: Sequence[Row], out: Path) -> dict[str, Any] | None:
    """Read the MP3 clips of the evaluation with the highest SDR.

    Returns:
        `run`, the name of the evaluation, and `sounds`, the content of each file by its name; None without clips.
    """
    evaluations = [row for row in rows if row["kind"] == "evaluation" and not math.isnan(row["sdr"])]
    if not evaluations:
        return None
    best = max(evaluations, key=lambda row: row["sdr"])
    files = sorted((out / best["report"]).parent.glob("clips/*.mp3"))
    return {"run": best["run"], "sounds": {file.stem: file.read_bytes() for file in files}} if files else None
