"""Listing of a folder: names of the audio files in it and below, read once and shared by all layouts."""

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from unmix.data import ffmpeg
from unmix.data.layouts.entry import SPLITS

# What libsndfile reads, of which training converts all but 16-bit WAV once; and what src/prepare.py decodes by FFmpeg.
AUDIO = (".wav", ".flac", ".aif", ".aiff", ".w64", ".caf", ".ogg", ".opus", ".mp3", *ffmpeg.AUDIO)
DEPTH = 4  # data.root/train/<track>/<stem>/<file>, and one for a root that is too high
_MOST_FILES = 2_000_000
_SYSTEM = ("lost+found", "System Volume Information")
_MISTAKEN_SPLITS = ("training", "val", "validation", "validate", "dev", "eval", "testing")


@dataclass(frozen=True)
class Folder:
    """A folder, or a single file as `path`; names that begin with a dot are left out, and all are sorted."""

    path: Path
    files: tuple[str, ...] = ()
    folders: dict[str, "Folder"] = field(default_factory=dict)

    @cached_property
    def audio(self) -> list[str]:
        """Names of the audio files."""
        return [name for name in self.files if name.lower().endswith(AUDIO)]

    def splits(self) -> list[tuple[str, "Folder"]]:
        """Folders of the splits; without any, the folder itself holds what is trained on.

        Raises:
            ValueError: when a folder is named almost as a split, such as `val`, as it would not be read.
        """
        named = [(split, self.folders[split]) for split in SPLITS if split in self.folders]
        for name in self.folders if named else ():
            if name.lower() in (*SPLITS, *_MISTAKEN_SPLITS) and name not in SPLITS:
                near = difflib.get_close_matches(name.lower(), SPLITS, n=1, cutoff=0.4) or ["valid"]
                raise ValueError(
                    f"data.root: {self.path / name} would not be read: splits are the folders "
                    f"{', '.join(SPLITS)}; rename it to {near[0]}"
                )
        return named or [("train", self)]

    def has_splits(self) -> bool:
        """Whether there is a folder for a split."""
        return any(split in self.folders for split in SPLITS)

    def describe(self) -> str:
        """Name the first entries, for error messages."""
        names = sorted([*self.folders, *self.files])
        if not names:
            return "an empty folder"
        more = f", ... ({len(names)} entries)" if len(names) > 6 else ""
        return ", ".join(names[:6]) + more

    def walk(self) -> Iterator["Folder"]:
        """Yield the folder and all below it."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()


def read_tree(path: Path) -> Folder:
    """List a folder down to `DEPTH` levels; beside folders of splits, others are only named, as they may be anything.

    Raises:
        OSError: when a folder cannot be read.
        ValueError: when there are more files than any data set has.
    """
    return _read(path, DEPTH, [0]) if path.is_dir() else Folder(path)


def _read(path: Path, depth: int, count: list[int]) -> Folder:
    files: list[str] = []
    folders: list[str] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.name.startswith(".") and entry.name not in _SYSTEM:
                (folders if _is(entry.is_dir) else files if _is(entry.is_file) else []).append(entry.name)
    count[0] += len(files) + len(folders)
    if count[0] > _MOST_FILES:
        raise ValueError(f"data.root: more than {_MOST_FILES} files down to {path}: name the folder of the data set")
    named = [name for name in folders if name in SPLITS] if depth == DEPTH else []
    wanted = (named or folders) if depth else []
    below = {
        name: _read(path / name, depth - 1, count) if name in wanted else Folder(path / name)
        for name in sorted(folders)
    }
    return Folder(path, tuple(sorted(files)), below)


def _is(asked: Callable[[], bool]) -> bool:
    try:
        return asked()
    except OSError:  # a link that leads to itself
        return False
