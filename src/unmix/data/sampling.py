"""Draw where every source of a training sample is read and how it is augmented, from (seed, epoch, index) only.

Draws do not depend on the worker, the rank, the number of GPUs or interruptions; in open-unmix-pytorch they depend on
all of these.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
import numpy.typing as npt
from torch import Tensor

from unmix.data.activity import Starts
from unmix.data.excerpts import Excerpts, Floats

# UMX's augmentations share the random stream of tracks and starts, which take its first two numbers.
_FIRST_NUMBER = {"gain": 2, "swap": 3}


@dataclass(frozen=True)
class Draws:
    """Origin and augmentation of every source of every sample of a batch; all arrays are (batch, sources).

    Args:
        tracks, starts: where segments are read; `tracks` number the tracks that hold the source.
        gains: factors of the sources.
        swaps: whether left and right channels are swapped.
        num_samples: length of the segments.
        effects: what `Effect.apply` needs, by the name of the augmentation: arrays of any shape, and `Draws` of further
            segments, which are read and replaced by their waveforms.
    """

    tracks: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]
    gains: npt.NDArray[np.float32]
    swaps: npt.NDArray[np.bool_]
    num_samples: int = 0
    effects: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def with_effect(self, name: str, *values: Any) -> Self:
        """Copy with the values of an effect."""
        return replace(self, effects={**self.effects, name: values})


@runtime_checkable
class Selection(Protocol):
    """Augmentation that changes what is read, or how it is scaled."""

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Change the draws of a batch; `numbers` are random, in [0, 1), (batch, sources, 4)."""


@runtime_checkable
class Effect(Protocol):
    """Augmentation of waveforms on the device."""

    def draw(self, numbers: Floats) -> tuple[Any, ...]:
        """Turn random numbers in [0, 1), (batch, sources, 4), into the values that `apply` takes."""

    def apply(self, stems: Tensor, *values: Tensor) -> Tensor:
        """Augment sources, (batch, sources, channels, samples), which may be changed in place."""


@dataclass(frozen=True)
class Recipe:
    """Settings of the draws.

    Args:
        segment: length of a segment, in samples.
        random_mix: whether each source has its own random track and start, as in UMX, or all share one.
        augmentations: by name, in the order in which they are applied.
        weights, starts: see `Excerpts`.
    """

    segment: int
    random_mix: bool = True
    augmentations: Mapping[str, Any] = field(default_factory=dict)
    weights: Sequence[Floats] | None = None
    starts: Sequence[Starts] | None = None

    @property
    def longest(self) -> int:
        """Length of the longest segment that is read."""
        lengths = (getattr(item, "num_read", lambda segment: segment) for item in self.augmentations.values())
        return max((length(self.segment) for length in lengths), default=self.segment)


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

    Without weights, tracks are drawn uniformly, whatever their duration, as UMX's balanced sampling does.

    Args:
        seed, epoch: select the random stream; any non-negative integers.
        first, num_samples: which samples of the epoch.
        track_lengths: for each source, samples per track that holds it, (tracks,).
        recipe: segment length and augmentations.
    Raises:
        ValueError: when a track is shorter than a segment.
    """
    shortest, num_sources = min(lengths.min() for lengths in track_lengths), len(track_lengths)
    if shortest < recipe.longest:
        raise ValueError(f"data.segment_seconds: a segment has {recipe.longest} samples, the shortest track {shortest}")
    excerpts = Excerpts(track_lengths, recipe.segment, recipe.weights, recipe.starts)
    numbers = _uniforms(seed, epoch, first, num_samples, num_sources)
    draw_segments = excerpts.draw if recipe.random_mix else excerpts.draw_together
    tracks, starts = draw_segments(numbers[..., 0], numbers[..., 1])
    gains, swaps = np.ones(tracks.shape, dtype=np.float32), np.zeros(tracks.shape, dtype=np.bool_)
    draws = Draws(tracks, starts, gains, swaps, recipe.segment)
    for name, augmentation in recipe.augmentations.items():
        if name in _FIRST_NUMBER:
            own = numbers[..., _FIRST_NUMBER[name] :]
        else:
            own = _uniforms(seed, epoch, first, num_samples, num_sources, _stream(name))
        if isinstance(augmentation, Selection):
            draws = augmentation.change(draws, own, excerpts)
        elif isinstance(augmentation, Effect):
            draws = draws.with_effect(name, *augmentation.draw(own))
    return draws


def _stream(name: str) -> int:
    """Number of an augmentation's random stream, of 64 bits, the same in every process; 0 is that of the tracks."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def _uniforms(seed: int, epoch: int, first: int, num_samples: int, num_sources: int, stream: int = 0) -> Floats:
    """Draw random numbers in [0, 1), (batch, sources, 4), each sample independent of which others are drawn.

    Philox is a counter-based generator with four numbers per count: every source of every sample has its own count, in
    the lowest of the counter's four words. The highest is the stream.
    """
    counter = np.array([first * num_sources, 0, 0, stream], dtype=np.uint64)
    generator = np.random.Philox(key=np.array([seed, epoch], dtype=np.uint64), counter=counter)
    return np.random.Generator(generator).random((num_samples, num_sources, 4))
