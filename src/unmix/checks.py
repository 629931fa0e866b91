"""Checks of values that a user gives; each raises one line with the name, what was got and what is allowed."""

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
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


def spelling(name: str, value: Any, allowed: Iterable[str]) -> str:
    """Check that a value, which may be a number, is spelt as one of the allowed words; return the word."""
    return word(name, str(value), allowed)


def count_or_word(name: str, value: Any, *, allowed: Sequence[str], noun: str) -> Any:
    """Check that a value is a number of things from 1 on, or one of the allowed words, and return it.

    Raises:
        ValueError: on any other value; `noun` names the things.
    """
    if value not in allowed and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        words = ", ".join(map(repr, allowed))
        raise ValueError(f"{name}: got {value!r}, allowed {words} or a number of {noun}, 1 or more")
    return value


def text(name: str, value: Any, *, most: int | None = None) -> str:
    """Check that a value is a text or a path, not empty and at most as long as `most` characters; return it.

    Raises:
        ValueError: on another type, or a text that is empty or too long.
    """
    if not isinstance(value, str | Path) or not str(value).strip():
        raise ValueError(f"{name}: got {value!r}, a text is needed")
    if most is not None and len(str(value)) > most:
        raise ValueError(f"{name}: got {len(str(value))} characters, allowed {most} or fewer")
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


def folder_name(name: str, value: Any) -> str:
    if "/" in text(name, value) or value.startswith("."):
        raise ValueError(f"{name}: got {value!r}, a name without / is needed, as it is part of a folder's name")
    return str(value)


def optional(check: Check) -> Check:
    """Make a check that also accepts None."""
    return partial(null_or, check)


def null_or(check: Check, name: str, value: Any) -> object:
    """Check a value unless it is None; raises as `check`."""
    return None if value is None else check(name, value)


def either(*alternatives: Check) -> Check:
    """Make a check that accepts what any of several checks accepts; the last one's message is raised."""
    return partial(any_of, alternatives)


def any_of(alternatives: Sequence[Check], name: str, value: Any) -> object:
    """Check that any of several checks accepts a value; raises as the last one."""
    for check in alternatives[:-1]:
        try:
            return check(name, value)
        except ValueError:  # the next alternative decides
            continue
    return alternatives[-1](name, value)


def words(check: Check) -> list[str]:
    """List the words that a check accepts by name, for completion; empty when it accepts none, or any."""
    if not isinstance(check, partial):
        return []
    inner = [check.args[0]] if check.func is null_or else check.args[0] if check.func is any_of else []
    return [*check.keywords.get("allowed", ()), *(each for alternative in inner for each in words(alternative))]


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
