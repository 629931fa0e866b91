"""MUSDB18's `.stem.mp4` files, decoded once into folders of 16-bit WAV files."""

import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from unmix.data.cache import build_once, short_name
from unmix.data.layouts.entry import Entry
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder
from unmix.errors import counted
from unmix.time_left import with_progress

log = logging.getLogger(__name__)

_VERSION = "1"  # of decoded files


class StemFiles(Layout):
    """One `.stem.mp4` file per track, as in MUSDB18; decoded once into folders of 16-bit WAV files."""

    name = "stems"
    hint = ".stem.mp4 files: data=musdb18 fits"
    ending = ".stem.mp4"
    streams = ("mixture", "drums", "bass", "other", "vocals")  # in the order of the streams of a file

    def shape(self, sources: Sequence[str]) -> str:
        return f"{{train,test}}/<track>{self.ending}"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        is_there = any(name.endswith(self.ending) for _, part in tree.splits() for name in part.files)
        return Fit() if is_there else Fit(0, f"{self.ending} files")

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        return [
            naming.entry(
                split,
                name.removesuffix(self.ending),
                self._folder(part.path / name, cache),
                [f"{stream}.wav" for stream in self.streams],
                path=part.path / name,
            )
            for split, part in tree.splits()
            for name in part.files
            if name.endswith(self.ending)
        ]

    def check_tools(self) -> None:
        """Check that FFmpeg is installed; raises ValueError when it is not."""
        if shutil.which("ffmpeg") is None:
            raise ValueError(f"data.root: {self.ending} files need FFmpeg, which is not installed: run `make ffmpeg`")

    def is_decoded(self, entries: Sequence[Entry]) -> bool:
        return all(_decoded(entry).exists() for entry in entries)

    def decode(self, entries: Sequence[Entry]) -> None:
        """Decode the missing tracks, several at a time; a call after an interruption decodes only the rest.

        Samples are 16-bit integers, as musdb reads them (`ffmpeg_format="s16le"`): exact zeros stay zeros, on which
        museval depends.

        Raises:
            ValueError: when FFmpeg is not installed, or cannot read a file in full.
            OSError: when the cache cannot be written.
        """
        missing = [entry for entry in entries if not _decoded(entry).exists()]
        if not missing:
            return
        self.check_tools()
        files = counted(len(entries), "file")
        log.info("decoding %d of %s, once, to %s", len(missing), files, _decoded(missing[0]).parent)
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            jobs = [
                pool.submit(build_once, _decoded(entry), partial(self._decode_file, entry.path)) for entry in missing
            ]
            for job in with_progress(as_completed(jobs), "decoding", len(jobs), "file"):
                job.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _folder(self, path: Path, cache: Path) -> Path:
        """Folder for the decoded stems of a file; its name depends on the file's name, size and modification time."""
        stat = path.stat()
        key = f"{_VERSION} {path.name} {stat.st_size} {stat.st_mtime_ns}"
        name = short_name(path.name.removesuffix(self.ending))
        return cache / "stems" / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"

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


def _decoded(entry: Entry) -> Path:
    """Folder of the decoded stems of a track."""
    return next(iter(entry.files.values()))[0].path.parent
