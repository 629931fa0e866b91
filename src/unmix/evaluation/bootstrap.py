"""Bootstrap intervals: how far a score or a difference would move with other tracks, and with other seeds.

The interval is the percentile interval. BCa's acceleration comes from a jackknife, which is inconsistent for medians.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

LEVEL = 0.95  # of confidence
RESAMPLES = 1999  # the ends of an interval are then order statistics, the 50th from either side
SEED = 0
AVERAGES: dict[str, Callable[..., Any]] = {"median": np.median, "mean": np.mean}  # over tracks, as definitions say


@lru_cache(maxsize=8)
def drawn(*counts: int) -> tuple[np.ndarray, ...]:
    """Draw indices with replacement, the same for the same counts, as drawing takes as long as averaging.

    Args:
        counts: number of items at each level, such as tracks and runs.
    Returns:
        One array per level: (resamples, count), read-only.
    """
    rng = np.random.default_rng(SEED)
    indices = tuple(rng.integers(count, size=(RESAMPLES, count)) for count in counts)
    for level in indices:
        level.setflags(write=False)
    return indices


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """Percentile interval at `LEVEL` of the values of all resamples: (resamples,)."""
    tail = 100 * (1 - LEVEL) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return float(low), float(high)


def score_interval(scores: np.ndarray, over_tracks: str) -> tuple[float, float] | None:
    """Interval of a score over tracks, or of its mean over sources.

    Args:
        scores: score of every track, (sources, tracks); tracks that lack one of any source are left out.
        over_tracks: `median` or `mean`, how scores of tracks are averaged.
    Returns:
        The ends of the interval; None with fewer than two tracks.
    """
    scores = scores[:, np.isfinite(scores).all(axis=0)]
    num_tracks = scores.shape[1]
    if num_tracks < 2:
        return None
    (tracks,) = drawn(num_tracks)
    return interval(AVERAGES[over_tracks](scores[:, tracks], axis=-1).mean(axis=0))
