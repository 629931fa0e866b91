"""One-line error messages, and the error that stands for a failed job."""

import difflib
from collections.abc import Iterable


class JobFailed(RuntimeError):
    """A job of a sweep ended with an error."""


def unknown(name: str, got: object, allowed: Iterable[str]) -> str:
    """Format the message for an unknown value, with a suggestion if an allowed one is similar.

    Example: `target: got 'vocal', allowed bass, drums, vocals; did you mean 'vocals'?`
    """
    choices = list(allowed)
    near = difflib.get_close_matches(str(got), choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name}: got {str(got)!r}, allowed {', '.join(choices) or 'nothing'}{hint}"


def counted(number: int, noun: str, plural: str = "") -> str:
    """Format a number of things: `1 track`, `2 tracks`; `plural` is for more than a noun, as `sample is`."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def one_line(error: BaseException) -> str:
    """Message of an error on one line; an empty message is replaced by that of its cause, or by the type's name."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
