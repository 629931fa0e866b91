"""The engine of this machine: runs jobs as child processes, a fixed number at a time; no child outlives it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

from unmix.processes.jobs import LAUNCHER, TICK_SECONDS, Engine, Job, Task


class ChildProcess(Job):
    """A job, and the child process that runs it.

    Args:
        task: see `Task`.
        process: None until the job has started.
        slot: index of the slot it runs in; -1 until the job has started.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.process: subprocess.Popen[bytes] | None = None
        self.slot = -1

    @property
    def is_running(self) -> bool:
        """Whether the process has started and not ended."""
        return self.process is not None and self.process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code of the process: None until it has ended, -N when signal N killed it."""
        return None if self.process is None else self.process.poll()

    @property
    def pid(self) -> int | None:
        """Id of the process; None until the job has started."""
        return None if self.process is None else self.process.pid

    def start(self, slot: int, environment: Mapping[str, str]) -> None:
        """Start the process in its own session, so that Ctrl-C in the terminal reaches only the parent."""
        self.slot = slot
        self.task.log.parent.mkdir(parents=True, exist_ok=True)
        with self.task.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.task.command,
                env={**os.environ, **environment, **self.task.environment, LAUNCHER: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def stop(self) -> None:
        """Ask the command to save a checkpoint and end, if it is running."""
        self.send(signal.SIGUSR2)

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


class ProcessPool(Engine):
    """Engine that runs jobs as child processes.

    Args:
        slots: number of jobs that may run at once, at least 1.
        environment: returns the variables to add to a job's environment, given its slot.
    """

    def __init__(self, slots: int, environment: Callable[[int], Mapping[str, str]]) -> None:
        super().__init__(slots)
        self.environment = environment
        self.jobs: list[ChildProcess] = []

    def add(self, tasks: Sequence[Task]) -> list[ChildProcess]:
        """Take further tasks; return their jobs, which wait."""
        added = [ChildProcess(task) for task in tasks]
        self.jobs += added
        return added

    def step(self, *, may_start: bool) -> None:
        """Start waiting jobs in free slots, if `may_start`."""
        taken = {job.slot for job in self.jobs if job.is_running}
        free = [slot for slot in range(self.slots) if slot not in taken]
        for job in self.jobs if may_start else ():
            if not free:
                return
            if not job.is_waiting:
                continue
            if job.task.is_needed():
                job.start(free[0], self.environment(free.pop(0)))
            else:
                job.was_skipped = True

    def interrupt(self, signum: int, tick: Callable[[], None]) -> None:
        """Send a signal to the running jobs, and wait until they have written their checkpoints and ended."""
        for job in self.jobs:
            job.send(signum)
        while any(job.is_running for job in self.jobs):
            tick()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        """Kill what still runs."""
        for job in self.jobs:
            job.kill()
