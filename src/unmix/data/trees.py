"""Where tracks lie: folders of audio files (MUSDB18-HQ's shape), or MUSDB18's `.stem.mp4` files."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUBSETS = ("train", "test")
STEM_ENDING = ".stem.mp4"
AUDIO_ENDINGS = (".wav", ".flac")
LAYOUTS = ("folders", "stems")


@dataclass(frozen=True)
class Entry:
    """A track that was found by its name: a folder of audio files, or one file of stems."""

    subset: str
    name: str
    path: Path


def find(root: Path, layout: str) -> list[Entry]:
    """The tracks of a tree, sorted by name: the order of a directory differs between machines.

    Raises:
        OSError: when a folder cannot be read.
    """
    entries = []
    for subset in SUBSETS:
        if not (root / subset).is_dir():
            continue
        for path in sorted((root / subset).iterdir()):
            if layout == "stems" and path.name.endswith(STEM_ENDING):
                entries.append(Entry(subset, path.name.removesuffix(STEM_ENDING), path))
            elif layout == "folders" and path.is_dir() and _has_audio(path):
                entries.append(Entry(subset, path.name, path))
    return entries


def expected(layout: str, sources: Sequence[str]) -> str:
    """The shape of a tree, as messages say it."""
    if layout == "stems":
        return f"{{train,test}}/<track>{STEM_ENDING}"
    return f"{{train,test}}/<track>/{{{','.join(('mixture', *sources))}}}.wav"


def why_empty(root: Path, layout: str, sources: Sequence[str]) -> str:
    """What was looked for, what lies there instead, and what may have been meant; one line."""
    looked_for = expected(layout, sources)
    if not root.is_dir():
        return f"data.root: {root} is not a folder; a tree of this shape is needed: {looked_for}"
    return f"data.root: no track in {root}: looked for {looked_for}, {_found(root)}{_hint(root, layout)}"


def _found(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir())
    if not names:
        return "found an empty folder"
    return "found " + ", ".join(names[:6]) + (f", ... ({len(names)} entries)" if len(names) > 6 else "")


def _hint(root: Path, layout: str) -> str:
    other = next(one for one in LAYOUTS if one != layout)
    if find(root, other):
        return {
            "stems": f"; it holds {STEM_ENDING} files: data=musdb18 fits",
            "folders": "; it holds folders of audio files: data=musdb18hq or data=own fits",
        }[other]
    inside = _folders(root)
    for near in (root.parent, *inside, *(deeper for folder in inside for deeper in _folders(folder))):
        if find(near, layout):
            return f"; did you mean data.root={near}?"
    return ""


def _folders(root: Path) -> list[Path]:
    """Those that can be looked into; this is for a hint alone."""
    return [path for path in sorted(root.iterdir()) if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]


def _has_audio(folder: Path) -> bool:
    return any(path.suffix.lower() in AUDIO_ENDINGS for path in folder.iterdir())
