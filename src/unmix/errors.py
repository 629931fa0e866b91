"""One-line error messages, and the error that stands for a failed job."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

MOST_REASONS = 3  # in the closing line of a sweep


class JobFailed(RuntimeError):
    """A job of a sweep ended with an error."""


class Reported(JobFailed):
    """A job failed and has printed why: nothing is left to print."""


def unknown(name: str, got: object, allowed: Iterable[str], *, most: int | None = None) -> str:
    """Format the message for an unknown value, with a suggestion if an allowed one is similar.

    Args:
        name: full name of the setting.
        got: its value.
        allowed: all allowed values.
        most: number of allowed values to list; None lists all.

    Example: `target: got 'vocal', allowed bass, drums, vocals; did you mean 'vocals'?`
    """
    choices = list(allowed)
    more = f" and {len(choices) - most} more" if most is not None and len(choices) > most else ""
    hint = "".join(f"; did you mean {name!r}?" for name in similar(str(got), choices))
    return f"{name}: got {str(got)!r}, allowed {', '.join(choices[:most]) or 'nothing'}{more}{hint}"


def needed(keys: Sequence[str]) -> str:
    """Format the message for settings without a default that the command line does not give."""
    return f"{', '.join(keys)}: needed; write {' '.join(f'{key}=...' for key in keys)}, --help says what it may be"


def near(path: Path) -> str:
    """Format what was meant by the path of a missing file, to append to a message; empty without a similar name."""
    names = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    return "".join(f"; did you mean {str(path.with_name(name))!r}?" for name in similar(path.name, names))


def similar(name: str, names: Iterable[str]) -> list[str]:
    """The most similar of several names, in a list; empty when none is similar."""
    return difflib.get_close_matches(name, list(names), n=1)


def no_data(methods: Iterable[str]) -> str:
    """Format the message for methods that were trained on no data that is known here."""
    return f"data: needed, as {', '.join(methods)} names none: add data=musdb18hq data.root=... or data=demo"


def failed_jobs(command: str, reasons: Sequence[object], num_jobs: int, noun: str = "job") -> str:
    """Format the closing line of a sweep: how many jobs failed, and the first few with their reasons."""
    listed = " | ".join(map(str, reasons[:MOST_REASONS]))
    more = f" | and {len(reasons) - MOST_REASONS} more" if len(reasons) > MOST_REASONS else ""
    return f"{command}: {len(reasons)} of {counted(num_jobs, noun)} failed; {listed}{more}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Format a number of things: `1 track`, `2 tracks`; `plural` is for more than a noun, as `sample is`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def one_line(error: BaseException) -> str:
    """Message of an error on one line; an empty message is replaced by that of its cause, or by the type's name."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


def human_size(num_bytes: int) -> str:
    """Format a number of bytes for a message: `22.7 GB`."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes} bytes"


def human_time(seconds: float) -> str:
    """Format a duration for a message: `0.12 s`, `45 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for unit, factor in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * factor:
            return f"{seconds / factor:.2g} {unit}" if seconds < 10 * factor else f"{seconds / factor:.0f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
