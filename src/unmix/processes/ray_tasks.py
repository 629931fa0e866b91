"""The engine of a Ray cluster: runs each job as a Ray task, which runs its command as a child process on some node.

A task whose worker or node dies is started again by Ray, and its command goes on from the last checkpoint.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import ray.exceptions
from ray import cloudpickle

from unmix.errors import one_line
from unmix.processes.jobs import LAUNCHER, TICK_SECONDS, Engine, Job, Task
from unmix.processes.signals import TEMPORARY_FAILURE

# What a task writes to the job's log when it starts, on whichever node.
STARTED = re.compile(r"^ray: process (?P<pid>\d+) on (?P<host>[^,\s]+)", re.MULTILINE)

# Workers unpickle the task without importing this module, which their Python need not know yet.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@dataclass(frozen=True)
class Needs:
    """What every job needs of a node.

    Args:
        num_cpus: CPUs.
        num_gpus: GPUs, which Ray chooses and sets CUDA_VISIBLE_DEVICES to.
        threads: OMP_NUM_THREADS of a job's processes, unless the user has set it.
        max_retries: times that Ray starts a job again after its worker or node died.
    """

    num_cpus: int = 1
    num_gpus: int = 0
    threads: int = 1
    max_retries: int = 3


class RayJob(Job):
    """A job, and the Ray task that runs it.

    Args:
        task: see `Task`.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.reference: Any = None  # to the result of the Ray task; None until it was submitted
        self.log_begins = 0  # size of the log when it was submitted
        self.ended_with: int | None = None

    @property
    def is_submitted(self) -> bool:
        """Whether Ray has the job and it has not ended."""
        return self.reference is not None and self.ended_with is None

    @property
    def is_running(self) -> bool:
        """Whether the command has started on a node and not ended."""
        return self.is_submitted and self.task.log.stat().st_size > self.log_begins

    @property
    def exit_code(self) -> int | None:
        """Exit code of the command; 75 when the job was cancelled, 1 when Ray could not run it."""
        return self.ended_with

    @property
    def pid(self) -> int | None:
        """Id of the process on its node."""
        started = self._last_start()
        return None if started is None else int(started["pid"])

    @property
    def place(self) -> str:
        """Node that the job runs on."""
        started = self._last_start() if self.is_running else None
        return "" if started is None else f"on {started['host']}"

    def stop(self) -> None:
        """Cancel the job; its command then saves a checkpoint and ends."""
        if self.is_submitted:
            ray.cancel(self.reference)

    def submit(self, remote: Any) -> None:
        """Hand the job to Ray; it starts when a node has room for it."""
        log = self.task.log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self.log_begins = output.tell()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.reference = remote.options(name=self.task.run.name).remote(
            list(self.task.command), str(Path.cwd()), str(log.absolute()), {**environment, **self.task.environment}
        )

    def collect(self) -> None:
        """Learn how the job ended, once Ray says that it has; an error of Ray's becomes the last line of the log."""
        try:
            self.ended_with = ray.get(self.reference)
        except ray.exceptions.TaskCancelledError:
            self.ended_with = TEMPORARY_FAILURE
        except ray.exceptions.RayError as error:
            self.ended_with = 1
            with self.task.log.open("a", encoding="utf-8") as output:
                output.write(f"ray: {one_line(getattr(error, 'cause', None) or error)}\n")

    def _last_start(self) -> re.Match[str] | None:
        if self.reference is None:
            return None
        with self.task.log.open("rb") as file:
            file.seek(self.log_begins)
            text = file.read().decode("utf-8", errors="replace")
        return next(reversed(list(STARTED.finditer(text))), None)


class RayTasks(Engine):
    """Engine that runs jobs as tasks of the Ray cluster that this process is connected to; `close` disconnects it.

    Args:
        slots: number of jobs that Ray may have at once, at least 1; those without room wait in its queue.
        needs: what every job needs of a node.
    """

    def __init__(self, slots: int, needs: Needs) -> None:
        super().__init__(slots)
        self.jobs: list[RayJob] = []
        options: dict[str, Any] = {
            "num_cpus": needs.num_cpus,
            "num_gpus": needs.num_gpus,
            "max_retries": needs.max_retries,
        }
        self.remote = ray.remote(**options)(_command_on(needs.threads))

    def add(self, tasks: Sequence[Task]) -> list[RayJob]:
        """Take further tasks; return their jobs, which wait."""
        added = [RayJob(task) for task in tasks]
        self.jobs += added
        return added

    def step(self, *, may_start: bool) -> None:
        """Learn which jobs have ended and, if `may_start`, submit waiting ones while Ray has fewer than `slots`."""
        self._collect()
        free = self.slots - len(self._submitted())
        for job in self.jobs if may_start else ():
            if free <= 0:
                return
            if job.reference is not None or job.was_skipped:
                continue
            if job.task.is_needed():
                job.submit(self.remote)
                free -= 1
            else:
                job.was_skipped = True

    def interrupt(self, signum: int, tick: Callable[[], None]) -> None:
        """Cancel the jobs, and wait until those that run have written their checkpoints and ended."""
        for job in self._submitted():
            ray.cancel(job.reference)
        while self._submitted():
            self._collect()
            tick()
            time.sleep(TICK_SECONDS)

    def close(self) -> None:
        """Kill the workers of what still runs, whose commands then save a checkpoint; leave the cluster."""
        for job in self._submitted():
            ray.cancel(job.reference, force=True)
        ray.shutdown()

    def _submitted(self) -> list[RayJob]:
        return [job for job in self.jobs if job.is_submitted]

    def _collect(self) -> None:
        submitted = {job.reference: job for job in self._submitted()}
        if submitted:
            for reference in ray.wait(list(submitted), num_returns=len(submitted), timeout=0)[0]:
                submitted[reference].collect()


def _command_on(threads: int) -> Callable[[list[str], str, str, Mapping[str, str]], int]:
    """Make the function that a Ray worker runs: the command, as its child; it returns the exit code."""

    def run(command: list[str], folder: str, log: str, environment: Mapping[str, str]) -> int:
        host = socket.gethostname()
        if not Path(log).is_file() or not Path(folder).is_dir():
            raise FileNotFoundError(
                f"{host} does not see {log}: hydra/launcher=ray needs a file system that all nodes share, "
                "and paths.out on it"
            )
        devices = os.environ.get("CUDA_VISIBLE_DEVICES")  # of this job, from Ray
        own = {LAUNCHER: str(os.getpid()), **({} if devices is None else {"CUDA_VISIBLE_DEVICES": devices})}
        others = {name: value for name, value in environment.items() if name != "CUDA_VISIBLE_DEVICES"}
        # Ray blocks SIGINT in its workers, and a child would inherit that; Ray cancels by raising KeyboardInterrupt.
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with open(log, "ab", buffering=0) as output:  # noqa: PTH123
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={"OMP_NUM_THREADS": str(threads), **others, **own},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            node = ray.get_runtime_context().get_node_id()
            gpus = f", GPU {devices}" if devices else ""
            output.write(f"ray: process {process.pid} on {host}, node {node[:8]}{gpus}\n".encode())
        while True:
            try:
                while (code := process.poll()) is None:
                    time.sleep(TICK_SECONDS)
                return code
            except KeyboardInterrupt:
                process.send_signal(signal.SIGTERM)

    return run
