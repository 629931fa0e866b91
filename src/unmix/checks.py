"""Checks of values that a user gives; each raises one line with the name, what was got and what is allowed."""

import math
from collections.abc import Iterable
from typing import Any

from unmix import errors


def integer(name: str, value: Any, *, least: int | None = None) -> int:
    """Check that a value is a whole number, and return it; `True` and `3.0` are refused.

    Raises:
        ValueError: on another type, or a number below `least`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}, a whole number is needed")
    _check_least(name, value, least)
    return value


def number(name: str, value: Any, *, least: float | None = None) -> float:
    """Check that a value is a finite number, and return it; `True` is refused.

    Raises:
        ValueError: on another type, NaN, infinity, or a number below `least`.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name}: got {value!r}, a number is needed")
    _check_least(name, value, least)
    return float(value)


def flag(name: str, value: Any) -> bool:
    """Check that a value is true or false, and return it; any other word would count as true in Python.

    Raises:
        ValueError: on another type.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}, allowed true, false")
    return value


def word(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Check that a value is one of the allowed words, and return it.

    Raises:
        ValueError: on any other value, with the nearest word.
    """
    words = list(allowed)
    if value not in words:
        raise ValueError(errors.unknown(name, value, words))
    return str(value)


def _check_least(name: str, value: float, least: float | None) -> None:
    if least is not None and value < least:
        raise ValueError(f"{name}: got {value!r}, allowed {least:g} or more")
