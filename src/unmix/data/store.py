"""Where training samples come from: the files themselves, memory that processes share, or the device."""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unmix import errors
from unmix.data import memory, pcm, shared
from unmix.data.cache import identity
from unmix.data.tracks import AudioFile, Track

log = logging.getLogger(__name__)

STORAGES = ("auto", "disk", "ram", "gpu")
_SHARE_TAKEN_UNASKED = 0.5  # of what is free, by `auto`
_SHARE_TAKEN_AT_MOST = 0.9
_READERS = 4

Files = Sequence[Sequence[AudioFile]]  # 16-bit, by track and source


class Store(Protocol):
    """All sources of all tracks, to take segments out of."""

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """Segments of every source of every sample: (batch, sources) twice -> (batch, sources, channels, samples)."""


class DiskStore:
    """Reads from the files; the system keeps in memory what it has room for."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.num_channels = files[0][0].header.num_channels

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """As `Store.gather`."""
        batch, sources = tracks.shape
        out = torch.empty(batch, sources, num_samples, self.num_channels, dtype=torch.int16)
        bytes_per_frame = out.element_size() * self.num_channels
        for sample, (row, begins) in enumerate(zip(tracks.tolist(), starts.tolist(), strict=True)):
            for source, (track, start) in enumerate(zip(row, begins, strict=True)):
                file = self.files[track][source]
                assert file.header.offset is not None  # see `open_store`
                pcm.read_into(file.path, file.header.offset + start * bytes_per_frame, out[sample, source].numpy())
        return out.transpose(2, 3)  # a view: what follows reads either order alike


class RamStore:
    """Reads from an array in memory that workers, ranks and other runs on this machine share."""

    def __init__(self, files: Files, folder: Path) -> None:
        self.firsts = _firsts(files)
        self.num_channels = files[0][0].header.num_channels
        self.array = shared.share(_key(files), _num_bytes(files), lambda out: _read_all(files, out), folder)

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """As `Store.gather`."""
        batch, sources = tracks.shape
        out = torch.empty(batch, sources, num_samples, self.num_channels, dtype=torch.int16)
        frames, filled = self.array.values.reshape(-1, self.num_channels), out.numpy()
        for sample, (row, begins) in enumerate(zip(tracks.tolist(), starts.tolist(), strict=True)):
            for source, (track, start) in enumerate(zip(row, begins, strict=True)):
                first = self.firsts[track, source] + start
                filled[sample, source] = frames[first : first + num_samples]
        return out.transpose(2, 3)


class DeviceStore:
    """Gathers on the device that holds everything; only draws travel."""

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
        """As `Store.gather`; draws and segments are on the device."""
        sources = torch.arange(tracks.shape[1], device=tracks.device)
        segments = self.frames.unfold(0, num_samples, 1)  # a view: every segment of every file
        return segments[self.firsts[tracks, sources] + starts]


def open_store(
    tracks: Sequence[Track], sources: Sequence[str], storage: str, device: torch.device, cache: Path
) -> Store:
    """The fastest store that fits, or the one asked for.

    Args:
        tracks: whose files are all 16-bit, see `conversion.to_int16`.
        storage: `disk`, `ram`, `gpu` or `auto`.
        device: that trains.
        cache: folder for notes of what is shared.
    Raises:
        ValueError: when what is asked for is not to be had here.
    """
    files = [[track.files[source] for source in sources] for track in tracks]
    kind, why = choose(storage, files, device, cache / "ram")
    log.info("training data: %.2f GB on %s (%s)", _num_bytes(files) / 1e9, kind, why)
    if kind == "gpu":
        return DeviceStore(files, device)
    return RamStore(files, cache / "ram") if kind == "ram" else DiskStore(files)


def choose(storage: str, files: Files, device: torch.device, folder: Path) -> tuple[str, str]:
    """Where to keep the training data, and why; takes and raises what `open_store` does."""
    if storage not in STORAGES:
        raise ValueError(errors.unknown("data.storage", storage, STORAGES))
    if storage == "disk":
        return "disk", "asked for"
    needed = _num_bytes(files)
    share = _SHARE_TAKEN_UNASKED if storage == "auto" else _SHARE_TAKEN_AT_MOST
    told = []
    if storage != "ram":
        if device.type == "cuda" and needed <= share * memory.available(device):
            return "gpu", f"{memory.available(device) / 1e9:.1f} GB of {device} are free"
        told.append(f"{memory.available(device) / 1e9:.1f} GB of {device} free" if device.type == "cuda" else "no GPU")
    if storage != "gpu":
        if not shared.is_possible():
            told.append("shared memory needs Linux")
        elif shared.is_there(_key(files), folder):
            return "ram", "another process has it there"
        elif needed <= share * (free := memory.available(torch.device("cpu"))):
            return "ram", f"{free / 1e9:.1f} GB are free"
        else:
            told.append(f"{free / 1e9:.1f} GB of memory free")
    if storage == "auto":
        return "disk", ", ".join(told)
    raise ValueError(
        f"data.storage: {storage} needs {needed / 1e9:.1f} GB, but here is {', '.join(told)}; "
        "data.storage=auto takes what fits"
    )


def _num_bytes(files: Files) -> int:
    return sum(2 * file.header.num_samples * file.header.num_channels for row in files for file in row)


def _firsts(files: Files) -> npt.NDArray[np.int64]:
    """Where every file begins when they lie one after the other: (tracks, sources)."""
    lengths = np.array([[file.header.num_samples for file in row] for row in files])
    return (lengths.cumsum() - lengths.ravel()).reshape(lengths.shape)


def _read(file: AudioFile) -> npt.NDArray[np.int16]:
    """A whole file, as it lies."""
    samples = np.empty(file.header.num_samples * file.header.num_channels, dtype=np.int16)
    _read_into(file, samples)
    return samples


def _read_into(file: AudioFile, out: npt.NDArray[np.int16]) -> None:
    assert file.header.offset is not None  # see `open_store`
    pcm.read_into(file.path, file.header.offset, out)


def _read_all(files: Files, out: npt.NDArray[np.int16]) -> None:
    flat = [file for row in files for file in row]
    ends = np.cumsum([file.header.num_samples * file.header.num_channels for file in flat])
    with ThreadPoolExecutor(_READERS) as pool:
        list(pool.map(_read_into, flat, np.split(out, ends[:-1])))


def _key(files: Files) -> str:
    """Of these bytes: another process has the same when it was told the same files of the same age."""
    flat = [file for row in files for file in row]
    return identity((file.path for file in flat), *(file.header for file in flat))
