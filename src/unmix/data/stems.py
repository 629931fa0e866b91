"""MUSDB18's `.stem.mp4` files, decoded once into folders of 16-bit WAV files."""

import hashlib
import logging
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.progress import track

from unmix.data.cache import build_once
from unmix.data.trees import Entry

log = logging.getLogger(__name__)

STREAMS = ("mixture", "drums", "bass", "other", "vocals")  # of a file, by their number
_VERSION = "1"  # of what is decoded


def decoded(entries: Sequence[Entry], cache: Path) -> list[Entry]:
    """The same tracks as folders of WAV files, which `decode` makes."""
    return [replace(entry, path=_folder(entry, cache)) for entry in entries]


def decode(entries: Sequence[Entry], cache: Path) -> None:
    """Decode what is not decoded yet, several files at a time; stopped, it goes on where it was.

    16-bit integers as musdb reads them (`ffmpeg_format="s16le"`): exact zeros stay zeros, on which museval depends.

    Raises:
        ValueError: when FFmpeg is not installed, or a file is none it can read in full.
        OSError: when `cache` cannot be written.
    """
    missing = [entry for entry in entries if not _folder(entry, cache).exists()]
    if not missing:
        return
    if shutil.which("ffmpeg") is None:
        raise ValueError(f"data.root: {missing[0].path.name} needs FFmpeg, which is not installed: run `make ffmpeg`")
    log.info("decoding %d of %d files, once, to %s", len(missing), len(entries), cache / "stems")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        jobs = [pool.submit(build_once, _folder(one, cache), partial(_decode_file, one.path)) for one in missing]
        for job in track(as_completed(jobs), "decoding", total=len(jobs), transient=True):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def is_decoded(entries: Sequence[Entry], cache: Path) -> bool:
    return all(_folder(entry, cache).exists() for entry in entries)


def _folder(entry: Entry, cache: Path) -> Path:
    """Another file under the same name, another folder."""
    stat = entry.path.stat()
    identity = f"{_VERSION} {entry.path.name} {stat.st_size} {stat.st_mtime_ns}"
    return cache / "stems" / f"{entry.name}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}"


def _decode_file(path: Path, folder: Path) -> None:
    folder.mkdir()
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", str(path)]
    for number, stem in enumerate(STREAMS):
        # Bit-exact WAV: no comment of the program that wrote it.
        output = ["-c:a", "pcm_s16le", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags", "+bitexact"]
        command += ["-map", f"0:a:{number}", *output, str(folder / f"{stem}.wav")]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode or done.stderr:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        if shutil.disk_usage(folder).free < path.stat().st_size:
            raise OSError(f"paths.data: no room for {path.name} in {folder.parent}; set UNMIX_DATA to another folder")
        raise ValueError(f"data.root: {path} cannot be decoded by FFmpeg: {lines[0].strip()}; fetch the file again")
