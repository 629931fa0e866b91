"""Jobs of a sweep and the engines that run them: child processes here, Slurm or Ray beyond this machine."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.processes.signals import Interrupted

TICK_SECONDS = 0.25
# Environment variable of a job: id of the process that it must not outlive, see `signals.die_with_parent`.
LAUNCHER = "UNMIX_LAUNCHER"
# Environment variable of a job: name of the sweep that it belongs to.
SWEEP = "UNMIX_SWEEP"


@dataclass(frozen=True)
class Task:
    """What a job is to do.

    Args:
        command: program and arguments.
        run: folder that the command works in; its status.json tells how far it is.
        log: file that receives stdout and stderr; appended to.
        environment: variables to add to the environment.
        is_needed: called right before the start; False skips the job.
    """

    command: Sequence[str]
    run: Path
    log: Path
    environment: Mapping[str, str]
    is_needed: Callable[[], bool]


class Job(ABC):
    """A task that was given to an engine. It waits, then runs or is skipped; what ran ends with an exit code."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.was_skipped = False

    @property
    @abstractmethod
    def is_running(self) -> bool:
        """Whether the command has started and not ended."""

    @property
    @abstractmethod
    def exit_code(self) -> int | None:
        """Exit code of the command: None until it has ended, -N when signal N killed it."""

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Id of the process that runs or ran the command, on whichever machine; None when unknown."""

    @abstractmethod
    def stop(self) -> None:
        """Ask the command to save a checkpoint and end, if it is running; returns at once."""

    @property
    def is_waiting(self) -> bool:
        """Whether the job has neither started nor been skipped."""
        return not self.is_running and not self.was_skipped and self.exit_code is None

    @property
    def waits_as(self) -> str:
        """Name of the state of a job that waits."""
        return "waiting"

    @property
    def place(self) -> str:
        """What to show beside the state: where the job runs, or why it waits; empty on this machine."""
        return ""

    @property
    def has_failed(self) -> bool:
        """Whether the command ended with another exit code than 0."""
        return self.exit_code not in (None, 0)


class Engine(ABC):
    """Runs jobs, in the order in which they were added.

    Args:
        slots: number of jobs that may run at once, at least 1.
    """

    waits = True  # whether `run` waits for the end of the jobs; if not, they go on without it

    def __init__(self, slots: int) -> None:
        self.slots = slots

    @abstractmethod
    def add(self, tasks: Sequence[Task]) -> Sequence[Job]:
        """Take further tasks; return their jobs, which wait."""

    @abstractmethod
    def step(self, *, may_start: bool) -> None:
        """Learn what has ended and, if `may_start`, start waiting jobs where there is room; called again and again."""

    @abstractmethod
    def interrupt(self, signum: int, tick: Callable[[], None]) -> None:
        """React to a signal that this process received: end the running jobs, or leave them and say how to end them.

        Args:
            signum: the signal.
            tick: to be called several times per second while the jobs end.
        """

    @abstractmethod
    def close(self) -> None:
        """Release everything; called once, at the end, also after an error."""


def run(engine: Engine, jobs: Sequence[Job], *, fail_fast: bool, tick: Callable[[], None]) -> None:
    """Step an engine until all of its jobs have ended, or, if it does not wait, have been handed over.

    Args:
        engine: the engine, which is closed at the end.
        jobs: what its `add` returned; a list may grow meanwhile.
        fail_fast: after a failure, start no further job; running jobs go on to their end.
        tick: called several times per second; may add jobs to the engine and to `jobs`.

    Raises:
        Interrupted: on a signal, after the engine has reacted to it. A second signal is raised at once.
    """

    def may_start() -> bool:
        return not (fail_fast and any(job.has_failed for job in jobs))

    def are_unfinished() -> bool:
        return any(job.is_running or (job.is_waiting and may_start()) for job in jobs)

    try:
        while True:
            engine.step(may_start=may_start())
            goes_on = are_unfinished()
            tick()
            if not engine.waits or (not goes_on and not are_unfinished()):
                return
            time.sleep(TICK_SECONDS)
    except Interrupted as error:
        engine.interrupt(error.signum, tick)
        raise
    finally:
        engine.close()


def last_line(log: Path) -> str:
    """Last line of a job's log: for a failed job, usually its error."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no message in its log"
