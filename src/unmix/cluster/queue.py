"""Slurm's queue, asked with `squeue`: which job waits, runs or has ended, and where.

`sacct`, which submitit asks, needs an accounting database that many clusters lack. `squeue` forgets a job some minutes
after its end; what a job wrote about its end (`record`) stays.
"""

import subprocess
from collections.abc import Collection
from dataclasses import dataclass

FORMAT = "%j|%K|%i|%T|%N|%S|%r"
PATIENCE_SECONDS = 60  # while the controller restarts, squeue itself tries again for about this long
ENDED = (
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "BOOT_FAIL",
    "DEADLINE",
    "REVOKED",
)
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
ORDINARY = ("None", "Priority", "Resources", "JobArrayTaskLimit", "BeginTime")  # reasons to wait that need no action


@dataclass(frozen=True)
class Entry:
    """A job in the queue.

    Args:
        job: its id, such as `12_3`.
        state: Slurm's word for its state, such as PENDING.
        nodes: names of the nodes that it runs on; empty while it waits.
        since: when it started or will start, in Slurm's format.
        reason: why it waits, in Slurm's words.
    """

    job: str
    state: str
    nodes: str
    since: str
    reason: str

    @property
    def has_ended(self) -> bool:
        """Whether the job has ended and will not start again."""
        return self.state in ENDED

    @property
    def is_waiting(self) -> bool:
        """Whether the job waits for its start."""
        return self.state in WAITING

    @property
    def is_running(self) -> bool:
        """Whether the job runs."""
        return not self.has_ended and not self.is_waiting

    @property
    def obstacle(self) -> str:
        """Why the job waits, when that is something to know about, such as a node that is down; else empty."""
        return self.reason if self.is_waiting and self.reason not in ORDINARY else ""


Entries = dict[tuple[str, int], Entry]  # (name of the array, index in it) -> job


def command(names: Collection[str]) -> list[str]:
    """Command line that lists the jobs of the arrays with these names, ended ones too."""
    listed = ",".join(sorted(names))
    return ["squeue", "--noheader", "--array", "--states=all", f"--name={listed}", f"--format={FORMAT}"]


def parse(output: str) -> Entries:
    """Parse what `command` prints."""
    entries: Entries = {}
    for line in output.splitlines():
        name, index, *rest = line.strip().split("|", maxsplit=6)
        entries[name, int(index) if index.isdecimal() else 0] = Entry(*rest)
    return entries


def read(names: Collection[str]) -> Entries:
    """Read the jobs of the arrays with these names.

    Raises:
        OSError: when `squeue` is not installed, or Slurm does not answer.
    """
    return parse(_output(command(names))) if names else {}


def cancel(jobs: Collection[str]) -> None:
    """Cancel jobs, given their ids; those that have ended are left alone.

    Raises:
        OSError: as `read`.
    """
    _output(["scancel", *jobs])


def has_gpus(partition: str | None) -> bool:
    """Whether any node of a partition, or of all for None, has GPUs; False when Slurm does not know the partition.

    Raises:
        OSError: as `read`.
    """
    chosen = [f"--partition={partition}"] if partition else []
    return "gpu" in _output(["sinfo", "--noheader", "--format=%G", *chosen])


def _output(command: list[str]) -> str:
    """Output of one of Slurm's commands."""
    name = command[0]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except FileNotFoundError as error:
        raise OSError(f"hydra/launcher: {name} is not on PATH; Slurm jobs are submitted from a login node") from error
    except subprocess.TimeoutExpired as error:
        raise OSError(f"hydra/launcher: {name} has not answered for {PATIENCE_SECONDS} s; try again later") from error
    if done.returncode:
        raise OSError(f"hydra/launcher: {name} failed ({' '.join(done.stderr.split())}); try again later")
    return done.stdout


class Watch:
    """Runs `squeue` in the background, because it does not return while Slurm's controller restarts."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_asking(self) -> bool:
        """Whether `squeue` was started and its answer not yet taken."""
        return self._process is not None

    def ask(self, names: Collection[str]) -> None:
        """Start `squeue` for the job arrays with these names; `answer` returns the jobs once it has ended."""
        self._process = subprocess.Popen(
            command(names), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def answer(self) -> Entries | None:
        """Return the jobs that `squeue` listed, once; None while it runs, when it failed, or when none was started."""
        if self._process is None or self._process.poll() is None:
            return None
        process, self._process = self._process, None
        output, _ = process.communicate()
        return parse(output) if process.returncode == 0 else None

    def close(self) -> None:
        """Kill `squeue` if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
