"""Which training tracks are held out for validation: by name, or a share by the hash of the name."""

import difflib
import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unmix.data.layouts.entry import Entry
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS
from unmix.errors import counted

_MUSDB18_TRAINING_TRACKS = 100  # including the 14 for validation


@dataclass(frozen=True)
class HoldOut:
    """Rule that selects validation tracks among the training tracks; a folder `valid` needs none.

    Args:
        names: names of the tracks; None is MUSDB18's 14.
        share: share of the tracks, by the hash of the name, so that a track keeps its split when others are added.
    Raises:
        ValueError: when both are given.
    """

    names: tuple[str, ...] | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        if self.names is not None and self.share is not None:
            raise ValueError(
                f"data.validation_share: got {self.share}, but data.validation_tracks names tracks: give one"
            )

    def apply(self, entries: Sequence[Entry], root: Path) -> tuple[list[Entry], list[str], list[str]]:
        """Move training tracks to `valid`; return all entries, errors and warnings.

        Args:
            entries: tracks by their folders.
            root: folder of the data set, for messages.
        """
        names = list(dict.fromkeys(entry.name for entry in entries if entry.split == "train"))
        key = "data.validation_tracks" if self.share is None else "data.validation_share"
        if any(entry.split == "valid" for entry in entries):
            if self.names is None and self.share is None:
                return list(entries), [], []
            return list(entries), [f"{key}: given, but {root / 'valid'} holds the validation tracks: remove one"], []
        if self.share is None:
            wanted = MUSDB_VALIDATION_TRACKS if self.names is None else self.names
            errors, warnings = validation_names(names, wanted, root)
        else:
            wanted = tuple(name for name in names if position(name) < self.share)
            errors, warnings = ([] if wanted or not names else [_none(names, self.share)]), []
        held_out = set(wanted)
        moved = [
            replace(entry, split="valid") if entry.split == "train" and entry.name in held_out else entry
            for entry in entries
        ]
        return moved, errors, warnings


def position(name: str) -> float:
    """Position of a name in [0, 1), uniform over names; a share above it holds the track out."""
    plain = unicodedata.normalize("NFC", name)  # the same on macOS
    return int.from_bytes(hashlib.sha256(plain.encode("utf-8", "surrogateescape")).digest()[:8], "big") / 2**64


def _none(names: Sequence[str], share: float) -> str:
    lowest = min(names, key=position)
    return (
        f"data.validation_share: got {share}, which holds out none of {counted(len(names), 'track')}: "
        f"{position(lowest):.2f} is the least that does ({lowest!r}); take more, or name tracks"
    )


def validation_names(names: Sequence[str], wanted: Sequence[str], root: Path) -> tuple[list[str], list[str]]:
    """Check that the validation tracks exist, as a renamed one would be trained on; return errors and warnings.

    Args:
        names: names of all training tracks found.
        wanted: names of the tracks to hold out.
        root: folder of the data set, for messages.
    """
    missing = [name for name in wanted if name not in names]
    if not names or not (missing or not wanted):
        return [], []
    train = root / "train"
    if len(missing) == len(wanted):
        is_default = tuple(wanted) == MUSDB_VALIDATION_TRACKS
        given = "MUSDB18's 14, the default" if is_default else ", ".join(map(repr, wanted)) or "no name"
        example = f"'data.validation_tracks=[\"{names[0]}\"]'"
        return [
            f"data.validation_tracks: got {given}, none of which is a track of {train} "
            f"(which holds {names[0]!r}, ...): name some of them, e.g. {example}, "
            "or data.validation_share=0.1"
        ], []
    errors = []
    for name in missing:
        if near := difflib.get_close_matches(name, [other for other in names if other not in wanted], n=1, cutoff=0.8):
            errors.append(
                f"data.validation_tracks: {name!r} is not a track of {train}, but {near[0]!r} is, "
                "and would be trained on: rename it, or set data.validation_tracks"
            )
    names_are = counted(len(wanted), "name is", "names are")
    lacking = f"{len(missing)} of the {names_are} no track of {train} ({missing[0]!r}, ...)"
    if len(names) == _MUSDB18_TRAINING_TRACKS and not errors:
        errors.append(
            f"data.validation_tracks: {lacking}, though it holds MUSDB18's {len(names)}: they were renamed and would "
            "be trained on; rename them, or set data.validation_tracks"
        )
    return errors, [] if errors else [f"data.validation_tracks: {lacking}: validating on {len(wanted) - len(missing)}"]
