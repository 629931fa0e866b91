"""Progress of a sweep: a live table on a terminal, else one printed line per change."""

import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from unmix.errors import human_time
from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.processes.jobs import Job
from unmix.time_left import seconds_to_limit

# Exit codes of an interrupted job: ours, and those of a process that had not yet installed our signal handlers.
INTERRUPTED = (75, 130, -signal.SIGINT, -signal.SIGTERM)
# Statuses of running jobs that are read at a time; beyond that they take turns, to spare a shared file system.
MOST_READS = 100
# Rows of a table on a terminal that are no job's: head, borders, and the line of counts.
BORDERS = 6
# States in the order in which jobs are shown when there is no room for all.
ORDER = {"running": 0, "failed": 1, "interrupted": 2, "queued": 3, "waiting": 4}
COLUMNS = {
    "": "left",
    "job": "left",
    "parameters": "right",
    "state": "left",
    "progress": "left",
    "best val/loss": "right",
    "time left": "right",
}


@dataclass
class Line:
    """Row of the progress table: what is known of one job, without the cells that change (`View`).

    Args:
        number: number of the job, starting at 1.
        label: overrides that distinguish it from the other jobs.
        run: folder of its run.
        max_epochs: epochs to train; None is no limit.
        parameters: number of trainable parameters of its model.
        began: clock time and finished epochs when it was first seen running.
    """

    number: int
    label: str
    run: Path
    max_epochs: int | None
    parameters: int
    began: tuple[float, int] | None = None


@dataclass(frozen=True)
class View:
    """Cells of the table that change while a job runs."""

    state: str
    progress: str = ""
    best: str = ""
    to_go: str = ""
    place: str = ""


