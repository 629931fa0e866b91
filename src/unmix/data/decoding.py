"""Files that libsndfile does not know, such as M4A, decoded once by FFmpeg into WAV files in the cache."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial
from pathlib import Path

from unmix.data import ffmpeg
from unmix.data.cache import build_once, cache_key, short_name
from unmix.data.layouts.entry import Entry
from unmix.data.wav import Overflow, WavWriter
from unmix.errors import counted
from unmix.time_left import with_progress

log = logging.getLogger(__name__)

_BLOCK = 2**18  # samples
_VERSION = "decoded 1"


def decode(entries: Sequence[Entry], cache: Path) -> tuple[list[Entry], dict[Path, Path]]:
    """Decode the files of tracks that need FFmpeg, several at a time; a call after an interruption decodes the rest.

    Samples have 16 bits, 24 where a lossless file has more, and are float where they exceed full scale.

    Args:
        entries: tracks.
        cache: folder of prepared data.
    Returns:
        The tracks with the decoded files in place, and the file that each of these comes from.
    Raises:
        ValueError: when FFmpeg is not installed, or cannot decode a file in full.
        OSError: when a file cannot be read, or the cache cannot be written.
    """
    listed = dict.fromkeys(path for entry in entries for path in entry.paths() if ffmpeg.is_needed(path))
    decoded = {path: _place(path, cache) for path in listed}
    missing = [path for path in listed if not decoded[path].exists()]
    if missing:
        log.info("decoding %s, once, to %s", counted(len(missing), "file"), decoded[missing[0]].parent)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        jobs = [pool.submit(build_once, decoded[path], partial(_decode, path)) for path in missing]
        for job in with_progress(as_completed(jobs), "decoding", len(jobs), "file"):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)
    return [_replaced(entry, decoded) for entry in entries], {place: path for path, place in decoded.items()}


def _place(path: Path, cache: Path) -> Path:
    return cache / "decoded" / f"{short_name(path.stem)}-{cache_key([path], _VERSION)}.wav"


def _replaced(entry: Entry, decoded: dict[Path, Path]) -> Entry:
    files = {
        stem: tuple(replace(part, path=decoded.get(part.path, part.path)) for part in parts)
        for stem, parts in entry.files.items()
    }
    return replace(entry, files=files)


def _decode(path: Path, out: Path) -> None:
    rate, channels = ffmpeg.probe(path)
    reader = ffmpeg.FloatReader(path, rate, channels, out.parent, key="paths.data")
    try:
        if reader.complaint:
            raise ValueError(f"{path} is damaged: {reader.complaint}")
        try:
            _write(reader, out, rate, "PCM_24" if ffmpeg.num_bits(path) > 16 else "PCM_16")
        except Overflow:
            _write(reader, out, rate, "FLOAT")
    finally:
        reader.close()


def _write(reader: ffmpeg.FloatReader, out: Path, rate: int, subtype: str) -> None:
    with WavWriter(out, rate, reader.num_channels, reader.num_samples, subtype) as writer:
        for start in range(0, reader.num_samples, _BLOCK):
            writer.write(reader(start, min(start + _BLOCK, reader.num_samples)).T)
