"""Progress of something that is counted in bytes: a bar on a terminal, a line for every tenth in a log."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from unmix.errors import human_size
from unmix.time_left import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ByteProgress:
    """Where progress is shown.

    Args:
        update: called with the number of bytes that are done, which may fall.
        say: called with a line of text.
    """

    update: Callable[[int], object]
    say: Callable[[str], object]


@contextmanager
def shown(label: str, total: int) -> Iterator[ByteProgress]:
    """Show the progress of `total` bytes on stderr if that is a terminal, else in the log."""
    if not sys.stderr.isatty():
        yield ByteProgress(_Tenths(label, total), log.info)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(label, total=total)
        yield ByteProgress(
            lambda num_bytes: progress.update(task, completed=num_bytes),
            lambda text: console.print(text, markup=False),  # above the bar, which a line of the log would break
        )


class _Tenths:
    """Logs every tenth of `total` bytes, once; the first call tells what was there before."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.tenths = label, total, 0
        self.watch: Watch | None = None

    def __call__(self, num_bytes: int) -> None:
        self.watch = self.watch or Watch(self.total, num_bytes)
        if (tenths := 10 * num_bytes // max(self.total, 1)) > self.tenths:
            self.tenths = tenths
            share = f"{self.label}: {10 * tenths} % of {human_size(self.total)}"
            log.info("%s", ", ".join(filter(None, (share, self.watch.left(num_bytes)))))
