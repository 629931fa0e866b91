"""Every run and evaluation below a folder, read from their files alone."""

import csv
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from unmix import errors
from unmix.experiments import folder, status

Row = dict[str, Any]
# Of these, more is better; all other columns sort upwards.
DESCENDING = ("sdr",)


def collect(out: Path) -> list[Row]:
    """One row a run and one an evaluation, with the columns that apply to it."""
    runs = [_run(path.parent) for path in sorted(out.glob(f"runs/*/*/{status.FILE}"))]
    summaries = sorted([*out.glob("runs/*/eval/*/summary.json"), *out.glob("evaluations/*/summary.json")])
    return [row for row in runs if row] + [_evaluation(path) for path in summaries]


def _run(path: Path) -> Row:
    if path.parent.name in ("eval", "old"):
        return {}
    found = status.read(path)
    if found is None:
        return {}
    state = "interrupted" if found.state == "running" and not found.is_alive() else found.state
    return {
        "kind": "run",
        "run": f"{path.parent.name}/{path.name}",
        "state": state,
        "epochs": found.epoch,
        "val_loss": found.best,
    }


def _evaluation(path: Path) -> Row:
    summary = json.loads(path.read_text(encoding="utf-8"))
    method, *_ = summary["medians"]
    sdr = {f"sdr.{target}": scores["SDR"] for target, scores in summary["medians"][method].items()}
    return {
        "kind": "evaluation",
        "run": f"{method}/{path.parent.name}",
        "state": f"{summary['num_tracks']} tracks",
        "sdr": sum(sdr.values()) / len(sdr),
        **sdr,
    }


def sort_rows(rows: Sequence[Row], by: str) -> list[Row]:
    """Best first; rows that lack the column come last.

    Raises:
        ValueError: when no row has the column.
    """
    columns = columns_of(rows)
    if rows and by not in columns:
        raise ValueError(errors.unknown("sort", by, columns))
    have = [row for row in rows if row.get(by) is not None]
    lack = [row for row in rows if row.get(by) is None]
    return sorted(have, key=lambda row: row[by], reverse=by.partition(".")[0] in DESCENDING) + lack


def columns_of(rows: Sequence[Row]) -> list[str]:
    """All columns, those of scores last."""
    names = dict.fromkeys(name for row in rows for name in row)
    return sorted(names, key=lambda name: name.startswith("sdr"))


def to_csv(rows: Sequence[Row]) -> str:
    text = StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def show(out: Path, sort: str, console: Console | None = None) -> None:
    """Print the table, and write it to leaderboard.csv.

    Raises:
        FileNotFoundError: when there is nothing to show.
        ValueError: on an unknown column.
    """
    rows = sort_rows(collect(out), sort)
    if not rows:
        raise FileNotFoundError(f"paths.out: no run and no evaluation in {out}; train one, or name another folder")
    columns = [name for name in columns_of(rows) if name != "kind"]
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0))
    for name in columns:
        is_text = name in ("run", "state")
        table.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=name != "run")
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in columns))
    (console or Console()).print(table)
    folder.write_atomically(out / "leaderboard.csv", to_csv(rows))


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
