"""Which values `data.augmentations` and `data.track_weights` may have; does not import torch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from unmix import errors
from unmix.checks import Check, interval, number

PROBABILITY: Check = partial(number, least=0, most=1)
_POSITIVE: Check = partial(number, above=0)

# Settings of each augmentation; their defaults are those of its class.
AUGMENTATIONS: dict[str, dict[str, Check]] = {
    "activity": {"threshold_db": partial(number, most=0), "share": partial(number, above=0, most=1)},
    "same_track": {"probability": PROBABILITY},
    "remix": {"probability": PROBABILITY},
    "shift": {"max_seconds": _POSITIVE, "probability": PROBABILITY},
    "gain": {},
    "swap": {},
    "polarity": {"probability": PROBABILITY},
    "speed": {"max_change": partial(number, least=0.02, most=0.5), "probability": PROBABILITY},
    "mixup": {"gain": partial(interval, least=0), "probability": PROBABILITY},
    "tilt": {"max_db": _POSITIVE, "probability": PROBABILITY},
    "band_limit": {"cutoff_hz": partial(interval, least=1), "probability": PROBABILITY},
}
ELSEWHERE = {"gain": "data.gain", "swap": "data.swap_probability"}  # keys older than the list
WEIGHTS = ("uniform", "duration", "activity")
ALLOWED_WEIGHTS = (*WEIGHTS, "{track name: weight}", "a column of a table of files")  # for messages


def named(entry: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Name and settings of an entry of `data.augmentations` that is a name, or a mapping of a name to settings."""
    if isinstance(entry, str):
        return entry, {}
    ((name, values),) = entry.items()
    return str(name), values or {}


def check_augmentations(key: str, entries: Any) -> Any:
    """Check a list of augmentations: names and their settings, and that objects have the methods of one.

    Raises:
        ValueError: on another type, an unknown or repeated name, or an unknown or wrong setting, which is named.
    """
    if not isinstance(entries, list | tuple):
        raise ValueError(f"{key}: got {entries!r}, a list is needed, as [gain,swap], or [] for none")
    names: list[str] = []
    for entry in entries:
        if isinstance(entry, str) or (isinstance(entry, Mapping) and len(entry) == 1 and "_target_" not in entry):
            names.append(_check_entry(key, *named(entry)))
        elif not (hasattr(entry, "change") or hasattr(entry, "apply") or "_target_" in _keys(entry)):
            raise ValueError(
                f"{key}: got {entry!r} in the list, allowed a name, {{name: {{setting: value}}}}, or a node whose "
                "_target_ is a class with `change`, or with `draw` and `apply`"
            )
    if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise ValueError(f"{key}: got {', '.join(names)}, which names {repeated[0]} twice")
    return entries


def _keys(entry: Any) -> Iterable[Any]:
    return entry if isinstance(entry, Mapping) else ()


def _check_entry(key: str, name: str, values: Any) -> str:
    if name not in AUGMENTATIONS:
        raise ValueError(errors.unknown(key, name, AUGMENTATIONS))
    if not isinstance(values, Mapping):
        raise ValueError(f"{key}.{name}: got {values!r}, settings are needed: {', '.join(AUGMENTATIONS[name])}")
    if values and name in ELSEWHERE:
        raise ValueError(f"{key}.{name}: got settings, but {ELSEWHERE[name]} is what sets {name}: set that")
    for setting, value in values.items():
        if setting not in AUGMENTATIONS[name]:
            raise ValueError(errors.unknown(f"{key}.{name}.{setting}", setting, AUGMENTATIONS[name]))
        AUGMENTATIONS[name][setting](f"{key}.{name}.{setting}", value)
    return name


def check_track_weights(key: str, value: Any) -> Any:
    """Check how often tracks are drawn: a word, or a weight from 0 on by the name of a track.

    Any word but those of `WEIGHTS` names a column of a table of files; `Layout.with_weights` checks that it is there.

    Raises:
        ValueError: on another type, or a weight that is not a number from 0 on.
    """
    if isinstance(value, Mapping) and value:
        for track, weight in value.items():
            number(f"{key}.{track}", weight, least=0)
    elif not isinstance(value, str) or not value.strip():
        raise ValueError(errors.unknown(key, value, ALLOWED_WEIGHTS))
    return value


def unknown_tracks(key: str, weights: Any, names: Sequence[str]) -> Iterator[str]:
    """Yield a message for every track that has a weight and is not among `names`."""
    for name in weights if isinstance(weights, Mapping) else ():
        if name not in names:
            yield errors.unknown(f"{key}.{name}", name, names)
