"""Augmentations that change what is read or how it is scaled: they cost nothing on the device."""

from dataclasses import dataclass, replace

import numpy as np

from unmix.data import activity
from unmix.data.excerpts import Excerpts, Floats
from unmix.data.sampling import Draws


@dataclass(frozen=True)
class Gain:
    """Scale each source by a random factor between two limits, uniformly distributed, as UMX does."""

    limits: tuple[float, float] = (0.25, 1.25)

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Scale the gains."""
        low, high = self.limits
        return replace(draws, gains=(draws.gains * (low + numbers[..., 0] * (high - low))).astype(np.float32))


@dataclass(frozen=True)
class Swap:
    """Exchange the left and right channels of a source, as UMX does; mono sources stay as they are."""

    probability: float = 0.5

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Choose the sources that are swapped."""
        return replace(draws, swaps=numbers[..., 0] < self.probability)


@dataclass(frozen=True)
class Polarity:
    """Invert the polarity of a source."""

    probability: float = 0.5

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Change the signs of gains."""
        return replace(draws, gains=np.where(numbers[..., 0] < self.probability, -draws.gains, draws.gains))


@dataclass(frozen=True)
class Shift:
    """Shift each source in time by up to `max_seconds`, within its track, so that sources of one track do not align."""

    max_seconds: float = 0.5
    probability: float = 1.0
    sample_rate: int = 44100

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Move the starts, uniformly over the positions that are near enough."""
        furthest = round(self.max_seconds * self.sample_rate)
        low = np.maximum(draws.starts - furthest, 0)
        high = np.minimum(draws.starts + furthest, excerpts.last_start(draws.tracks))
        shifted = low + (numbers[..., 1] * (high - low + 1)).astype(np.int64)
        return replace(draws, starts=np.where(numbers[..., 0] < self.probability, shifted, draws.starts))


@dataclass(frozen=True)
class SameTrack:
    """Take all sources of a sample from the same moment of one track; of use with `data.random_mix=true`."""

    probability: float = 0.2

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Replace tracks and starts of whole samples."""
        tracks, starts = excerpts.draw_together(numbers[..., 1], numbers[..., 2])
        return _with_some(draws, numbers[:, :1, 0] < self.probability, tracks, starts)


@dataclass(frozen=True)
class Remix:
    """Take the sources of a sample from different tracks; of use with `data.random_mix=false`."""

    probability: float = 0.5

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Replace tracks and starts of whole samples."""
        tracks, starts = excerpts.draw(numbers[..., 1], numbers[..., 2])
        return _with_some(draws, numbers[:, :1, 0] < self.probability, tracks, starts)


def _with_some(draws: Draws, is_chosen: np.ndarray, tracks: np.ndarray, starts: np.ndarray) -> Draws:
    """Copy of the draws with other tracks and starts in the chosen samples, (batch, 1)."""
    return replace(
        draws, tracks=np.where(is_chosen, tracks, draws.tracks), starts=np.where(is_chosen, starts, draws.starts)
    )


@dataclass(frozen=True)
class Activity:
    """Draw a source only where it sounds, except in samples whose sources come from the same moment of one track.

    It has no random numbers of its own: the data module gives `sampling.Recipe` the positions to draw from.

    Args:
        threshold_db: level from which on a block of `activity.BLOCK` samples sounds; full scale is 0 dB.
        share: smallest share of the blocks of a segment that must sound.
    """

    threshold_db: float = activity.THRESHOLD_DB
    share: float = 0.5
