"""Excerpts of the files of a track, for a closer look at a passage."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unmix.data import pcm
from unmix.data.tracks import Track

Samples = npt.NDArray[np.float64]


def read(track: Track, stem: str, start: int, stop: int) -> Samples:
    """Read samples `start` to `stop` of a file, (channels, samples), with zeros before its start and after its end."""
    passage = np.zeros((track.num_channels, stop - start))
    first, last = max(0, start), min(stop, track.num_samples)
    if first < last:
        passage[:, first - start : last - start] = pcm.read_int16(
            track.path(stem), start=first, num_samples=last - first
        )
    return passage


def read_all(track: Track, stems: Sequence[str], start: int, stop: int) -> Samples:
    """Read the same samples of several files, (files, channels, samples)."""
    return np.stack([read(track, stem, start, stop) for stem in stems])
