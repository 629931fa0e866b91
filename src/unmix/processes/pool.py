"""A pool that runs commands as child processes, a fixed number at a time; no child outlives the pool."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unmix.processes.signals import Interrupted

TICK_SECONDS = 0.25
# Environment variable of a job: id of the process that it must not outlive, see `signals.die_with_parent`.
LAUNCHER = "UNMIX_LAUNCHER"
# Environment variable of a job: name of the sweep that it belongs to.
SWEEP = "UNMIX_SWEEP"


@dataclass
class Job:
    """A command, and the process that runs it.

    Args:
        command: program and arguments.
        log: file that receives stdout and stderr; appended to.
        environment: returns the variables to add to this process's environment, given the job's slot.
        is_needed: called right before the start; False skips the job.
        process: None until the job has started.
        was_skipped: whether `is_needed` returned False.
        slot: index of the slot it runs in; -1 until the job has started.
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
        """Whether the process has started and not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process: None until it has ended, -N when signal N killed it."""
        return None if self.process is None else self.process.poll()

    @property
    def is_waiting(self) -> bool:
        """Whether the job has neither started nor been skipped."""
        return self.process is None and not self.was_skipped

    @property
    def has_failed(self) -> bool:
        """Whether the process ended with another exit code than 0."""
        return self.exit_code not in (None, 0)

    def start(self, slot: int) -> None:
        """Start the process in its own session, so that Ctrl-C in the terminal reaches only the parent."""
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
        """Send a signal to the process, if it is running."""
        if self.is_running and self.process is not None:
            self.process.send_signal(signum)

    def kill(self) -> None:
        """Kill the process and its children, if it is running, and wait for its end."""
        if self.is_running and self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def run(jobs: Sequence[Job], *, slots: int, fail_fast: bool, tick: Callable[[], None]) -> None:
    """Run jobs in order, at most `slots` at a time.

    Args:
        jobs: jobs that have not started.
        slots: number of jobs that may run at once, at least 1.
        fail_fast: after a failure, start no further job; running jobs go on to their end.
        tick: called several times per second.

    Raises:
        Interrupted: on a signal, after it was passed on and all running jobs ended. A second signal kills them.
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
        taken = {other.slot for other in jobs if other.is_running}
        free = [slot for slot in range(slots) if slot not in taken]
        if not free:
            return
        if job.is_waiting:
            if job.is_needed():
                job.start(free[0])
            else:
                job.was_skipped = True


def _end(jobs: Sequence[Job], signum: int, tick: Callable[[], None]) -> None:
    """Send a signal to the running jobs, and wait until they have written their checkpoints and ended."""
    for job in jobs:
        job.send(signum)
    while any(job.is_running for job in jobs):
        tick()
        time.sleep(TICK_SECONDS)


def last_line(log: Path) -> str:
    """Last line of a job's log: for a failed job, usually its error."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "no message in its log"
