"""Which rows of the leaderboard wait in Slurm's queue or run, where, and since when."""

import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unmix.cluster import queue, record
from unmix.cluster.record import Record
from unmix.experiments.status import Status
from unmix.processes.jobs import last_line
from unmix.reports.progress import INTERRUPTED

Row = dict[str, Any]


def running(now: Status) -> Row:
    """Columns of a run that a process works on: its machine, and when it began."""
    return {"node": now.host, "since": time.strftime("%Y-%m-%d %H:%M", time.localtime(now.started))}


def update(runs: Iterable[Path], rows: Mapping[str, Row]) -> list[Row]:
    """Change the rows of runs that Slurm knows, and make rows for those that have not begun.

    Args:
        runs: folders of the runs that were submitted, see `record.runs`.
        rows: name of a run, as `<experiment>/<run>` -> its row.
    Returns:
        The new rows, of the kind `job`.
    """
    records = {run: written for run in runs if (written := record.read(run)) is not None}
    entries = _entries({written.array for written in records.values() if written.exit_code is None})
    added = []
    for run, written in records.items():
        key = f"{run.parent.name}/{run.name}"
        row = rows.get(key)
        change = _change(written, entries.get(written.key), row)
        if row is not None:
            row.update(change)
        elif change:
            added.append({"kind": "job", "run": key, "experiment": run.parent.name, **change})
    return added


def _entries(names: set[str]) -> queue.Entries:
    """Entries of Slurm's queue; none where Slurm is not installed, or does not answer: what the files say is shown."""
    if not names or shutil.which("squeue") is None:
        return {}
    try:
        return queue.read(names)
    except OSError:
        return {}


def _change(written: Record, entry: queue.Entry | None, row: Row | None) -> Row:
    """Columns that Slurm, or what a job wrote about its end, knows better than the files of the run."""
    if entry is not None and entry.is_waiting:
        return {"state": "queued", "node": entry.obstacle or None}
    if entry is not None and entry.is_running:
        return {"state": "running", "node": entry.nodes, "since": entry.since.replace("T", " ")[:16]}
    if row is not None and row["kind"] == "run":
        return {}  # its status tells how it ended
    if written.exit_code is None or written.exit_code in INTERRUPTED:
        return {"state": "interrupted"}
    return {"state": "failed", "reason": last_line(Path(written.log))} if written.exit_code else {}
