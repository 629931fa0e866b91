"""Commands in processes of their own, without the seconds that importing everything takes.

They are forked from a server that has imported the commands, and are otherwise what `python src/<command>.py` is: own
signal handlers, own log, killed by SIGKILL like any other.
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from unmix import config

SOURCE = Path(__file__).parents[1] / "src"
PATIENCE = 300.0  # seconds, for what takes a few on an idle machine: only something that never comes fails

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["unmix.runs.train", "unmix.runs.evaluate", "unmix.runs.separate", "unmix.runs.prepare"]
)


def wait_until(condition: Callable[[], object], *, poll_seconds: float = 0.02) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(poll_seconds)


class CommandProcess:
    """A command that runs beside the test.

    Args:
        command: file of src/, without its ending.
        arguments: of its command line.
        log: file for everything it prints; appended to.
        environment: added to this process's.
        before: called in it before the command begins; a function of a module, or a partial of one.
    """

    def __init__(
        self,
        command: str,
        *arguments: str,
        log: Path,
        environment: dict[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        environment = {**os.environ, **(environment or {})}
        self.log = log
        self.process = _context.Process(target=_run, args=(command, arguments, str(log), environment, before))
        self.process.start()

    def poll(self) -> int | None:
        """Exit code, negative for a signal that killed it; None while it runs."""
        return self.process.exitcode

    def send_signal(self, signum: int) -> None:
        if self.process.is_alive():
            os.kill(self.process.pid, signum)

    def kill(self) -> None:
        """Kill it by SIGKILL, and wait for its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for its end; returns the exit code."""
        self.process.join(PATIENCE)
        assert self.process.exitcode is not None, f"still running: {self.log.read_text()}"
        return self.process.exitcode


def _run(
    command: str, arguments: tuple[str, ...], log: str, environment: dict[str, str], before: Callable[[], object] | None
) -> None:
    with Path(log).open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(SOURCE / f"{command}.py"), *arguments]
    sys.modules["__main__"].__spec__ = None  # as of a file that Python runs: Lightning starts other ranks with it then
    if before is not None:
        before()
    raise SystemExit(config.main(command))
