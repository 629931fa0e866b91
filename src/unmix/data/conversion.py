"""Files that cannot be read as they lie (24-bit, float, FLAC, ...), written once as 16-bit WAV."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from unmix.data import pcm
from unmix.data.cache import build_once, identity
from unmix.data.tracks import AudioFile, Track

log = logging.getLogger(__name__)


def to_int16(tracks: Sequence[Track], cache: Path) -> list[Track]:
    """The same tracks, all their files 16-bit; those that are stay where they are.

    Raises:
        ValueError: when a file holds fewer samples than it says, or some that are no number.
        OSError: when `cache` cannot be written.
    """
    foreign = [file for track in tracks for file in track.files.values() if file.header.offset is None]
    if missing := [file for file in foreign if not _copy_of(file, cache).exists()]:
        log.info("writing %d files as 16-bit WAV, once, to %s", len(missing), cache / "pcm")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        converted = dict(zip([file.path for file in foreign], pool.map(partial(_convert, cache), foreign), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    return [
        replace(track, files={stem: converted.get(file.path, file) for stem, file in track.files.items()})
        for track in tracks
    ]


def _convert(cache: Path, file: AudioFile) -> AudioFile:
    path = build_once(_copy_of(file, cache), partial(pcm.convert, file.path))
    return AudioFile(path, pcm.read_header(path), path.stat().st_size)


def _copy_of(file: AudioFile, cache: Path) -> Path:
    """Another file, or the same one changed, another copy."""
    return cache / "pcm" / f"{file.path.stem}-{identity([file.path])}.wav"
