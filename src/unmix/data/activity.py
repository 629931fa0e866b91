"""Where every source of every track sounds: its level in short blocks, computed once and cached."""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from unmix.data import pcm
from unmix.data.cache import build_once, cache_key
from unmix.data.tracks import Track
from unmix.errors import counted

log = logging.getLogger(__name__)

BLOCK = 1024  # samples; 23 ms at 44.1 kHz
THRESHOLD_DB = -60.0  # a block sounds from this level on; full scale is 0 dB

Level = npt.NDArray[np.float32]  # of every block of a file, dB


@dataclass(frozen=True)
class Starts:
    """Blocks at which a segment of a source may start.

    Args:
        blocks: indices of these blocks, of all tracks one after the other.
        counts: how many of them each track has, (tracks,).
    """

    blocks: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def draw(self, tracks: npt.NDArray[np.int64], numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Draw starts in tracks, (batch,), uniformly; one may exceed a track's last by less than a block."""
        positions = numbers * self.counts[tracks]
        firsts = self.counts.cumsum() - self.counts
        blocks = self.blocks[firsts[tracks] + positions.astype(np.int64)]
        return ((blocks + positions % 1) * BLOCK).astype(np.int64)


def find_starts(
    levels: Sequence[Level], lengths: npt.NDArray[np.int64], segment: int, *, threshold_db: float, share: float
) -> Starts:
    """Find where segments of a source may start so that it sounds in a share of their blocks.

    Args:
        levels: level of every track.
        lengths: samples per track, (tracks,).
        segment: length of a segment, in samples.
        threshold_db: level from which on a block sounds.
        share: smallest share of the blocks of a segment that must sound; segments start within a block, so that the
            last of its blocks may be replaced by the next one.
    """
    allowed = [
        _starts(level >= threshold_db, length, segment, share) for level, length in zip(levels, lengths, strict=True)
    ]
    return Starts(np.concatenate(allowed), np.array([len(blocks) for blocks in allowed]))


def _starts(is_sounding: npt.NDArray[np.bool_], length: int, segment: int, share: float) -> npt.NDArray[np.int64]:
    total = np.concatenate([[0], is_sounding.cumsum()])
    first = np.arange((length - segment) // BLOCK + 1)
    end = np.minimum(first + -(-segment // BLOCK), len(is_sounding))
    return np.flatnonzero(total[end] - total[first] >= share * (end - first))


def load_or_compute(tracks: Sequence[Track], source: str, cache: Path) -> list[Level]:
    """Load the levels of a source in all tracks from the folder `cache`, or compute and save them.

    Raises:
        ValueError: when a file cannot be read.
        OSError: when `cache` cannot be written.
    """
    paths = [track.path(source) for track in tracks]

    def build(path: Path) -> None:
        log.info("levels of %s of %s, once, to %s", counted(len(paths), "file"), source, path.parent)
        with ThreadPoolExecutor(os.cpu_count()) as pool, path.open("wb") as file:
            np.savez(file, *pool.map(compute, paths))

    with np.load(build_once(cache / "levels" / f"{cache_key(paths, 'levels 1', BLOCK)}.npz", build)) as saved:
        return [saved[f"arr_{i}"] for i in range(len(paths))]


def compute(path: Path) -> Level:
    """Compute the level of each block of a file over all channels, in dB; silence is minus infinity."""
    samples = pcm.read_int16(path)
    power = np.square(samples, dtype=np.float32).mean(axis=0)
    firsts = np.arange(0, len(power), BLOCK)
    mean = np.add.reduceat(power, firsts) / np.diff(firsts, append=len(power))
    with np.errstate(divide="ignore"):
        return (10 * np.log10(mean / pcm.INT16_FULL_SCALE**2)).astype(np.float32)
