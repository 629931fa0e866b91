"""One-line messages: the name, what was got, what is allowed, what to do."""

import difflib
from collections.abc import Iterable


def unknown(name: str, got: object, allowed: Iterable[str]) -> str:
    """`target: got 'vocal', allowed bass, drums, ...; did you mean 'vocals'?`"""
    choices = list(allowed)
    near = difflib.get_close_matches(str(got), choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{name}: got {str(got)!r}, allowed {', '.join(choices) or 'nothing'}{hint}"


def one_line(error: BaseException) -> str:
    """The message of an error, or of what caused it, without line breaks."""
    while not str(error) and error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__