class Progress:
    """Context that shows the jobs of a sweep while they run, and appends every change to the file `journal`.

    Args:
        lines, jobs: a line for each job; both lists may grow meanwhile.
        journal: file of changes.
        total: number of jobs in the end; None: no job is added.
    """

    def __init__(self, lines: Sequence[Line], jobs: Sequence[Job], journal: Path, total: int | None = None) -> None:
        self.lines, self.jobs, self.journal, self.total = lines, jobs, journal, total
        self.console = Console()
        self.live = Live(console=self.console, refresh_per_second=4) if sys.stdout.isatty() else None
        self.last: dict[int, str] = {}  # number of the job -> state and progress last written to the journal
        self.shown: dict[int, View] = {}  # number of the job -> its cells
        self.final: dict[int, View] = {}  # the same of those that have ended
        self.ticks = 0

    def __enter__(self) -> "Progress":
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

    def update(self) -> None:
        """Read the status of running jobs again, each in its turn, and once of one that has ended; show all jobs."""
        self.ticks += 1
        turns = max(1, -(-sum(job.is_running for job in self.jobs) // MOST_READS))
        rows = zip(self.lines, self.jobs, strict=True)
        views = [self._view(line, job, is_due=(line.number + self.ticks) % turns == 0) for line, job in rows]
        self.shown = {line.number: view for line, view in zip(self.lines, views, strict=True)}
        changed = [pair for pair in zip(self.lines, views, strict=True) if self._has_changed(*pair)]
        if changed:
            with self.journal.open("a", encoding="utf-8") as file:
                file.writelines(f"{json.dumps(_entry(line, view))}\n" for line, view in changed)
        if self.live:
            self.live.update(self._table(views))

    def _view(self, line: Line, job: Job, *, is_due: bool) -> View:
        if line.number in self.final:
            return self.final[line.number]
        if job.is_running and not is_due:
            before = self.shown.get(line.number)
            return before if before is not None and before.state == "running" else View("running")
        has_ended = not job.is_running and not job.is_waiting  # before its status is read for the last time
        view = look(line, job)
        if has_ended:
            self.final[line.number] = view
        return view

    def summarize(self, states: Sequence[str]) -> None:
        """Print how many jobs ended in which state."""
        counts = {state: states.count(state) for state in dict.fromkeys(states)}
        names = {"new": "not started", "continues": "interrupted", "running": "held by another process"}
        self.console.print(", ".join(f"{count} {names.get(state, state)}" for state, count in counts.items()))

    def _has_changed(self, line: Line, view: View) -> bool:
        """Tell whether the state or the epoch of a job changed; without a live table, print it then."""
        progress = view.progress.partition(", batch")[0].partition(", validating")[0]
        text = " ".join(filter(None, (view.state, view.place, progress)))
        if self.last.get(line.number) == text:
            return False
        self.last[line.number] = text
        if not self.live and view.state != "waiting":
            left = f", {view.to_go} left" if view.to_go else ""
            text = f"[{line.number}/{self.total or len(self.lines)}] {line.label}: {text}{left}"
            self.console.print(text, markup=False, soft_wrap=True)
        return True

    def _table(self, views: Sequence[View]) -> Table:
        """Make the table of all jobs; of those that the terminal has room for, and counts, when they are more."""
        rows = list(zip(self.lines, views, strict=True))
        most = max(self.console.size.height - BORDERS, 1)
        table = Table(caption=_counts(views) if len(rows) > most else None, caption_justify="left")
        for name, side in COLUMNS.items():
            table.add_column(name, justify=side)  # type: ignore[arg-type]
        if len(rows) > most:
            rows = sorted(rows, key=lambda row: ORDER.get(row[1].state, len(ORDER)))[:most]  # keeps the order within
        for line, view in rows:
            parameters = f"{line.parameters:,}"
            state = f"{view.state} {view.place}".strip()
            table.add_row(str(line.number), line.label, parameters, state, view.progress, view.best, view.to_go)
        return table


def _counts(views: Sequence[View]) -> str:
    """Format how many jobs are in which state, as `2 running, 1998 waiting`."""
    return ", ".join(f"{count} {state}" for state, count in Counter(view.state for view in views).items())


def _entry(line: Line, view: View) -> dict[str, Any]:
    """Make the journal's entry of a job."""
    entry = {"time": round(time.time(), 3), "job": line.number, "run": str(line.run)}
    return {**entry, "state": view.state, "progress": view.progress}


def look(line: Line, job: Job) -> View:
    """Read the status of a job from its run folder, as cells of the table; nothing is read while it waits."""
    if job.is_waiting:
        return View(job.waits_as, place=job.place)
    now = status.read(line.run)
    state = _state(job, now)
    place = job.place if job.is_running else ""
    if now is None:
        return View(state, place=place)
    of_total = f"/{line.max_epochs}" if line.max_epochs else ""
    progress = now.duration if now.state == "done" else f"epoch {now.epoch}{of_total}"
    if activity := _activity(line.run, now, job):
        progress += f", {activity}"
    best = "" if now.best is None else f"{now.best:.4f}"
    return View(state, progress, best, _to_go(line, now) if state == "running" else "", place)


def _state(job: Job, now: Status | None) -> str:
    if job.is_running:
        return "running"
    if now is None:  # it ended before it created its folder
        return "interrupted" if job.exit_code in INTERRUPTED else "failed"
    return "interrupted" if now.state == "running" else now.state


def _activity(run: Path, now: Status, job: Job) -> str:
    """What the job's process is doing, for display: training, or the evaluation after it."""
    if now.state != "done" or job.pid is None:
        return now.activity
    evaluations = (status.read(path.parent) for path in run.parent.glob(f"eval/*/{status.FILE}"))
    return next((each.activity for each in evaluations if each is not None and each.pid == job.pid), "")


def _to_go(line: Line, now: Status) -> str:
    """Estimate the time left, such as `3.2 min`, at the pace since the job was first seen running; empty if unknown."""
    if line.began is None:
        line.began = (time.monotonic(), now.epoch)
    began, epoch = line.began
    seconds = seconds_to_limit(time.monotonic() - began, [epoch], [now.epoch], [line.max_epochs])
    return human_time(seconds) if seconds and now.state != "done" else ""
