"""Signals that end a job: within training they wait until a checkpoint is written, elsewhere they end it at once."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

TEMPORARY_FAILURE, INTERRUPTED = 75, 130  # sysexits' EX_TEMPFAIL: run me again; a shell's 128 + SIGINT
HANDLED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name))


class Interrupted(SystemExit):
    """A signal asked the process to stop; its exit code says whether to run it again (75) or a person did it (130)."""

    def __init__(self, signum: int) -> None:
        super().__init__(INTERRUPTED if signum == signal.SIGINT else TEMPORARY_FAILURE)
        self.signum = signum

    def __str__(self) -> str:
        return "Ctrl-C" if self.signum == signal.SIGINT else signal.Signals(self.signum).name


class _State:
    """Of this process: signal handlers are the process's, so their state is too."""

    owner = 0
    is_deferred = False
    received: int | None = None
    raised: int | None = None


def received() -> int | None:
    """The signal that waits for a checkpoint, if any."""
    return _State.received


def install() -> None:
    """Take the signals over, from whoever has them."""
    for signum in HANDLED:
        signal.signal(signum, _handle)


@contextmanager
def handled() -> Iterator[None]:
    """Turn the signals above into `Interrupted`."""
    previous = {signum: signal.getsignal(signum) for signum in HANDLED}
    _State.owner, _State.is_deferred, _State.received, _State.raised = os.getpid(), False, None, None
    install()
    try:
        yield
    except BaseException as error:
        if (stop := interruption(error)) is not None:
            raise stop from None
        raise
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


@contextmanager
def deferred() -> Iterator[None]:
    """Within the block, the first signal is only noted: who writes checkpoints asks `received`. The second one ends."""
    _State.is_deferred = True
    try:
        yield
    finally:
        _State.is_deferred = False


def interruption(error: BaseException) -> Interrupted | KeyboardInterrupt | None:
    """The signal behind an error, None when there is none.

    `Interrupted` comes up anywhere: a cleanup on its way out (OmegaConf's of a list that is half made) may fail on what
    it left behind, and its error takes its place.
    """
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return error
    return None if _State.raised is None else Interrupted(_State.raised)


def _handle(signum: int, frame: FrameType | None) -> None:
    if os.getpid() != _State.owner:
        return  # a loader's worker, forked: its parent decides, and it ends with that
    if _State.is_deferred and _State.received is None:
        _State.received = signum
        print("stopping at the next checkpoint; once more stops at once", file=sys.stderr, flush=True)  # noqa: T201
        return
    _State.raised = signum
    raise Interrupted(signum)


def die_with_parent(parent: int, signum: int = signal.SIGTERM) -> None:
    """Get a signal when the process `parent` is gone, even if that was killed (Linux; elsewhere nothing happens).

    Raises:
        SystemExit: when it is gone already.
    """
    if sys.platform != "linux":
        return
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signum)
    if os.getppid() != parent:
        raise SystemExit(TEMPORARY_FAILURE)
