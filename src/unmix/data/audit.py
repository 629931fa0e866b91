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
from unmix.data.alignment import Alignment, align
from unmix.data.cache import build_once, cache_key
from unmix.data.tracks import Track

SILENCE = 32  # int16 steps: a file that stays below -60 dBFS counts as silent
FULL_SCALE = 32767
NOT_THE_SUM_DB = -20.0  # residuals above this are examined: the mixture was mastered separately, or is wrong
# Scores of a perfect estimate of all sources would not exceed 10 dB: they would measure the mixture, not the model.
WRONG_DB = -10.0

WRONG_MIXTURE = "the left channel of the mixture is not the sum of the sources"
# Known defects of MUSDB18 (sigsep.github.io, content/datasets/musdb.md).
ERRATA = {
    "PR - Oh No": WRONG_MIXTURE,
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
        alignment: how the sources explain the mixture; None below `NOT_THE_SUM_DB`, and when either is silent.
    """

    peaks: dict[str, int]
    num_clipped: dict[str, int]
    residual_db: float
    alignment: Alignment | None = None

    def silent(self) -> list[str]:
        """Names of the silent stems."""
        return [stem for stem, peak in self.peaks.items() if peak < SILENCE]

    def error(self) -> str:
        """Say why training or scores would be wrong with this mixture; empty when they would not.

        A mixture that was mastered separately, and stays close to the sum of its sources, is no error.
        """
        if self.residual_db <= NOT_THE_SUM_DB:
            return ""
        is_wrong = self.residual_db > WRONG_DB
        aligned = self.alignment
        if aligned is not None and (is_wrong or aligned.is_exact or aligned.shift) and aligned.describe():
            return aligned.describe()
        if self.residual_db == math.inf:
            return "mixture is silent, but its sources are not"
        amount = f"mixture minus sum is at {self.residual_db:+.1f} dB of the mixture"
        return f"mixture is not the sum of its sources ({amount})" if is_wrong else ""


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

    name = cache_key((file.path for file in track.files.values()), "audit 2", *track.files)
    content = json.loads(build_once(cache / "audits" / f"{name}.json", build).read_text(encoding="utf-8"))
    alignment = content.pop("alignment")
    return Sound(**content, alignment=None if alignment is None else Alignment(**alignment))


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
        residual += _energy(rest) if "mixture" in track.files else 0.0
    residual_db = _decibels(residual, energy)
    return Sound(peaks, num_clipped, residual_db, align(track) if residual_db > NOT_THE_SUM_DB else None)


def _energy(samples: npt.NDArray[np.int32]) -> float:
    return float(np.square(samples, dtype=np.float64).sum())


def _decibels(part: float, whole: float) -> float:
    if part == 0:
        return -math.inf
    return 10 * math.log10(part / whole) if whole else math.inf
