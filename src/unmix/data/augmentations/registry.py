"""Names of the augmentations, and the list of `data.augmentations` made into objects."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from unmix.augmentation_settings import named
from unmix.data.augmentations.effects import BandLimit, Mixup, Speed, Tilt
from unmix.data.augmentations.selections import Activity, Gain, Polarity, Remix, SameTrack, Shift, Swap
from unmix.data.sampling import Recipe

# In the order in which they are applied, whatever the order of the list; the user's own follow in theirs.
REGISTRY: dict[str, type] = {
    "activity": Activity,
    "same_track": SameTrack,
    "remix": Remix,
    "shift": Shift,
    "gain": Gain,
    "swap": Swap,
    "polarity": Polarity,
    "speed": Speed,
    "mixup": Mixup,
    "tilt": Tilt,
    "band_limit": BandLimit,
}


def make_recipe(given: Mapping[str, Any]) -> Recipe:
    """Make the recipe of the draws from the settings `data`, by key.

    Raises:
        ValueError: when an augmentation is given twice, or asks for what `random_mix` gives already, or rules out.
    """
    rate, random_mix = given["sample_rate"], given["random_mix"]
    older = {"gain": {"limits": tuple(given["gain"])}, "swap": {"probability": given["swap_probability"]}}
    augmentations = build(given["augmentations"], older, rate)
    is_used = {"same_track": random_mix, "activity": random_mix or "remix" in augmentations, "remix": not random_mix}
    for name in augmentations:
        if not is_used.get(name, True):
            is_now, other = ("true", "false") if random_mix else ("false", "true")
            raise ValueError(
                f"data.augmentations: got {name}, which changes nothing with data.random_mix={is_now}: "
                f"set data.random_mix={other}, or leave {name} out"
            )
    return Recipe(round(given["segment_seconds"] * rate), random_mix, augmentations)


def build(entries: Sequence[Any], older: Mapping[str, Any], sample_rate: int) -> dict[str, Any]:
    """Make the augmentations of a list, by name, in the order in which they are applied.

    Args:
        entries: names, mappings of one name to its settings, or objects of the user's.
        older: settings of those that have keys older than the list, by name.
        sample_rate: Hz.
    Raises:
        ValueError: when a name is given twice.
    """
    made: dict[str, Any] = {}
    for entry in entries:
        name, arguments = _named(entry)
        if name in made:
            raise ValueError(f"data.augmentations: {name} is given twice")
        made[name] = entry if arguments is None else _make(REGISTRY[name], older.get(name, arguments), sample_rate)
    order = [*(name for name in REGISTRY if name in made), *(name for name in made if name not in REGISTRY)]
    return {name: made[name] for name in order}


def _named(entry: Any) -> tuple[str, Mapping[str, Any] | None]:
    """Name of an entry, and its settings; None for an object."""
    if isinstance(entry, str | Mapping):
        return named(entry)
    kind = type(entry)
    known = {augmentation: name for name, augmentation in REGISTRY.items()}
    return known.get(kind, f"{kind.__module__}.{kind.__qualname__}"), None


def _make(kind: type, arguments: Mapping[str, Any], sample_rate: int) -> Any:
    rate = {"sample_rate": sample_rate} if "sample_rate" in inspect.signature(kind).parameters else {}
    return kind(**arguments, **rate)
