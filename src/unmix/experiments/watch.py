"""Whether a process on another machine, whose clock may differ from this one's, is alive."""

import logging
import time
from pathlib import Path

from unmix.experiments import status
from unmix.experiments.status import Status

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
# A process counts as dead when its heartbeat, which is due every 30 s, does not change for this long.
WATCH_SECONDS = 90.0


class Watcher:
    """Looks at the status of a folder again and again.

    A heartbeat that is recent by this machine's clock is believed at once. Any other one is watched: if it changes, the
    process is alive, and the clocks differ.
    """

    def __init__(self) -> None:
        self._last: tuple[float, float] | None = None  # heartbeat, and when it was first seen, on our monotonic clock
        self._has_changed = False

    def is_alive(self, now: Status) -> bool | None:
        """Whether the process of a status is alive; None: look again, a second later."""
        if now.is_alive():
            return True
        if now.state != "running" or now.is_here:
            return False
        if self._last is None:
            log.info("process %s on %s seems to be dead: watching for %.0f s", now.pid, now.host, WATCH_SECONDS)
        if self._last is None or self._last[0] != now.heartbeat:
            self._has_changed = self._last is not None
            self._last = (now.heartbeat, time.monotonic())
        if time.monotonic() - self._last[1] >= WATCH_SECONDS:
            return False
        return True if self._has_changed else None


def is_alive(path: Path, now: Status) -> bool:
    """Whether the process that holds a folder is alive; takes up to 90 s to know.

    Args:
        path: the folder.
        now: its status.
    """
    watcher = Watcher()
    while (alive := watcher.is_alive(now)) is None:
        time.sleep(POLL_SECONDS)
        now = status.read(path) or now
    return alive
