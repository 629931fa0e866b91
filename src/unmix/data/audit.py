"""Audit of a data set: reads all samples to find silence, clipping, and mixtures that are not sums of their sources."""

import json
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track as with_progress

from unmix.data import pcm
from unmix.data.cache import build_once, cache_key
from unmix.data.tracks import Track

SILENCE = 32  # int16 steps: a file that stays below -60 dBFS counts as silent
FULL_SCALE = 32767

# Known defects of MUSDB18 (sigsep.github.io, content/datasets/musdb.md).
ERRATA = {
    "PR - Oh No": "the left channel of the mixture is not the sum of the sources",
    "Chris Durban - Celebrate": "other instruments in vocals",
    "Hop Along - Sister Cities": "other instruments in vocals",
    "Detsky Sad - Walkie Talkie": "other instruments in drums",
    "Leaf - Wicked": "guitar in drums and vocals at 2:20 and 3:02",
    "Enda Reilly - Cur An Long Ag Seol": "speech in other",
}


@dataclass(frozen=True)
class Sound:
    """Measurements of a track.

    Args:
        peaks: stem -> largest absolute sample, in int16 steps.
        num_clipped: stem -> number of samples at full scale.
        residual_db: energy of (mixture - sum of sources) relative to the mixture, dB; -inf when it is exactly zero.
    """

    peaks: dict[str, int]
    num_clipped: dict[str, int]
    residual_db: float

    def silent(self) -> list[str]:
        """Names of the silent stems."""
        return [stem for stem, peak in self.peaks.items() if peak < SILENCE]


def listen(tracks: Sequence[Track], cache: Path) -> list[Sound]:
    """Measure all tracks, several at a time; results are reused from the folder `cache`.

    Raises:
        ValueError: when a file is shorter than its header says, or holds samples that are NaN or infinite.
        OSError: when `cache` cannot be written.
    """
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        heard = pool.map(lambda track: _remembered(track, cache), tracks)
        return list(with_progress(heard, "listening", total=len(tracks), transient=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _remembered(track: Track, cache: Path) -> Sound:
    def build(path: Path) -> None:
        path.write_text(json.dumps(asdict(_listen(track))), encoding="utf-8")

    name = cache_key((file.path for file in track.files.values()), "audit 1", *track.files)
    return Sound(**json.loads(build_once(cache / "audits" / f"{name}.json", build).read_text(encoding="utf-8")))


def _listen(track: Track) -> Sound:
    peaks, num_clipped = dict.fromkeys(track.files, 0), dict.fromkeys(track.files, 0)
    energy = residual = 0.0
    for start in range(0, track.num_samples, pcm.BLOCK):
        length = min(pcm.BLOCK, track.num_samples - start)
        rest: npt.NDArray[np.int32] = np.zeros((track.num_channels, length), dtype=np.int32)
        for stem in track.files:
            samples = pcm.read_int16(track.path(stem), start=start, num_samples=length).astype(np.int32)
            loudness = np.abs(samples)
            peaks[stem] = max(peaks[stem], int(loudness.max()))
            num_clipped[stem] += int(np.count_nonzero(loudness >= FULL_SCALE))
            energy += _energy(samples) if stem == "mixture" else 0.0
            rest += samples if stem == "mixture" else -samples
        residual += _energy(rest)
    return Sound(peaks, num_clipped, _decibels(residual, energy))


def _energy(samples: npt.NDArray[np.int32]) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _decibels(part: float, whole: float) -> float:
    if part == 0:
        return -math.inf
    return 10 * math.log10(part / whole) if whole else math.inf
