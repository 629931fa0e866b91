"""Holding a folder: of several processes with the same command, one works and the others wait, skip or fail.

`status.json` is the lock: a folder is held as long as its status is `running` and the process it names lives. So a
process that was killed holds nothing, and nobody has to clean up after it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock

from unmix import errors
from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.processes import signals

log = logging.getLogger(__name__)

ON_BUSY = ("wait", "skip", "fail")
HEARTBEAT_SECONDS = 30.0
POLL_SECONDS = 1.0


class Busy(RuntimeError):
    """Another process holds the folder."""


class Held:
    """A folder that this process holds, its status kept up to date."""

    def __init__(self, path: Path, now: Status) -> None:
        self.path = path
        self.status = now
        self._mutex = threading.Lock()
        self._over = threading.Event()

    def update(self, **changes: Any) -> None:
        """Change the status, in memory and on disk."""
        with self._mutex:
            self.status = self.status.beat(**changes)
            status.write(self.path, self.status)

    def keep_beating(self) -> None:
        """Give a sign of life now and then, for processes on other machines."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            self.update()

    def stop_beating(self) -> None:
        self._over.set()


@contextmanager
def hold(
    path: Path, experiment: str, *, on_busy: str = "wait", wanted: Callable[[Status | None], bool] = lambda _: True
) -> Iterator[Held | None]:
    """Hold a folder while the block runs; its status then says how that ended.

    A block that ends by itself must have set another state than `running`, or the folder is left interrupted.

    Args:
        path: folder; made when it is not there.
        experiment: identity that a folder which exists already must have.
        on_busy: wait for the process that holds it, skip (yields None), or fail.
        wanted: looks at the previous status, nobody else holding the folder, and says whether there is work to do;
            if not, None is yielded and nothing changed.
    Raises:
        Busy: when another process holds it and `on_busy` is `fail`.
        ValueError: on a damaged status, or a folder of another experiment.
    """
    held = _acquire(path, experiment, on_busy, wanted)
    if held is None:
        yield None
        return
    thread = threading.Thread(target=held.keep_beating, daemon=True)
    thread.start()
    try:
        yield held
        if held.status.state == "running":
            held.update(state="interrupted", reason="ended before it was done")
    except BaseException as error:
        if (stop := signals.interruption(error)) is not None:
            held.update(state="interrupted", reason=str(stop) or "Ctrl-C", activity="")
            raise stop from None
        held.update(state="failed", reason=errors.one_line(error), activity="")
        raise
    finally:
        held.stop_beating()
        thread.join()  # a late beat must not overwrite what the next holder says


def _acquire(path: Path, experiment: str, on_busy: str, wanted: Callable[[Status | None], bool]) -> Held | None:
    if on_busy not in ON_BUSY:
        raise ValueError(errors.unknown("on_busy", on_busy, ON_BUSY))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"paths.out: {path} cannot be made ({error.strerror}); name a folder that can be written"
        ) from error
    has_waited = False
    while True:
        with FileLock(path / ".guard"):  # between reading and writing the status
            previous = status.read(path)
            check_owner(path, previous, experiment)
            if previous is None or not previous.is_alive():
                return _take(path, experiment, previous) if wanted(previous) else None
        said = f"{path} is held by process {previous.pid} on {previous.host}"
        if on_busy == "fail":
            raise Busy(f"on_busy: {said}; on_busy=wait waits for it, on_busy=skip goes on without")
        if on_busy == "skip":
            log.info("%s: skipped", said)
            return None
        if not has_waited:
            log.info("%s: waiting for it", said)
        has_waited = True
        time.sleep(POLL_SECONDS)


def check_owner(path: Path, previous: Status | None, experiment: str) -> None:
    """Refuse the folder of another experiment.

    Raises:
        ValueError: naming both.
    """
    if previous is not None and previous.experiment != experiment:
        raise ValueError(
            f"run_dir: {path} belongs to {previous.experiment}, this configuration is {experiment}: "
            "take another folder, or fresh=true moves that one aside"
        )


def _take(path: Path, experiment: str, previous: Status | None) -> Held:
    now = status.running_here(experiment)
    if previous is not None:
        now = now.beat(
            epoch=previous.epoch, step=previous.step, best=previous.best, stopped_early=previous.stopped_early
        )
    status.write(path, now)
    return Held(path, now)


def move_aside(path: Path) -> Path | None:
    """Make room: rename a folder to `<parent>/old/<name>-<n>`. Returns where it went, None when there was none.

    Raises:
        Busy: when a process holds it.
    """
    if not path.exists():
        return None
    previous = status.read(path) if (path / status.FILE).is_file() and _is_readable(path) else None
    if previous is not None and previous.is_alive():
        raise Busy(f"fresh: {path} is held by process {previous.pid} on {previous.host}: stop that one first")
    number = 1
    while (aside := path.parent / "old" / f"{path.name}-{number}").exists():
        number += 1
    aside.parent.mkdir(exist_ok=True)
    path.rename(aside)
    return aside


def _is_readable(path: Path) -> bool:
    """A damaged status holds nothing: `fresh=true` is the way out of it."""
    try:
        status.read(path)
    except ValueError:
        return False
    return True
