"""Tracks of a data set as they are found, with what is wrong and what should be known about them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from unmix.data.layouts.entry import MIXTURE, Entry
from unmix.errors import counted


@dataclass(frozen=True)
class Listing:
    """Tracks found on disk, errors and warnings, one line each."""

    entries: list[Entry]
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def repeated(entries: Sequence[Entry]) -> list[str]:
    """List an error for each name that two tracks of a split have, and for each file that two splits have."""
    names = Counter((entry.split, entry.name) for entry in entries if not entry.is_loose)
    errors = [
        f"data.root: two tracks of {split} are named {name!r}: rename one"
        for (split, name), n in names.items()
        if n > 1
    ]
    split_of: dict[Path, str] = {}
    for entry in entries:
        for path in entry.paths():
            if split_of.setdefault(path, entry.split) != entry.split:
                errors.append(
                    f"data.root: {path} is in {split_of[path]} and in {entry.split}: a file can only be in one split"
                )
    return list(dict.fromkeys(errors))


def unused(entries: Sequence[Entry]) -> list[str]:
    """List a warning when files are left out of mixtures that are sums."""
    lacking = [entry for entry in entries if entry.unused and MIXTURE not in entry.files]
    if not lacking:
        return []
    count = sum(len(entry.unused) for entry in lacking)
    return [
        f"data.root: {counted(count, 'file belongs', 'files belong')} to no source, such as "
        f"{lacking[0].unused[0]!r} of {lacking[0].name}: mixtures go without; data.rename names them, "
        "data.other=rest sums them"
    ]
