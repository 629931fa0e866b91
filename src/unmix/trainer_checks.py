"""Checks of the trainer's settings: limits of a training, and devices."""

import re
from collections.abc import Sequence
from typing import Any

from unmix.checks import NO_LIMIT, integer


def limit(name: str, value: Any) -> int:
    """Check a number of epochs or steps; -1 is none."""
    if value == NO_LIMIT and not isinstance(value, bool | float):
        return NO_LIMIT
    try:
        return integer(name, value, least=1)
    except ValueError as error:
        raise ValueError(f"{error}, or {NO_LIMIT} for no limit") from error


def time_limit(name: str, value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\d+:\d{1,2}:\d{1,2}:\d{1,2}", value):
        raise ValueError(f"{name}: got {value!r}, a time DD:HH:MM:SS is needed, as 00:12:00:00, or null for no limit")
    return value


def share_or_count(name: str, value: Any) -> float:
    """Check a limit on batches: a number of them from 1 on, or a share of them up to 1.0."""
    if isinstance(value, float) and 0 < value <= 1:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError(
        f"{name}: got {value!r}, allowed a number of batches from 1 on, a share of them (above 0, up to 1.0), or null"
    )


def device_indices(name: str, value: Any) -> Any:
    """Check the type of `gpus`; whether this machine has that many is checked by the process that uses them."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str) and len(value) > 0
    indices = list(value) if is_list else [value]
    is_whole = all(isinstance(index, int) and not isinstance(index, bool) for index in indices)
    if not is_whole or min(indices) < (0 if is_list else -1):
        raise ValueError(f"{name}: got {value!r}, a number, a list of indices, -1 (all) or null is needed")
    return value
