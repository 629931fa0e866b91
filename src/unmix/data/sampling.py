"""Draw track, start, gain and swap of every source of a training sample, as a function of (seed, epoch, index) only.

Draws do not depend on the worker, the rank, the number of GPUs or interruptions; in open-unmix-pytorch they depend on
all of these.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Recipe:
    """Settings of the draws.

    Args:
        segment: length of a segment, in samples.
        random_mix: whether each source has its own random track and start, as in UMX, or all share one.
        gain: lowest and highest gain of a source, uniformly distributed.
        swap_probability: probability that the left and right channels of a source are swapped.
    """

    segment: int
    random_mix: bool = True
    gain: tuple[float, float] = (0.25, 1.25)
    swap_probability: float = 0.5


@dataclass(frozen=True)
class Draws:
    """Origin and augmentation of every source of every sample of a batch; all arrays are (batch, sources).

    `tracks` number the tracks that hold the source.
    """

    tracks: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    gains: npt.NDArray[np.float32]
    swaps: npt.NDArray[np.bool_]


def draw(
    seed: int,
    epoch: int,
    first: int,
    num_samples: int,
    *,
    track_lengths: Sequence[npt.NDArray[np.int64]],
    recipe: Recipe,
) -> Draws:
    """Draw the samples `first`, `first + 1`, ... of an epoch.

    Tracks are drawn uniformly, whatever their duration, as UMX's balanced sampling does.

    Args:
        seed, epoch: select the random stream; any non-negative integers.
        first, num_samples: which samples of the epoch.
        track_lengths: for each source, samples per track that holds it, (tracks,).
        recipe: segment length and augmentation.
    Raises:
        ValueError: when a track is shorter than a segment.
    """
    shortest = min(lengths.min() for lengths in track_lengths)
    if shortest < recipe.segment:
        raise ValueError(f"data.segment_seconds: a segment has {recipe.segment} samples, the shortest track {shortest}")
    num_sources = len(track_lengths)
    track, start, gain, swap = np.moveaxis(_uniforms(seed, epoch, first, num_samples, num_sources), -1, 0)
    if not recipe.random_mix:
        track, start = (np.broadcast_to(values[:, :1], values.shape) for values in (track, start))
    tracks = (track * [len(lengths) for lengths in track_lengths]).astype(np.int64)
    drawn = np.stack([lengths[tracks[:, source]] for source, lengths in enumerate(track_lengths)], axis=1)
    low, high = recipe.gain
    return Draws(
        tracks=tracks,
        starts=(start * (drawn - recipe.segment + 1)).astype(np.int64),
        gains=(low + gain * (high - low)).astype(np.float32),
        swaps=swap < recipe.swap_probability,
    )


def _uniforms(seed: int, epoch: int, first: int, num_samples: int, num_sources: int) -> npt.NDArray[np.float64]:
    """Draw random numbers in [0, 1), (batch, sources, 4), each sample independent of which others are drawn.

    Philox is a counter-based generator with four numbers per count: every source of every sample has its own count.
    """
    generator = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=first * num_sources)
    return np.random.Generator(generator).random((num_samples, num_sources, 4))
