"""status.json: what a run, or an evaluation, is doing, and who is doing it."""

import json
import socket
import time
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import psutil

from unmix.experiments import folder

State = Literal["running", "done", "failed", "interrupted"]
SCHEMA = 1
FILE = "status.json"
# On another machine a process cannot be looked at; there, this long without a sign of life means it is gone.
SILENT_SECONDS = 300.0
# Clock corrections shift the start times that the operating system computes.
SAME_START_SECONDS = 2.0


@dataclass(frozen=True)
class Status:
    """State of a run folder.

    Args:
        experiment: identity that the folder belongs to.
        state: running, done, failed or interrupted; a `running` whose process is gone was killed.
        reason: why it ended, in one line.
        epoch, step: finished epochs and optimiser steps.
        length: what was asked for: max_epochs, max_steps, max_time; none of them is a limit when -1 or None.
        stopped_early: early stopping ended it, so that a longer request changes nothing.
        best: lowest val/loss so far.
        activity: what it is at, for people.
        weights: digest of the best weights, when done.
        targets: names of the sources it estimates, when done; empty in files of before 2026-12.
        host, pid, pid_started: the process that wrote this; seconds since 1970.
        started, heartbeat: of this attempt; seconds since 1970.
    """

    experiment: str
    state: State
    reason: str = ""
    epoch: int = 0
    step: int = 0
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
    schema: int = SCHEMA

    def beat(self, **changes: Any) -> "Status":
        """The same with changes, as of now."""
        return replace(self, heartbeat=time.time(), **changes)

    def is_alive(self) -> bool:
        """Whether the process that wrote `running` may still be at it."""
        if self.state != "running":
            return False
        if self.host != socket.gethostname():
            return time.time() - self.heartbeat < SILENT_SECONDS
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.pid_started) < SAME_START_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


def running_here(experiment: str) -> Status:
    """The status of this process taking up a run."""
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
    folder.write_json(run / FILE, asdict(status))


def read(run: Path) -> Status | None:
    """The status of a folder; None when it has none.

    Raises:
        ValueError: when the file is damaged, or of a newer version.
    """
    path = run / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
        content.setdefault("targets", ())
        if schema <= SCHEMA:
            return Status(**{field.name: content[field.name] for field in fields(Status)})
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: damaged ({type(error).__name__}); remove it to go on from the last checkpoint, or fresh=true"
        ) from error
    raise ValueError(f"{path}: has schema {schema}, this version reads up to {SCHEMA}: update unmix")
