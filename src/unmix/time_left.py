"""Time left of counted work, at its pace so far: beside a bar on a terminal, else in a line of the log now and then."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from unmix.errors import counted, human_time

log = logging.getLogger(__name__)

SECONDS = 30.0  # from one line of a log to the next
T = TypeVar("T")


def seconds_left(elapsed: float, num_done: float, num_total: float) -> float | None:
    """Estimate the seconds that the rest of some work takes.

    Args:
        elapsed: seconds since it began.
        num_done: what was done since then, in any unit.
        num_total: what is done from then to the end, in the same unit.
    Returns:
        The estimate, 0 when everything is done; None while nothing is.
    """
    return elapsed / num_done * max(num_total - num_done, 0) if num_done > 0 else None


def seconds_to_limit(
    elapsed: float, begun: Sequence[float], now: Sequence[float], limits: Sequence[float | None]
) -> float | None:
    """Estimate the seconds until the first of several counts reaches its limit.

    Args:
        elapsed: seconds since the work began.
        begun: counts when it began.
        now: the same counts now.
        limits: where each count ends; None is nowhere.
    Returns:
        The estimate; None while none of those that end has risen.
    """
    counts = zip(begun, now, limits, strict=True)
    estimates = [seconds_left(elapsed, at - start, end - start) for start, at, end in counts if end is not None]
    return min((estimate for estimate in estimates if estimate is not None), default=None)


def in_words(seconds: float | None) -> str:
    """Format the time left as `3.2 min left`; empty when it is unknown, or nothing is left."""
    return f"{human_time(seconds)} left" if seconds else ""


class Watch:
    """Watches work from now on.

    Args:
        num_total: what is done in the end.
        num_done: what is done already.
    """

    def __init__(self, num_total: int, num_done: int = 0) -> None:
        self.num_total, self.num_done, self.began = num_total, num_done, time.monotonic()

    def left(self, num_done: float) -> str:
        """Time left when so much is done, see `in_words`."""
        elapsed = time.monotonic() - self.began
        return in_words(seconds_left(elapsed, num_done - self.num_done, self.num_total - self.num_done))

    def numbered(self, number: int, text: str) -> str:
        """Format a line about one of several things when it is done: `[2/12] song.wav: 51.0 s ... (3.2 min left)`."""
        left = self.left(number)
        return f"[{number}/{self.num_total}] {text}{f' ({left})' if left else ''}"


class Lines:
    """Logs how far some work is, when `SECONDS` have passed since it began, or since the last line.

    Args:
        label: what is done, such as `decoding`.
        num_total: what is done in the end.
        noun: what is counted; without it, percents are shown.
    """

    def __init__(self, label: str, num_total: int, noun: str = "") -> None:
        self.label, self.num_total, self.noun = label, num_total, noun
        self.watch = Watch(num_total)
        self.logged = self.watch.began

    def __call__(self, num_done: int) -> None:
        """Log a line if one is due; none for the last step, as what follows is seen."""
        if num_done >= self.num_total or time.monotonic() - self.logged < SECONDS:
            return
        self.logged = time.monotonic()
        share = (
            f"{num_done} of {counted(self.num_total, self.noun)}" if self.noun else percent(num_done, self.num_total)
        )
        log.info("%s", ", ".join(filter(None, (f"{self.label}: {share}", self.watch.left(num_done)))))


def percent(num_done: float, num_total: float) -> str:
    """Format a share as `12 %`."""
    return f"{100 * num_done / max(num_total, 1):.0f} %"


@contextmanager
def shown(label: str, num_total: int, noun: str = "") -> Iterator[Callable[[int], object]]:
    """Show the progress of some work: a bar on stderr if that is a terminal, else `Lines`.

    Yields:
        Function to call with what is done so far.
    """
    if not num_total or not sys.stderr.isatty():
        yield Lines(label, num_total, noun)
        return
    from rich.console import Console  # a tenth of a second, which most commands do not need
    from rich.progress import Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(label, total=num_total)
        yield lambda num_done: progress.update(bar, completed=num_done)


def with_progress(items: Iterable[T], label: str, num_total: int, noun: str) -> Iterator[T]:
    """Yield items, each of which is work that is done when it comes, and show the progress, see `shown`."""
    with shown(label, num_total, noun) as update:
        for number, item in enumerate(items, start=1):
            update(number)
            yield item
