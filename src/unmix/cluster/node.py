"""What a Slurm job runs on its node: the command of a task, as a child process that can be requeued."""

import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from submitit.helpers import Checkpointable, DelayedSubmission

from unmix.cluster import record
from unmix.experiments import status
from unmix.processes import signals
from unmix.processes.jobs import LAUNCHER

POLL_SECONDS = 0.5
SIGNAL_SECONDS = 5.0  # a signal reaches the child and this process within less
# Exit codes of a command that a signal stopped: ours, and those of one that had not yet installed its handlers.
STOPPED = (signals.TEMPORARY_FAILURE, signals.INTERRUPTED, -signal.SIGUSR2, -signal.SIGTERM, -signal.SIGINT)


@dataclass
class TrainingOnNode(Checkpointable):
    """Runs a training command on a node; with several tasks, one rank of it in each.

    Slurm sends a signal to every process of a job, so the command receives it without our help, saves a checkpoint and
    exits. On SIGUSR2, submitit calls `checkpoint` here and requeues the job. On SIGTERM it ends: `scancel` wants that,
    and a preempted job is requeued by Slurm.

    Args:
        command: program and arguments.
        run: folder that the command works in, absolute.
        log: file that receives stdout and stderr of rank 0; appended to.
        environment: variables to add to the environment.
        array, index: see `record.Record`.
    """

    command: Sequence[str]
    run: Path
    log: Path
    environment: Mapping[str, str]
    array: str
    index: int
    pid: int | None = None

    def __call__(self) -> None:
        """Run the command to its end; exits with its exit code.

        Raises:
            SystemExit: when the command failed, or a signal stopped it.
        """
        self.pid = None
        if _rank() == 0:
            self._run_first_rank()
        elif self._is_held_by_first_rank():
            self._start(None)
            code = self._wait()
            # the first rank alone decides about requeuing, and srun ends all tasks when one exits with an error
            if code not in STOPPED:
                sys.exit(code)

    def checkpoint(self) -> DelayedSubmission:
        """Wait until the command has saved its checkpoint and ended; called by submitit, which then requeues the job.

        Raises:
            SystemExit: when the command has ended otherwise: nothing is left to continue, or it failed.
        """
        if self.pid is not None and (code := self._wait()) not in STOPPED:
            self._end(code)
        self._note(exit_code=None)
        return super().checkpoint()

    def _run_first_rank(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._start(output.fileno())
        self._note(host=_host(), pid=self.pid or 0)
        self._end(self._wait())

    def _start(self, output: int | None) -> None:
        """Start the command, with its output to a file; a requeued one continues what `fresh=true` began."""
        command = [*self.command, *(["fresh=false"] if _attempt() else [])]
        environment = {**os.environ, **self.environment, **_rank_variables(), LAUNCHER: str(os.getpid())}
        environment.setdefault("OMP_NUM_THREADS", os.environ.get("SLURM_CPUS_PER_TASK", "1"))
        files = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        if output is not None:
            files += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]  # type: ignore[list-item]
        # no Popen: its `wait` and `poll` hang in a signal handler that interrupts them
        self.pid = os.posix_spawnp(command[0], command, environment, file_actions=files, setsigdef=[signal.SIGPIPE])

    def _wait(self) -> int:
        """Wait for the end of the child; return its exit code, -N when signal N killed it."""
        assert self.pid is not None
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def _end(self, code: int) -> None:
        """Record the exit code, and exit with it if it is an error."""
        if code < 0 and code not in STOPPED:
            with self.log.open("a", encoding="utf-8") as output:
                output.write(f"killed by {signal.Signals(-code).name}, for instance for lack of memory\n")
        self._note(exit_code=code)
        if code in STOPPED:
            time.sleep(SIGNAL_SECONDS)  # the signal may reach this process, which then requeues the job, a little later
        if code:
            sys.exit(code if code > 0 else 128 - code)

    def _note(self, **changes: object) -> None:
        """Change the record of the run, which no other process writes while this one runs."""
        now = record.read(self.run)
        if now is None or now.key != (self.array, self.index):
            now = record.Record(self.array, self.index, str(self.log))
        record.write(self.run, replace(now, job=_job(), attempt=_attempt(), **changes))  # type: ignore[arg-type]

    def _is_held_by_first_rank(self) -> bool:
        """Wait until rank 0 holds the run's folder; False when it ended without, as it does when nothing is left to do.

        A rank that started earlier could read checkpoints that rank 0 is about to move.
        """
        while True:
            first = record.read(self.run)
            if first is not None and first.key == (self.array, self.index) and first.attempt == _attempt():
                if first.exit_code is not None:
                    return False
                held = status.read(self.run)
                if held is not None and (held.state, held.host, held.pid) == ("running", first.host, first.pid):
                    return True
            time.sleep(POLL_SECONDS)


def _rank() -> int:
    return int(os.environ.get("SLURM_PROCID", "0"))


def _attempt() -> int:
    return int(os.environ.get("SLURM_RESTART_COUNT", "0"))


def _host() -> str:
    return os.uname().nodename


def _job() -> str:
    array, index = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{index}" if array else os.environ.get("SLURM_JOB_ID", "")


def _rank_variables() -> dict[str, str]:
    """Variables that tell a command with several ranks which it is, before Lightning reads Slurm's; none for one."""
    if int(os.environ.get("SLURM_NTASKS", "1")) == 1:
        return {}
    ranks = {"RANK": os.environ["SLURM_PROCID"], "LOCAL_RANK": os.environ["SLURM_LOCALID"]}
    is_on_one_machine = os.environ.get("SLURM_JOB_NUM_NODES", "1") == "1"
    return {**ranks, "MASTER_ADDR": "127.0.0.1"} if is_on_one_machine else ranks
