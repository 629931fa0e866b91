"""Layouts: how a data set is arranged on disk, one class each, listed in `LAYOUTS`."""

import hashlib
import logging
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.progress import track

from unmix import errors
from unmix.data.cache import build_once
from unmix.errors import counted

log = logging.getLogger(__name__)

SUBSETS = ("train", "test")
AUDIO_ENDINGS = (".wav", ".flac")
_VERSION = "1"  # of decoded files


@dataclass(frozen=True)
class Entry:
    """A track found on disk, not yet read: `path` is a folder of audio files, or one file with all stems."""

    subset: str
    name: str
    path: Path


class Layout(ABC):
    """Arrangement of the tracks in the folders `train` and `test`.

    `scan` reads one folder of audio files per track; a layout that stores tracks differently decodes them into such
    folders, in the cache.

    Attributes:
        name: value of `data.layout`.
        hint: what a tree of this layout holds, and the option `data=` that reads it, for error messages.
    """

    name: str
    hint: str

    @abstractmethod
    def shape(self, sources: Sequence[str]) -> str:
        """Pattern of the paths in a tree of this layout, for error messages."""

    @abstractmethod
    def track_name(self, path: Path) -> str | None:
        """Name of the track at a path in `train` or `test`; None when the path is not a track."""

    def find(self, root: Path) -> list[Entry]:
        """Find the tracks of a tree, sorted by path, as directories have no fixed order.

        Raises:
            OSError: when a folder cannot be read.
        """
        return [
            Entry(subset, name, path)
            for subset in SUBSETS
            if (root / subset).is_dir()
            for path in sorted((root / subset).iterdir())
            if (name := self.track_name(path)) is not None
        ]

    def is_decoded(self, entries: Sequence[Entry], cache: Path) -> bool:
        """Whether all tracks are decoded in the cache, or need no decoding."""
        return True

    def decode(self, entries: Sequence[Entry], cache: Path) -> None:  # noqa: B027 - most layouts have nothing to decode
        """Decode those tracks into the cache that are not there yet."""

    def decoded(self, entries: Sequence[Entry], cache: Path) -> list[Entry]:
        """The same tracks, with the paths of their folders of audio files, in the cache if they are decoded."""
        return list(entries)


class Folders(Layout):
    """One folder of audio files per track, as in MUSDB18-HQ."""

    name = "folders"
    hint = "folders of audio files: data=musdb18hq or data=own fits"

    def shape(self, sources: Sequence[str]) -> str:
        return f"{{train,test}}/<track>/{{{','.join(('mixture', *sources))}}}.wav"

    def track_name(self, path: Path) -> str | None:
        is_track = path.is_dir() and any(file.suffix.lower() in AUDIO_ENDINGS for file in path.iterdir())
        return path.name if is_track else None


class Stems(Layout):
    """One `.stem.mp4` file per track, as in MUSDB18; decoded once into folders of 16-bit WAV files."""

    name = "stems"
    hint = ".stem.mp4 files: data=musdb18 fits"
    ending = ".stem.mp4"
    streams = ("mixture", "drums", "bass", "other", "vocals")  # in the order of the streams of a file

    def shape(self, sources: Sequence[str]) -> str:
        return f"{{train,test}}/<track>{self.ending}"

    def track_name(self, path: Path) -> str | None:
        return path.name.removesuffix(self.ending) if path.name.endswith(self.ending) else None

    def is_decoded(self, entries: Sequence[Entry], cache: Path) -> bool:
        return all(self._folder(entry, cache).exists() for entry in entries)

    def decoded(self, entries: Sequence[Entry], cache: Path) -> list[Entry]:
        return [replace(entry, path=self._folder(entry, cache)) for entry in entries]

    def decode(self, entries: Sequence[Entry], cache: Path) -> None:
        """Decode the missing tracks, several at a time; a call after an interruption decodes only the rest.

        Samples are 16-bit integers, as musdb reads them (`ffmpeg_format="s16le"`): exact zeros stay zeros, on which
        museval depends.

        Raises:
            ValueError: when FFmpeg is not installed, or cannot read a file in full.
            OSError: when `cache` cannot be written.
        """
        missing = [entry for entry in entries if not self._folder(entry, cache).exists()]
        if not missing:
            return
        if shutil.which("ffmpeg") is None:
            raise ValueError(
                f"data.root: {missing[0].path.name} needs FFmpeg, which is not installed: run `make ffmpeg`"
            )
        log.info("decoding %d of %s, once, to %s", len(missing), counted(len(entries), "file"), cache / "stems")
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            jobs = [
                pool.submit(build_once, self._folder(entry, cache), partial(self._decode_file, entry.path))
                for entry in missing
            ]
            for job in track(as_completed(jobs), "decoding", total=len(jobs), transient=True):
                job.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _folder(self, entry: Entry, cache: Path) -> Path:
        """Folder for the decoded stems of a track; its name depends on the file's name, size and modification time."""
        stat = entry.path.stat()
        key = f"{_VERSION} {entry.path.name} {stat.st_size} {stat.st_mtime_ns}"
        return cache / "stems" / f"{entry.name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

    def _decode_file(self, path: Path, folder: Path) -> None:
        folder.mkdir()
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path)]
        for number, stem in enumerate(self.streams):
            # Bit-exact WAV: without a comment that names the encoder.
            output = ["-c:a", "pcm_s16le", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
            command += ["-map", f"0:a:{number}", *output, str(folder / f"{stem}.wav")]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or done.stderr:
            lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
            if shutil.disk_usage(folder).free < path.stat().st_size:
                raise OSError(
                    f"paths.data: no room for {path.name} in {folder.parent}; set UNMIX_DATA to another folder"
                )
            raise ValueError(f"data.root: {path} cannot be decoded by FFmpeg: {lines[0].strip()}; fetch the file again")


LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (Folders(), Stems())}


def named(name: str) -> Layout:
    """Return the layout with a name; raises ValueError on an unknown name."""
    if name not in LAYOUTS:
        raise ValueError(errors.unknown("data.layout", name, LAYOUTS))
    return LAYOUTS[name]


def why_empty(root: Path, layout: Layout, sources: Sequence[str]) -> str:
    """Format the error for a tree without tracks: what was expected, what was found, and a suggestion."""
    expected = layout.shape(sources)
    if not root.is_dir():
        return f"data.root: {root} is not a folder; a tree of this shape is needed: {expected}"
    return f"data.root: no track in {root}: looked for {expected}, {_content(root)}{_suggestion(root, layout)}"


def _content(root: Path) -> str:
    names = sorted(entry.name for entry in root.iterdir())
    if not names:
        return "found an empty folder"
    return "found " + ", ".join(names[:6]) + (f", ... ({len(names)} entries)" if len(names) > 6 else "")


def _suggestion(root: Path, layout: Layout) -> str:
    for other in LAYOUTS.values():
        if other is not layout and other.find(root):
            return f"; it holds {other.hint}"
    inside = _folders(root)
    for near in (root.parent, *inside, *(deeper for folder in inside for deeper in _folders(folder))):
        if layout.find(near):
            return f"; did you mean data.root={near}?"
    return ""


def _folders(root: Path) -> list[Path]:
    """List the readable subfolders; others are skipped, because the result is only used for a suggestion."""
    return [path for path in sorted(root.iterdir()) if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]
