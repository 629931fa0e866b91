"""Readers of true and estimated stems that load any part of a track, so that memory does not depend on its length."""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unmix.data import pcm
from unmix.data.tracks import Track
from unmix.evaluation.scenarios import ACCOMPANIMENT

RESIDUAL = "residual"
REST = (RESIDUAL, ACCOMPANIMENT)  # names of the sum of all sources that are not named


class Sources:
    """Reader of the true stems of a track: `sources(start, stop)` returns (sources, channels, samples), float32.

    Args:
        track: the track.
        names: names of the stems, in the order of the result; `residual` or `accompaniment`, allowed only as the last,
            is the sum of all sources that are not named, unless the track has a file of that name.
    """

    def __init__(self, track: Track, names: Sequence[str]) -> None:
        is_sum = names[-1] in REST and names[-1] not in track.files
        named = names[:-1] if is_sum else names
        rest = [name for name in track.files if name not in (*named, "mixture")] if is_sum else []
        self.files = [pcm.FloatReader(track.path(name)) for name in named]
        self.rest = [pcm.FloatReader(track.path(name)) for name in rest]

    def __call__(self, start: int, stop: int) -> Tensor:
        stems = [file(start, stop) for file in self.files]
        if self.rest:
            stems.append(np.sum([file(start, stop) for file in self.rest], axis=0))
        return torch.from_numpy(np.stack(stems))


class Estimates:
    """Estimates of a track in a temporary file; `estimates(start, stop)` reads them, in the shape of `Sources`.

    Args:
        path: the file.
        num_sources: number of estimates.
        num_channels: number of channels of each.
    """

    def __init__(self, path: Path, num_sources: int, num_channels: int) -> None:
        self.path = path
        self.frame = (num_sources, num_channels)  # values per sample
        self.seconds = 0.0  # that `write` took, with the computation of the blocks

    def write(self, blocks: Iterable[Tensor]) -> int:
        """Write all blocks, (sources, channels, samples) each, and return the total number of samples."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        num_samples, started = 0, time.perf_counter()
        with self.path.open("wb") as file:
            for block in blocks:
                block.permute(2, 0, 1).to("cpu", torch.float32).contiguous().numpy().tofile(file)
                num_samples += block.shape[-1]
        self.seconds = time.perf_counter() - started
        return num_samples

    def __call__(self, start: int, stop: int) -> Tensor:
        size = self.frame[0] * self.frame[1]
        samples = np.fromfile(self.path, np.float32, (stop - start) * size, offset=start * size * 4)
        return torch.from_numpy(samples.reshape(-1, *self.frame)).permute(1, 2, 0)


class Shared:
    """Baseline estimates: each is the mixture divided by the number of sources (MIX in SiSEC); called like `Sources`.

    Args:
        track: the track.
        num_sources: number of estimates.
    """

    def __init__(self, track: Track, num_sources: int) -> None:
        self.mixture = Sources(track, ["mixture"])
        self.num_sources = num_sources

    def __call__(self, start: int, stop: int) -> Tensor:
        return (self.mixture(start, stop) / self.num_sources).expand(self.num_sources, -1, -1)
