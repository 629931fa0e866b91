"""What the terminal shows of a sweep: a live table, or a line a change where nobody watches."""

import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table

from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.processes.pool import Job
from unmix.processes.signals import Interrupted

# Exit codes of a job that was told to stop: its own, and those of a Python that had not come to its handlers.
INTERRUPTED = (75, 130, -signal.SIGINT, -signal.SIGTERM)


@dataclass
class Row:
    """One job: its number, what tells it from the others, its folder, epochs it may take, and parameters."""

    number: int
    label: str
    run: Path
    max_epochs: int | None
    parameters: int
    began: tuple[float, int] | None = None  # when, and with how many epochs done, it was first seen running


class Board:
    """Shows jobs while they run, and writes their changes to a file."""

    def __init__(self, rows: Sequence[Row], jobs: Sequence[Job], journal: Path) -> None:
        self.rows, self.jobs, self.journal = rows, jobs, journal
        self.console = Console()
        self.live = Live(console=self.console, refresh_per_second=4) if sys.stdout.isatty() else None
        self.said: dict[int, str] = {}

    def __enter__(self) -> "Board":
        self.journal.parent.mkdir(parents=True, exist_ok=True)
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.update()
        if self.live:
            self.live.stop()
        if isinstance(error, Interrupted):
            self.console.print(f"stopped by {error}; the same command goes on")

    def update(self) -> None:
        """Look at every job again."""
        seen = [self._look(row, job) for row, job in zip(self.rows, self.jobs, strict=True)]
        for row, (state, progress, _, _) in zip(self.rows, seen, strict=True):
            self._note(row, state, progress)
        if self.live:
            self.live.update(self._table(seen))

    def summarize(self, states: Sequence[str]) -> None:
        """How many jobs are in which state, in the end."""
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        names = {"new": "not started", "continues": "interrupted", "running": "held by another process"}
        self.console.print(", ".join(f"{count} {names.get(state, state)}" for state, count in counts.items()))

    def _look(self, row: Row, job: Job) -> tuple[str, str, str, str]:
        """State, progress, best score and time to go of a job."""
        found = status.read(row.run)
        state = _state(job, found)
        if found is None or state == "waiting":
            return state, "", "", ""
        best = "" if found.best is None else f"{found.best:.4f}"
        epochs = f"{found.epoch}/{row.max_epochs}" if row.max_epochs else str(found.epoch)
        progress = f"epoch {epochs}"
        if activity := _activity(row.run, found, job):
            progress += f", {activity}"
        return state, progress, best, _to_go(row, found) if state == "running" else ""

    def _note(self, row: Row, state: str, progress: str) -> None:
        """Write a change down; a batch more is none."""
        text = f"{state} {progress.partition(', batch')[0].partition(', validating')[0]}".strip()
        if self.said.get(row.number) == text:
            return
        self.said[row.number] = text
        line = {"time": round(time.time(), 3), "job": row.number, "run": str(row.run), "state": state}
        with self.journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**line, "progress": progress}) + "\n")
        if not self.live and state != "waiting":
            self.console.print(f"[{row.number}/{len(self.rows)}] {row.label}: {text}", markup=False, soft_wrap=True)

    def _table(self, seen: Sequence[tuple[str, str, str, str]]) -> Table:
        table = Table()
        for name in ("", "job", "parameters", "state", "progress", "best val/loss", "to go"):
            table.add_column(name, justify="right" if name in ("parameters", "best val/loss", "to go") else "left")
        for row, (state, progress, best, to_go) in zip(self.rows, seen, strict=True):
            table.add_row(str(row.number), row.label, f"{row.parameters:,}", state, progress, best, to_go)
        return table


def _state(job: Job, found: Status | None) -> str:
    if job.is_running:
        return "running"
    if job.is_waiting:
        return "waiting"
    if found is None:  # it did not get as far as its folder
        return "interrupted" if job.exit_code in INTERRUPTED else "failed"
    return "interrupted" if found.state == "running" else found.state


def _activity(run: Path, found: Status, job: Job) -> str:
    """Of the run; after its training, of the evaluation that its process does."""
    if found.state != "done" or job.process is None:
        return found.activity
    evaluations = (status.read(path.parent) for path in run.parent.glob(f"eval/*/{status.FILE}"))
    return next((one.activity for one in evaluations if one is not None and one.pid == job.process.pid), "")


def _to_go(row: Row, found: Status) -> str:
    """At the pace since it was first seen; early stopping may end it sooner."""
    if row.began is None:
        row.began = (time.monotonic(), found.epoch)
    since, epochs = time.monotonic() - row.began[0], found.epoch - row.began[1]
    if not epochs or not row.max_epochs or found.state == "done":
        return ""
    seconds = round(since / epochs * (row.max_epochs - found.epoch))
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
