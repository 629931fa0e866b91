"""Processes side by side, in slots; none of them outlives this one."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unmix.experiments.signals import Interrupted

TICK_SECONDS = 0.25
# In a job's environment: the process that it must not outlive, see `signals.die_with_parent`.
LAUNCHER = "UNMIX_LAUNCHER"


@dataclass
class Job:
    """A command and what became of it.

    Args:
        command: program and arguments.
        log: file for everything it prints; appended to.
        environment: added to this process's, by slot.
        is_needed: asked right before it would start.
        process: once started.
        was_skipped: not needed any more.
    """

    command: Sequence[str]
    log: Path
    environment: Callable[[int], dict[str, str]]
    is_needed: Callable[[], bool]
    process: "subprocess.Popen[bytes] | None" = None
    was_skipped: bool = False
    slot: int = field(default=-1)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """None before its end; negative for a signal that killed it."""
        return None if self.process is None else self.process.poll()

    @property
    def is_waiting(self) -> bool:
        return self.process is None and not self.was_skipped

    @property
    def has_failed(self) -> bool:
        return self.exit_code not in (None, 0)

    def start(self, slot: int) -> None:
        """Start it in a session of its own, so that a terminal's Ctrl-C reaches this process alone."""
        self.slot = slot
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.environment(slot), LAUNCHER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def send(self, signum: int) -> None:
        if self.is_running and self.process is not None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """With everything it started."""
        if self.is_running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(jobs: Sequence[Job], *, slots: int, fail_fast: bool, tick: Callable[[], None]) -> None:
    """Run jobs in their order, `slots` at a time.

    Args:
        jobs: not started yet.
        slots: at least one.
        fail_fast: start no further job after one failed; those that run go on.
        tick: called several times a second.

    Raises:
        Interrupted: on a signal, after the jobs that ran were told and ended; a second one kills them.
    """
    try:
        while any(job.is_running or job.is_waiting for job in jobs):
            is_stopped = fail_fast and any(job.has_failed for job in jobs)
            if not is_stopped:
                _fill(jobs, slots)
            tick()
            if is_stopped and not any(job.is_running for job in jobs):
                return
            time.sleep(TICK_SECONDS)
        tick()
    except Interrupted as error:
        _end(jobs, error.signum, tick)
        raise
    finally:
        for job in jobs:
            job.kill()


def _fill(jobs: Sequence[Job], slots: int) -> None:
    """Start waiting jobs in free slots."""
    for job in jobs:
        taken = {one.slot for one in jobs if one.is_running}
        free = [slot for slot in range(slots) if slot not in taken]
        if not free:
            return
        if job.is_waiting:
            if job.is_needed():
                job.start(free[0])
            else:
                job.was_skipped = True


def _end(jobs: Sequence[Job], signum: int, tick: Callable[[], None]) -> None:
    """Tell the running jobs, and wait until their checkpoints are written."""
    for job in jobs:
        job.send(signum)
    while any(job.is_running for job in jobs):
        tick()
        time.sleep(TICK_SECONDS)
