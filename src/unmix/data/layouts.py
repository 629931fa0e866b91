"""How the tracks of a data set lie on disk: one class per layout, listed in `LAYOUTS`."""

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

log = logging.getLogger(__name__)

SUBSETS = ("train", "test")
AUDIO_ENDINGS = (".wav", ".flac")
_VERSION = "1"  # of decoded files


@dataclass(frozen=True)
class Entry:
    """A track before its files are read: a folder of audio files, or one file of stems."""

    subset: str
    name: str
    path: Path


class Layout(ABC):
    """How tracks lie under `train` and `test`; audio files are read by `scan`, from one folder per track.

    A layout whose tracks are something else decodes them into such folders, in the cache.

    Attributes:
        name: value of `data.layout`.
        hint: what a tree of this layout holds, and the `data=` that reads it.
    """

    name: str
    hint: str

    @abstractmethod
    def shape(self, sources: Sequence[str]) -> str:
        """Pattern of the paths of a tree, as error messages show it."""

    @abstractmethod
    def track_name(self, path: Path) -> str | None:
        """Name of the track at a path of a subset, or None when it is not a track."""

    def find(self, root: Path) -> list[Entry]:
        """Tracks of a tree, sorted by name because the order of a directory differs between machines.

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
        """Whether `decode` has nothing left to do."""
        return True

    def decode(self, entries: Sequence[Entry], cache: Path) -> None:  # noqa: B027 - most layouts have nothing to decode
        """Decode the tracks that are not decoded yet."""

    def decoded(self, entries: Sequence[Entry], cache: Path) -> list[Entry]:
        """The same tracks as folders of audio files."""
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
    streams = ("mixture", "drums", "bass", "other", "vocals")  # of a file, by their number

    def shape(self, sources: Sequence[str]) -> str:
        return f"{{train,test}}/<track>{self.ending}"

    def track_name(self, path: Path) -> str | None:
        return path.name.removesuffix(self.ending) if path.name.endswith(self.ending) else None

    def is_decoded(self, entries: Sequence[Entry], cache: Path) -> bool:
        return all(self._folder(entry, cache).exists() for entry in entries)

    def decoded(self, entries: Sequence[Entry], cache: Path) -> list[Entry]:
        return [replace(entry, path=self._folder(entry, cache)) for entry in entries]

    def decode(self, entries: Sequence[Entry], cache: Path) -> None:
        """Decode several files at a time; when it is interrupted, the next call decodes only the rest.

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
        log.info("decoding %d of %d files, once, to %s", len(missing), len(entries), cache / "stems")
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
        """Folder of decoded files; another file of the same name has another."""
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
    """The layout that `data.layout` names; raises ValueError when there is none."""
    if name not in LAYOUTS:
        raise ValueError(errors.unknown("data.layout", name, LAYOUTS))
    return LAYOUTS[name]


def why_empty(root: Path, layout: Layout, sources: Sequence[str]) -> str:
    """One-line error for a tree without tracks: what was expected, what is there, and what may have been meant."""
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
    """Folders that may be read; others are skipped, as this only serves a suggestion."""
    return [path for path in sorted(root.iterdir()) if path.is_dir() and os.access(path, os.R_OK | os.X_OK)]
