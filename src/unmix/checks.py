"""Checks of values that a user gives; each raises one line with the name, what was got and what is allowed."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from unmix import errors

Check = Callable[[str, Any], object]  # name and value -> the value, or ValueError
NO_LIMIT = -1  # Lightning's word for an unlimited number of epochs or steps


def integer(name: str, value: Any, *, least: int | None = None, most: int | None = None) -> int:
    """Check that a value is a whole number, and return it; `True` and `3.0` are refused.

    Raises:
        ValueError: on another type, or a number outside `least` to `most`.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{name}: got {value!r}, a whole number is needed")
    _check_range(name, value, least, most)
    return value


def number(
    name: str,
    value: Any,
    *,
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    below: float | None = None,
) -> float:
    """Check that a value is a finite number, and return it; `True` is refused.

    Raises:
        ValueError: on another type, NaN, infinity, or a number outside the bounds; `above` and `below` exclude theirs.
    """
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"{name}: got {value!r}, a number is needed")
    _check_range(name, value, least, most, above, below)
    return float(value)


def each(name: str, value: Any, check: Check) -> list[Any]:
    """Check that a value is a list with at least one item, and each item of it; returns it.

    Raises:
        ValueError: on another type, an empty list, or an item that `check` refuses.
    """
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"{name}: got {value!r}, a list of numbers is needed, as [3,4]")
    return [check(name, item) for item in value]


def counts(**values: Any) -> None:
    """Check that every value is a whole number from 1 on; raises as `integer`."""
    for name, value in values.items():
        integer(name, value, least=1)


def flags(**values: Any) -> None:
    """Check that every value is true or false; raises as `flag`."""
    for name, value in values.items():
        flag(name, value)


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


def text(name: str, value: Any) -> str:
    """Check that a value is a text or a path, and not empty; return it.

    Raises:
        ValueError: on another type, or an empty text.
    """
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError(f"{name}: got {value!r}, a text is needed")
    return str(value)


def texts(name: str, value: Any, *, may_be_empty: bool = False) -> list[str]:
    """Check that a value is a list of texts, each given once, and return it.

    Raises:
        ValueError: on another type, an empty list unless `may_be_empty`, or a repeated text.
    """
    if not isinstance(value, list | tuple) or (not value and not may_be_empty):
        raise ValueError(f"{name}: got {value!r}, a list of names is needed, as [a,b]")
    items = [text(name, item) for item in value]
    if repeated := [item for item in dict.fromkeys(items) if items.count(item) > 1]:
        raise ValueError(f"{name}: got {', '.join(items)}, which names {repeated[0]} twice")
    return items


def groups(name: str, value: Any) -> dict[str, list[str]]:
    """Check that a value is a mapping of names to lists of names, and return it; raises ValueError when it is not."""
    if not isinstance(value, dict):
        raise ValueError(f"{name}: got {value!r}, names with lists are needed, as {name}.backing=[drums,bass]")
    return {str(key): texts(f"{name}.{key}", items) for key, items in value.items()}


def interval(name: str, value: Any, *, least: float) -> tuple[float, float]:
    """Check that a value is a pair of numbers in ascending order, and return it.

    Raises:
        ValueError: on another type, another length, a descending pair, or a number below `least`.
    """
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{name}: got {value!r}, two numbers are needed, as [0.25,1.25]")
    low, high = (number(name, item, least=least) for item in value)
    if low > high:
        raise ValueError(f"{name}: got {value!r}, the first number must not exceed the second")
    return low, high


def limit(name: str, value: Any) -> int:
    """Check a number of epochs or steps; -1 is none."""
    if value == NO_LIMIT and not isinstance(value, bool | float):
        return NO_LIMIT
    try:
        return integer(name, value, least=1)
    except ValueError as error:
        raise ValueError(f"{error}, or {NO_LIMIT} for no limit") from error


def folder_name(name: str, value: Any) -> str:
    if "/" in text(name, value) or value.startswith("."):
        raise ValueError(f"{name}: got {value!r}, a name without / is needed, as it is part of a folder's name")
    return str(value)


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


def optional(check: Check) -> Check:
    """Make a check that also accepts None."""
    return lambda name, value: None if value is None else check(name, value)


def either(*checks: Check) -> Check:
    """Make a check that accepts what any of several checks accepts; the last one's message is raised."""

    def check(name: str, value: Any) -> object:
        for alternative in checks[:-1]:
            try:
                return alternative(name, value)
            except ValueError:  # the next alternative decides
                continue
        return checks[-1](name, value)

    return check


def _check_range(
    name: str,
    value: float,
    least: float | None,
    most: float | None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    is_allowed = (
        (least is None or value >= least)
        and (most is None or value <= most)
        and (above is None or value > above)
        and (below is None or value < below)
    )
    if not is_allowed:
        lower = f"above {above}" if above is not None else "" if least is None else f"{least}"
        upper = f"below {below}" if below is not None else "" if most is None else f"up to {most}"
        allowed = f"{lower} {upper}".strip() if upper else lower if above is not None else f"{lower} or more"
        raise ValueError(f"{name}: got {value!r}, allowed {allowed}")


def hidden_size(name: str, size: int, bidirectional: bool) -> None:
    """Check that both directions of an LSTM can have half of the hidden size each; raises ValueError naming it."""
    if bidirectional and size % 2:
        raise ValueError(f"{name}: got {size}, an even number is needed when bidirectional=True")


def one_target(targets: Sequence[str]) -> None:
    """Check that Open-Unmix has one target; raises ValueError with what trains several."""
    if len(targets) != 1:
        raise ValueError(
            f"target: got {', '.join(targets) or 'none'}, but Open-Unmix is one network per target: "
            "sweep=targets (or -m target=vocals,drums,...) trains one after the other"
        )


def several_targets(targets: Sequence[str]) -> None:
    """Check that X-UMX has two targets or more; raises ValueError with how to give them."""
    if isinstance(targets, str) or len(targets) < 2:
        got = targets if isinstance(targets, str) else ", ".join(map(str, targets))
        raise ValueError(
            f"target: got {got or 'none'}, but X-UMX bridges the networks of two or more targets: target=all, or "
            "a list such as target=[vocals,drums]; model=umx is for a single target"
        )
