"""Checks of values that a user gives; each raises one line with the name, what was got and what is allowed."""

import math
from collections.abc import Iterable
from typing import Any

from unmix import errors


def integer(name: str, value: Any, *, least: int | None = None) -> int:
    """Return a whole number; True and 3.0 are none.

    Raises:
        ValueError: on anything else, or a number below `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool) or (least is not None and value < least):
        raise ValueError(f"{name}: got {value!r}, a whole number{_from(least)} is needed")
    return value


def number(name: str, value: Any, *, least: float | None = None, above: float | None = None) -> float:
    """Return a finite number.

    Raises:
        ValueError: on anything else, or a number below `least` or not above `above`.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or (least is not None and value < least) or (above is not None and value <= above):
        limit = f" above {above:g}" if above is not None else _from(least)
        raise ValueError(f"{name}: got {value!r}, a number{limit} is needed")
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Return true or false; the words `maybe` and `no` count as true in Python.

    Raises:
        ValueError: on anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}, allowed true, false")
    return value


def word(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Return one of the allowed words.

    Raises:
        ValueError: on anything else, with the nearest word.
    """
    words = list(allowed)
    if value not in words:
        raise ValueError(errors.unknown(name, value, words))
    return str(value)


def _from(least: float | None) -> str:
    return "" if least is None else f" from {least:g} on"
