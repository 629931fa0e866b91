"""Handlers for the signals that stop a job: at once, or after the next checkpoint during training."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

TEMPORARY_FAILURE = 75  # EX_TEMPFAIL of <sysexits.h>: run the command again
INTERRUPTED = 130  # a shell's exit code for Ctrl-C: 128 + SIGINT
HANDLED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))


class Interrupted(SystemExit):
    """Raised when a signal asks this process to stop. Exit code: 130 for Ctrl-C, 75 (run again) for other signals."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.exit_code = INTERRUPTED if signum == signal.SIGINT else TEMPORARY_FAILURE
        super().__init__(self.exit_code)

    def __str__(self) -> str:
        return "Ctrl-C" if self.signum == signal.SIGINT else signal.Signals(self.signum).name


class _State:
    """State of the signal handlers; global, because handlers belong to the process."""

    owner = 0  # id of the process that installed the handlers
    is_deferred = False
    received: int | None = None  # deferred signal
    raised: int | None = None  # signal that was raised as `Interrupted`


def received() -> int | None:
    """Return the deferred signal, or None when there is none."""
    return _State.received


def install() -> None:
    """Install the handlers, replacing those of any library."""
    for signum in HANDLED:
        signal.signal(signum, _handle)


@contextmanager
def handled() -> Iterator[None]:
    """Raise `Interrupted` for signals of `HANDLED` within the block; restore the previous handlers after it.

    After a signal has ended the block, a further one ends the process at once, with the exit code of the first: without
    a handler, its exit code would be that of a crash.
    """
    previous = {signum: signal.getsignal(signum) for signum in HANDLED}
    _State.owner, _State.is_deferred, _State.received, _State.raised = os.getpid(), False, None, None
    install()
    try:
        yield
    except BaseException as error:
        if (stop := interruption(error)) is not None:
            code = stop.exit_code if isinstance(stop, Interrupted) else INTERRUPTED
            previous = dict.fromkeys(HANDLED, lambda *_: os._exit(code))
            raise stop from None
        raise
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer the first signal within the block, so that a checkpoint can be written; raise `Interrupted` for a second.

    `received` returns the deferred signal.
    """
    _State.is_deferred = True
    try:
        yield
    finally:
        _State.is_deferred = False


@contextmanager
def explained(kept: Callable[[], str]) -> Iterator[None]:
    """When a signal ends the block, print on stderr which one, and what `kept` returns: what is saved, how to go on."""
    try:
        yield
    except BaseException as error:
        if (stop := interruption(error)) is not None:
            print(f"stopped by {str(stop) or 'Ctrl-C'}; {kept()}", file=sys.stderr, flush=True)  # noqa: T201
            raise stop from None
        raise


def interruption(error: BaseException) -> Interrupted | KeyboardInterrupt | None:
    """Return the interruption behind an error; None when no signal caused it.

    A signal can raise `Interrupted` between any two statements. Cleanup code may then fail on a half-built object
    (OmegaConf's does), and its error replaces `Interrupted`.
    """
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return error
    return None if _State.raised is None else Interrupted(_State.raised)


def _handle(signum: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.owner:
        return  # a forked data loader worker: it ends with its parent
    if _State.is_deferred and _State.received is None:
        _State.received = signum
        print("stopping at the next checkpoint; a second signal stops at once", file=sys.stderr, flush=True)  # noqa: T201
        return
    _State.raised = signum
    raise Interrupted(signum)


def die_with_parent(parent: int, signum: int = signal.SIGTERM) -> None:
    """Ask the kernel to signal this process when its parent ends, even by SIGKILL. Does nothing except on Linux.

    Args:
        parent: process id of the expected parent.
        signum: signal to receive.

    Raises:
        SystemExit: when the parent has ended already.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signum)
    if os.getppid() != parent:
        raise SystemExit(TEMPORARY_FAILURE)
