"""status.json: the state of a run or an evaluation, and the process that works on it."""

import json
import socket
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from unmix.errors import counted
from unmix.experiments import folder

State = Literal["running", "done", "failed", "interrupted"]
SCHEMA = 1
FILE = "status.json"
# A process on another machine counts as dead after this long without a heartbeat.
SILENT_SECONDS = 300.0
# Clock corrections shift the start time that the operating system reports for a process.
SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Status:
    """State of a run or an evaluation folder.

    Args:
        experiment: identity of the experiment that the folder belongs to.
        state: running, done, failed or interrupted; `running` with a dead process means that it was killed.
        reason: why the run failed or was interrupted, in one line.
        diverged: whether it failed because a loss or a weight was NaN or infinite, which the same again would repeat.
        epoch: number of finished epochs.
        step: number of finished optimiser steps.
        batch: number of finished batches of an incomplete last epoch, once done; 0 when the last epoch is complete.
        length: requested max_epochs, max_steps and max_time; -1 or None is no limit.
        stopped_early: whether early stopping ended the run; a larger `length` then does not continue it.
        best: lowest val/loss so far.
        activity: what the process is doing now, for display.
        weights: digest of the best weights, once done.
        targets: names of the estimated sources, once done; empty in files written when a run had one target.
        host: name of the machine that wrote this status.
        pid: id of the process that wrote it.
        pid_started: start of that process, seconds since 1970.
        started: start of this attempt, seconds since 1970.
        heartbeat: last update, seconds since 1970.
        earlier: seconds that earlier attempts took; None when one was by a version that did not record it.
        schema: version of the file format.
    """

    experiment: str
    state: State
    reason: str = ""
    diverged: bool = False
    epoch: int = 0
    step: int = 0
    batch: int = 0
    length: dict[str, Any] | None = None
    stopped_early: bool = False
    best: float | None = None
    activity: str = ""
    weights: str = ""
    targets: tuple[str, ...] = ()
    host: str = ""
    pid: int = 0
    pid_started: float = 0.0
    started: float = 0.0
    heartbeat: float = 0.0
    earlier: float | None = 0.0
    schema: int = SCHEMA

    def beat(self, **changes: Any) -> "Status":
        """Copy the status with changes and a new heartbeat."""
        return replace(self, heartbeat=time.time(), **changes)

    @property
    def duration(self) -> str:
        """How long a done run was trained, such as `10 epochs`; in steps when its last epoch is incomplete."""
        count, unit = (self.step, "step") if self.batch or not self.epoch else (self.epoch, "epoch")
        return counted(count, unit)

    @property
    def seconds(self) -> float | None:
        """Seconds that all attempts took together; None when unknown."""
        return None if self.earlier is None else self.earlier + max(0.0, self.heartbeat - self.started)

    @property
    def is_here(self) -> bool:
        """Whether this machine wrote the status."""
        return self.host == socket.gethostname()

    def is_alive(self) -> bool:
        """Whether the state is `running` and its process may still be alive.

        On another machine, a recent heartbeat decides; where the clocks may differ, see `watch`.
        """
        if self.state != "running":
            return False
        if not self.is_here:
            return abs(time.time() - self.heartbeat) < SILENT_SECONDS
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.pid_started) < SAME_START_SECONDS  # ids are reused
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def running_here(experiment: str) -> Status:
    """Make the status `running` of an experiment's folder, with this process as its holder."""
    now = time.time()
    return Status(
        experiment,
        "running",
        host=socket.gethostname(),
        pid=psutil.Process().pid,
        pid_started=psutil.Process().create_time(),
        started=now,
        heartbeat=now,
    )


def write(run: Path, status: Status) -> None:
    """Write a status to its folder."""
    folder.write_json(run / FILE, asdict(status))


def read(run: Path) -> Status | None:
    """Read the status of a folder; None when it has none.

    Raises:
        ValueError: when the file is damaged or was written by a newer version.
    """
    path = run / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
        defaults = {"targets": (), "batch": 0, "earlier": None, "diverged": False}  # which older versions did not write
        content = {**defaults, **content}
        if schema <= SCHEMA:
            return Status(**{field.name: content[field.name] for field in fields(Status)})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: damaged ({type(error).__name__}); remove it to go on from the last checkpoint, or fresh=true"
        ) from error
    raise ValueError(f"{path}: has schema {schema}, this version reads up to {SCHEMA}: update unmix")
