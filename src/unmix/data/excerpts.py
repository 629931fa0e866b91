"""Which tracks of every source training draws, how often, and at which positions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unmix.data.activity import Starts

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Excerpts:
    """The excerpts of tracks that may be drawn; random numbers in [0, 1) choose among them.

    Args:
        lengths: for each source, samples per track that holds it, (tracks,).
        num_samples: length of an excerpt, in samples.
        weights: for each source, how often each of its tracks is drawn, relative to the others; None is uniform.
        starts: for each source, positions at which it sounds; None is all positions.
    """

    lengths: Sequence[Integers]
    num_samples: int
    weights: Sequence[Floats] | None = None
    starts: Sequence[Starts] | None = None

    def draw(self, track: Floats, start: Floats) -> tuple[Integers, Integers]:
        """Draw tracks and starts of sources that are independent of each other; all arrays are (batch, sources)."""
        if self.starts is None:
            return self._draw(self.weights, track, start)
        weights = self.weights or [np.ones(len(lengths)) for lengths in self.lengths]
        counted = [row * (starts.counts > 0) for row, starts in zip(weights, self.starts, strict=True)]
        tracks = self._draw_tracks(counted, track)
        columns = [starts.draw(tracks[:, i], start[:, i]) for i, starts in enumerate(self.starts)]
        return tracks, np.minimum(np.stack(columns, axis=1), self.last_start(tracks))

    def draw_together(self, track: Floats, start: Floats) -> tuple[Integers, Integers]:
        """Draw one track and one start for each sample, which all of its sources share; arrays are (batch, sources).

        Only the random numbers of the first source are used, and `starts` are not: a source may be silent there.
        """
        track, start = (np.broadcast_to(numbers[:, :1], numbers.shape) for numbers in (track, start))
        shared = None if self.weights is None else [np.sum(self.weights, axis=0)] * len(self.weights)
        return self._draw(shared, track, start)

    def last_start(self, tracks: Integers, num_samples: int | None = None) -> Integers:
        """Last position in each track at which an excerpt, of `num_samples` if that is given, can start."""
        lengths = np.stack([row[tracks[:, source]] for source, row in enumerate(self.lengths)], axis=1)
        return lengths - (self.num_samples if num_samples is None else num_samples)

    def _draw(self, weights: Sequence[Floats] | None, track: Floats, start: Floats) -> tuple[Integers, Integers]:
        tracks = self._draw_tracks(weights, track)
        return tracks, (start * (self.last_start(tracks) + 1)).astype(np.int64)

    def _draw_tracks(self, weights: Sequence[Floats] | None, numbers: Floats) -> Integers:
        if weights is None:
            return (numbers * [len(lengths) for lengths in self.lengths]).astype(np.int64)
        totals = [row.cumsum() for row in weights]
        columns = [
            np.searchsorted(total, column * total[-1], side="right")  # never a track of weight 0
            for total, column in zip(totals, numbers.T, strict=True)
        ]
        return np.stack(columns, axis=1)
