"""Stores: training segments read from the files, or gathered from the memory of the training device."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unmix import settings
from unmix.data import pcm
from unmix.data.cache import build_once, cache_key, short_name
from unmix.data.tracks import AudioFile, Track
from unmix.errors import counted
from unmix.time_left import with_progress

log = logging.getLogger(__name__)

# Largest share of a GPU's free memory for training data, with `auto` and with `gpu`.
_AUTO_SHARE, _GPU_SHARE = 0.5, 0.9

Files = Sequence[Sequence[AudioFile]]  # 16-bit, of each source, in the order that `sampling.draw` numbers them


class Store(Protocol):
    """Access to segments of all sources of all tracks."""

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """Gather the segments that start at `starts` in `tracks`, of `num_samples` each.

        Shape:
            tracks, starts: (batch, sources) -> int16, (batch, sources, channels, samples).
        """


class DiskStore:
    """Store that reads segments from the files; the system's page cache keeps them in memory while there is room."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.num_channels = files[0][0].header.num_channels

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """Read segments, see `Store.gather`."""
        batch, sources = tracks.shape
        out = torch.empty(batch, sources, num_samples, self.num_channels, dtype=torch.int16)
        bytes_per_frame = out.element_size() * self.num_channels
        for sample, (row, begins) in enumerate(zip(tracks.tolist(), starts.tolist(), strict=True)):
            for source, (track, start) in enumerate(zip(row, begins, strict=True)):
                file = self.files[source][track]
                assert file.header.offset is not None  # see `open_store`
                pcm.read_into(file.path, file.header.offset + start * bytes_per_frame, out[sample, source].numpy())
        return out.transpose(2, 3)  # a view: the following code reads either order at the same speed


class DeviceStore:
    """Store that holds all samples on a device and gathers segments there, so that only draws are transferred."""

    def __init__(self, files: Files, device: torch.device) -> None:
        num_channels = files[0][0].header.num_channels
        self.firsts = torch.from_numpy(_firsts(files)).to(device)
        self.frames = torch.empty(
            _num_bytes(files) // 2 // num_channels, num_channels, dtype=torch.int16, device=device
        )
        first = 0
        for file in (file for row in files for file in row):
            samples = torch.from_numpy(_read(file).reshape(-1, num_channels))
            self.frames[first : first + len(samples)] = samples
            first += len(samples)

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """Gather segments, see `Store.gather`; arguments and result are on the device."""
        sources = torch.arange(tracks.shape[1], device=tracks.device)
        segments = self.frames.unfold(0, num_samples, 1)  # a view: every segment of every file
        return segments[self.firsts[tracks, sources] + starts]


def open_store(tracks: Sequence[Track], sources: Sequence[str], storage: str, device: torch.device) -> Store:
    """Open the store that `storage` names.

    Args:
        tracks: tracks with only 16-bit files, see `to_int16`.
        sources: names of the sources, in the order of the axis `sources`.
        storage: `disk`, `gpu`, or `auto` for the GPU if the data fit there.
        device: device that trains.
    Raises:
        ValueError: as `choose`.
    """
    files = [[track.files[source] for track in tracks if source in track.files] for source in sources]
    kind, reason = choose(storage, files, device)
    log.info("training data: %.2f GB on %s (%s)", _num_bytes(files) / 1e9, kind, reason)
    return DeviceStore(files, device) if kind == "gpu" else DiskStore(files)


def choose(storage: str, files: Files, device: torch.device) -> tuple[str, str]:
    """Choose where to keep training data: returns `disk` or `gpu`, and the reason for the log.

    Raises:
        ValueError: when `storage` is unknown, or `gpu` and the data do not fit.
    """
    settings.check("data", {"storage": storage})
    if storage == "disk":
        return "disk", "as configured"
    needed, reason = _num_bytes(files), "no GPU"
    if device.type == "cuda":
        free = _free_bytes(device)
        reason = f"{free / 1e9:.1f} GB of {device} free"
        if needed <= free * (_AUTO_SHARE if storage == "auto" else _GPU_SHARE):
            return "gpu", reason
    if storage == "auto":
        return "disk", reason
    raise ValueError(
        f"data.storage: {storage} needs {needed / 1e9:.1f} GB, but here is {reason}; data.storage=auto takes what fits"
    )


def to_int16(tracks: Sequence[Track], cache: Path) -> list[Track]:
    """Convert files that are not 16-bit WAV (24-bit, float, FLAC, ...) into the cache, once; return tracks with these.

    Raises:
        ValueError: when a file holds fewer samples than its header says, or samples that are NaN or infinite.
        OSError: when `cache` cannot be written.
    """
    foreign = [file for track in tracks for file in track.files.values() if file.header.offset is None]
    if missing := [file for file in foreign if not _copy_of(file, cache).exists()]:
        log.info("writing %s as 16-bit WAV, once, to %s", counted(len(missing), "file"), cache / "pcm")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        made = with_progress(pool.map(partial(_copy, cache), foreign), "writing", len(foreign), "file")
        copies = dict(zip([file.path for file in foreign], made, strict=True))
    finally:
        pool.shutdown(cancel_futures=True)
    return [
        replace(track, files={stem: copies.get(file.path, file) for stem, file in track.files.items()})
        for track in tracks
    ]


def _copy(cache: Path, file: AudioFile) -> AudioFile:
    path = build_once(_copy_of(file, cache), partial(pcm.convert, file.path))
    return AudioFile(path, pcm.read_header(path), path.stat().st_size)


def _copy_of(file: AudioFile, cache: Path) -> Path:
    """Path of the 16-bit copy of a file in the cache; it changes when the file does."""
    return cache / "pcm" / f"{short_name(file.path.stem)}-{cache_key([file.path])}.wav"


def _free_bytes(device: torch.device) -> int:
    return torch.cuda.mem_get_info(device)[0]


def _num_bytes(files: Files) -> int:
    return sum(2 * file.header.num_samples * file.header.num_channels for row in files for file in row)


def _firsts(files: Files) -> npt.NDArray[np.int64]:
    """Index of every file's first sample in the concatenation of all files, (tracks, sources)."""
    firsts = np.zeros((max(map(len, files)), len(files)), dtype=np.int64)
    position = 0
    for source, row in enumerate(files):
        for track, file in enumerate(row):
            firsts[track, source] = position
            position += file.header.num_samples
    return firsts


def _read(file: AudioFile) -> npt.NDArray[np.int16]:
    """Read all samples of a file, channels interleaved, (samples * channels,)."""
    assert file.header.offset is not None  # see `open_store`
    samples = np.empty(file.header.num_samples * file.header.num_channels, dtype=np.int16)
    pcm.read_into(file.path, file.header.offset, samples)
    return samples
