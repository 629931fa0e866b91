"""The engine of a cluster: runs jobs as Slurm job arrays, which go on without the command that submitted them."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from unmix.cluster import queue, record
from unmix.cluster.queue import Entry
from unmix.cluster.record import Record
from unmix.cluster.submission import Request, Resources, submit
from unmix.experiments import status
from unmix.processes import signals
from unmix.processes.jobs import Engine, Job, Task

POLL_SECONDS = 5.0  # between two questions about the queue, which all users of a cluster share
FAILURES = ("FAILED", "OUT_OF_MEMORY", "BOOT_FAIL", "DEADLINE")  # the same command would end in the same way


class SlurmJob(Job):
    """A job in Slurm's queue.

    Args:
        task: see `Task`.
        key: name of the job array and index in it; None until the job was submitted, or adopted.
        entry: what the queue last said of it.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.key: tuple[str, int] | None = None
        self.entry: Entry | None = None
        self.ended_with: int | None = None

    @property
    def is_running(self) -> bool:
        """Whether Slurm runs the job."""
        return self.ended_with is None and self.entry is not None and self.entry.is_running

    @property
    def exit_code(self) -> int | None:
        """Exit code of the command; 75 when the job was lost, 1 when Slurm could not run it."""
        return self.ended_with

    @property
    def pid(self) -> int | None:
        """Id of the process on its node that wrote the status of the run last."""
        now = status.read(self.task.run)
        return None if now is None else now.pid

    def stop(self) -> None:
        """Cancel the job; its command then saves a checkpoint and ends, and is not requeued."""
        if ids := _unfinished([self]):
            queue.cancel(ids)

    @property
    def waits_as(self) -> str:
        """Name of the state of a job that waits."""
        return "waiting" if self.key is None else "queued"

    @property
    def place(self) -> str:
        """Nodes that the job runs on, or why it waits if that is something to know about."""
        if self.entry is None:
            return ""
        return f"on {self.entry.nodes}" if self.is_running else self.entry.obstacle

    def end(self) -> None:
        """Find out how the job ended, which has left the queue or is there as ended."""
        written = record.read(self.task.run)
        code = written.exit_code if written is not None and written.key == self.key else None
        state = "" if self.entry is None else self.entry.state
        if code is None and state == "COMPLETED":
            code = 0  # what the node wrote is not visible here yet
        if code is None and state in FAILURES:
            code = 1
            self._explain()
        self.ended_with = signals.TEMPORARY_FAILURE if code is None else code

    def _explain(self) -> None:
        """Append to the log why Slurm could not run the job to an end."""
        assert self.entry is not None
        text = f"Slurm job {self.entry.job} on {self.entry.nodes} ended as {self.entry.state} ({self.entry.reason})"
        if self.entry.reason == "JobLaunchFailure" or not self.task.log.exists():
            folder = self.task.log.parent.absolute()
            text += f"; does that node see {folder}? paths.out must be a folder that all nodes share"
        self.task.log.parent.mkdir(parents=True, exist_ok=True)
        with self.task.log.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


class SlurmArray(Engine):
    """Engine that runs jobs as Slurm job arrays.

    Args:
        slots: number of jobs that may run at once.
        request: what is asked of Slurm for every job.
        resources: folder of a run -> what its job needs; other runs need what the first one does.
        waits: whether `run` waits for the jobs to end.
    """

    def __init__(self, slots: int, request: Request, resources: Mapping[Path, Resources], *, waits: bool) -> None:
        super().__init__(slots)
        self.request, self.resources, self.waits = request, dict(resources), waits
        self.jobs: list[SlurmJob] = []
        self.watch = queue.Watch()
        self.asked_at = -POLL_SECONDS

    def add(self, tasks: Sequence[Task]) -> list[SlurmJob]:
        """Take further tasks; return their jobs, which wait."""
        added = [SlurmJob(task) for task in tasks]
        self.jobs += added
        return added

    def step(self, *, may_start: bool) -> None:
        """Submit new jobs, or adopt those that an earlier command submitted; else look at the queue every 5 s."""
        new = [job for job in self.jobs if job.key is None and not job.was_skipped]
        if not may_start:
            self._cancel([job for job in self.jobs if job.key is not None and job.is_waiting])
        elif new:
            self._adopt(new)
            self._submit([job for job in new if job.key is None])
        if (entries := self.watch.answer()) is not None:
            self._learn(entries)
        names = {job.key[0] for job in self.jobs if job.key is not None and job.exit_code is None}
        if names and not self.watch.is_asking and time.monotonic() - self.asked_at >= POLL_SECONDS:
            self.watch.ask(names)
            self.asked_at = time.monotonic()

    def _adopt(self, jobs: Sequence[SlurmJob]) -> None:
        """Take over the jobs that are queued or running since an earlier command."""
        records = [(job, written) for job in jobs if (written := record.read(job.task.run)) is not None]
        open_records: list[tuple[SlurmJob, Record]] = [pair for pair in records if pair[1].exit_code is None]
        entries = queue.read({written.array for _, written in open_records})
        for job, written in open_records:
            entry = entries.get(written.key)
            if entry is not None and not entry.has_ended:
                job.key, job.entry, job.task = written.key, entry, replace(job.task, log=Path(written.log))

    def _submit(self, jobs: Sequence[SlurmJob]) -> None:
        """Submit jobs that still have something to do: one array for all that need the same."""
        arrays: dict[Resources, list[SlurmJob]] = {}
        for job in jobs:
            if job.task.is_needed():
                needs = self.resources.get(job.task.run, next(iter(self.resources.values())))
                arrays.setdefault(needs, []).append(job)
            else:
                job.was_skipped = True
        for resources, members in arrays.items():
            name, ids = submit([job.task for job in members], resources, self.request)
            for index, (job, number) in enumerate(zip(members, ids, strict=True)):
                job.key, job.entry = (name, index), Entry(number, "PENDING", "", "", "None")

    def _learn(self, entries: queue.Entries) -> None:
        for job in self.jobs:
            if job.key is None or job.exit_code is not None:
                continue
            entry = entries.get(job.key)
            job.entry = entry or job.entry
            if entry is None or entry.has_ended:
                job.end()

    def interrupt(self, signum: int, tick: Callable[[], None]) -> None:
        """Leave the jobs to Slurm, and print how to end them."""
        ids = " ".join(_unfinished(self.jobs))
        if ids:
            print(f"the jobs go on in Slurm; `scancel {ids}` ends them", file=sys.stderr, flush=True)  # noqa: T201

    def _cancel(self, jobs: Sequence[SlurmJob]) -> None:
        if ids := _unfinished(jobs):
            queue.cancel(ids)
        for job in jobs:
            job.was_skipped = True

    def close(self) -> None:
        """End an open question about the queue; the jobs go on."""
        self.watch.close()


def _unfinished(jobs: Sequence[SlurmJob]) -> list[str]:
    """Slurm's ids of the jobs that have not ended."""
    return [job.entry.job for job in jobs if job.entry is not None and job.exit_code is None and not job.was_skipped]
