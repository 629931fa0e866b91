"""Exclusive hold on a folder: one process works in it; others with the same command wait, skip or fail.

`status.json` is the lock: a folder is held while its status is `running` and the process named in it is alive. A killed
process therefore releases its folder without any cleanup.
"""

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from filelock import FileLock

from unmix import errors, settings
from unmix.experiments import status, watch
from unmix.experiments.status import Status
from unmix.experiments.watch import POLL_SECONDS, Watcher
from unmix.processes import signals

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30.0
BLOCK = 4096  # bytes that fit on a disk which is not full
FULL = (errno.ENOSPC, errno.EDQUOT)


class Busy(RuntimeError):
    """Another process holds the folder."""


class Held:
    """A folder that this process holds, and its status.

    Args:
        path: the folder.
        now: status of this process, as written to the folder.
    """

    def __init__(self, path: Path, now: Status) -> None:
        self.path = path
        self.status = now
        self._mutex = threading.Lock()
        self._over = threading.Event()

    def update(self, **changes: Any) -> None:
        """Change fields of the status, in memory and on disk."""
        with self._mutex:
            self.status = self.status.beat(**changes)
            status.write(self.path, self.status)

    def keep_beating(self) -> None:
        """Update the heartbeat every 30 s until `stop_beating`: it shows other machines that this process is alive."""
        while not self._over.wait(HEARTBEAT_SECONDS):
            self.update()

    def stop_beating(self) -> None:
        """Make `keep_beating` return."""
        self._over.set()


@contextmanager
def hold(
    path: Path,
    experiment: str,
    *,
    on_busy: str = "wait",
    wanted: Callable[[Status | None], bool] = lambda _: True,
    kept: Callable[[], str] | None = None,
) -> Iterator[Held | None]:
    """Hold a folder during the block; afterwards its status records how the block ended.

    An exception sets the state to `failed`, a signal to `interrupted`, and prints how to go on after it. The block must
    set `done` itself: a state that is still `running` at its end becomes `interrupted`.

    Args:
        path: folder; created if missing.
        experiment: identity of the experiment; an existing folder must belong to it.
        on_busy: when another process holds the folder: `wait` for it, `skip` (yields None) or `fail`.
        wanted: called with the previous status (None in a new folder) while no other process can take the folder;
            returns whether there is work to do. If False, yields None and changes nothing.
        kept: describes what is saved after a signal and how to go on; None: a run, which goes on from a checkpoint.
    Yields:
        The held folder, or None.
    Raises:
        Busy: when another process holds the folder and `on_busy` is `fail`.
        OSError: when the folder cannot be created.
        ValueError: on a damaged status, a folder of another experiment, or an unknown `on_busy`.
    """
    held = _acquire(path, experiment, on_busy, wanted)
    if held is None:
        yield None
        return
    with signals.explained(kept or (lambda: f"the same command continues {path} from its last checkpoint")):
        yield from _holding(held)


def _holding(held: Held) -> Iterator[Held]:
    """Yield a held folder, and record how the caller's block ends."""
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
        diverged = type(error) is ArithmeticError  # a subclass, such as ZeroDivisionError, is a defect
        held.update(state="failed", reason=errors.one_line(error), diverged=diverged, activity="")
        raise
    finally:
        held.stop_beating()
        thread.join()  # a late heartbeat must not overwrite the status of the next holder


def _acquire(path: Path, experiment: str, on_busy: str, wanted: Callable[[Status | None], bool]) -> Held | None:
    """Take the folder, after waiting for it if `on_busy` is `wait`; None if it is skipped or not wanted. See `hold`."""
    settings.check("", {"on_busy": on_busy})
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"paths.out: {path} cannot be made ({error.strerror}); name a folder that can be written"
        ) from error
    has_waited, watcher = False, Watcher()
    while True:
        with FileLock(path / ".guard"):  # nobody else may take the folder between reading and writing its status
            previous = status.read(path)
            check_owner(path, previous, experiment)
            is_alive = previous is not None and watcher.is_alive(previous)
            if previous is None or is_alive is False:
                return _take(path, experiment, previous) if wanted(previous) else None
        if is_alive is None:
            time.sleep(POLL_SECONDS)
            continue
        holder = f"{path} is held by process {previous.pid} on {previous.host}"
        if on_busy == "fail":
            raise Busy(f"on_busy: {holder}; on_busy=wait waits for it, on_busy=skip goes on without")
        if on_busy == "skip":
            log.info("%s: skipped", holder)
            return None
        if not has_waited:
            log.info("%s: waiting for it", holder)
        has_waited = True
        time.sleep(POLL_SECONDS)


def check_owner(path: Path, previous: Status | None, experiment: str) -> None:
    """Check that a folder belongs to an experiment, or to none yet.

    Raises:
        ValueError: when the status names another experiment.
    """
    if previous is not None and previous.experiment != experiment:
        raise ValueError(
            f"run_dir: {path} belongs to {previous.experiment}, this configuration is {experiment}: "
            "take another folder, or fresh=true moves that one aside"
        )


def check_writable(path: Path, key: str = "paths.out") -> None:
    """Check, without leaving anything behind, that a folder exists or can be made, and can be written.

    Args:
        path: the folder.
        key: setting that names it.
    Raises:
        OSError: naming the nearest folder that exists.
    """
    nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    kind = "" if nearest.is_dir() else "is no folder"
    if not kind:
        try:
            with TemporaryFile(dir=nearest) as file:  # permissions do not tell: root has them all, even in /proc
                file.write(bytes(BLOCK))
                file.flush()
                return
        except OSError as error:
            kind = "is full" if error.errno in FULL else "cannot be written"
    problem = kind if nearest == path else f"cannot be made, as {nearest} {kind}"
    raise OSError(f"{key}: {path} {problem}; name a folder that can be written")


@contextmanager
def explained_when_full(path: Path) -> Iterator[None]:
    """Name a folder in the error of a write in the block for which there was no space; raises OSError."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise OSError(
            f"paths.out: no space left for {path} ({error.strerror}); free some, and the same command goes on"
        ) from error


def _take(path: Path, experiment: str, previous: Status | None) -> Held:
    """Take the folder: write the status of this process, with the progress of the previous attempt."""
    now = status.running_here(experiment)
    if previous is not None:
        now = now.beat(
            epoch=previous.epoch,
            step=previous.step,
            best=previous.best,
            stopped_early=previous.stopped_early,
            earlier=previous.seconds,
        )
    status.write(path, now)
    return Held(path, now)


def move_aside(path: Path) -> Path | None:
    """Rename a folder to `<parent>/old/<name>-<n>`, with the first free n.

    Returns:
        The new path; None when the folder does not exist.
    Raises:
        Busy: when a process holds the folder.
    """
    if not path.exists():
        return None
    previous = status.read(path) if (path / status.FILE).is_file() and _is_readable(path) else None
    if previous is not None and watch.is_alive(path, previous):
        raise Busy(f"fresh: {path} is held by process {previous.pid} on {previous.host}: stop that one first")
    number = 1
    while (aside := path.parent / "old" / f"{path.name}-{number}").exists():
        number += 1
    aside.parent.mkdir(exist_ok=True)
    path.rename(aside)
    return aside


def _is_readable(path: Path) -> bool:
    """Whether the status is not damaged; a folder with a damaged one counts as free, so that it can be moved aside."""
    try:
        status.read(path)
    except ValueError:
        return False
    return True
