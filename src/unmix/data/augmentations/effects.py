"""Augmentations of waveforms, on the device; Mixup and Speed read further segments for it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torchaudio.functional import resample

from unmix.data.excerpts import Excerpts, Floats, Integers
from unmix.data.sampling import Draws
from unmix.dsp import fir


@dataclass(frozen=True)
class Speed:
    """Play all sources of a sample faster or slower, by whole steps of 2 %, which changes tempo and pitch together."""

    max_change: float = 0.1
    probability: float = 0.2

    STEPS = 50  # in the range of the original speed

    def num_read(self, segment: int) -> int:
        """Number of samples that a segment at the fastest speed takes."""
        return -(-segment * (self.STEPS + round(self.max_change * self.STEPS)) // self.STEPS)

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Read longer segments for the samples that change."""
        rows, most = np.flatnonzero(numbers[:, 0, 0] < self.probability), round(self.max_change * self.STEPS)
        steps = (numbers[rows, 0, 1] * 2 * most).astype(np.int64) - most
        num_samples, tracks = self.num_read(excerpts.num_samples), draws.tracks[rows]
        starts = np.minimum(draws.starts[rows], excerpts.last_start(tracks, num_samples))
        segments = Draws(tracks, starts, draws.gains[rows], draws.swaps[rows], num_samples)
        return draws.with_effect("speed", segments, rows, self.STEPS + steps + (steps >= 0))

    def apply(self, stems: Tensor, segments: Tensor, rows: Tensor, speeds: Tensor) -> Tensor:
        """Replace samples by resampled ones."""
        length = stems.shape[-1]
        for row, segment, speed in zip(rows.tolist(), segments, speeds.tolist(), strict=True):
            read = segment[..., : -(-length * speed // self.STEPS)]
            stems[row] = resample(read, speed, self.STEPS)[..., :length]
        return stems


@dataclass(frozen=True)
class Mixup:
    """Add a second segment of the same source, scaled by a random factor between the two numbers of `gain`."""

    gain: tuple[float, float] = (0.25, 1.25)
    probability: float = 0.2

    def change(self, draws: Draws, numbers: Floats, excerpts: Excerpts) -> Draws:
        """Draw the second segments."""
        is_mixed = numbers[..., 0] < self.probability
        # The samples whose source is mixed come first, for each source: only as many rows are read as that takes.
        rows = np.argsort(~is_mixed, axis=0, kind="stable")[: is_mixed.sum(axis=0).max()]
        tracks, starts = excerpts.draw(numbers[..., 1], numbers[..., 2])
        low, high = self.gain
        gains = (draws.gains * is_mixed * (low + numbers[..., 3] * (high - low))).astype(np.float32)

        def taken(values: np.ndarray) -> np.ndarray:
            return np.take_along_axis(values, rows, axis=0)

        segments = Draws(taken(tracks), taken(starts), taken(gains), taken(draws.swaps), excerpts.num_samples)
        return draws.with_effect("mixup", segments, rows)

    def apply(self, stems: Tensor, segments: Tensor, rows: Tensor) -> Tensor:
        """Add the second segments."""
        stems[rows, torch.arange(stems.shape[1], device=rows.device)] += segments
        return stems


@dataclass(frozen=True)
class Tilt:
    """Tilt the spectrum of a source around 1 kHz, by up to `max_db` from the lowest to the highest frequencies."""

    max_db: float = 6.0
    probability: float = 0.2
    sample_rate: int = 44100

    PIVOT_HZ, TAPS = 1000, 64

    def draw(self, numbers: Floats) -> tuple[Integers, Floats]:
        """Choose sources and their tilts, in dB."""
        sources = _chosen(numbers, self.probability)
        return sources, self.max_db * (2 * _of(numbers, sources) - 1)

    def apply(self, stems: Tensor, sources: Tensor, tilts: Tensor) -> Tensor:
        """Filter the chosen sources."""
        return _filter(stems, sources, fir.tilt(tilts, self.PIVOT_HZ / self.sample_rate, self.TAPS), delay=0)


@dataclass(frozen=True)
class BandLimit:
    """Remove the frequencies of a source above a random one, uniform in octaves between those of `cutoff_hz`."""

    cutoff_hz: tuple[float, float] = (4000.0, 16000.0)
    probability: float = 0.1
    sample_rate: int = 44100

    TAPS = 63  # the transition is 2 kHz wide at 44.1 kHz

    def draw(self, numbers: Floats) -> tuple[Integers, Floats]:
        """Choose sources and their bandwidths, relative to the sample rate."""
        low, high = self.cutoff_hz
        sources = _chosen(numbers, self.probability)
        return sources, low * (high / low) ** _of(numbers, sources) / self.sample_rate

    def apply(self, stems: Tensor, sources: Tensor, cutoffs: Tensor) -> Tensor:
        """Filter the chosen sources."""
        return _filter(stems, sources, fir.low_pass(cutoffs, self.TAPS), delay=self.TAPS // 2)


def _chosen(numbers: Floats, probability: float) -> Integers:
    """Indices of sources that are drawn with a probability, (chosen,), in all sources of all samples."""
    return np.flatnonzero(numbers[..., 0] < probability)


def _of(numbers: Floats, sources: Integers) -> Floats:
    """Second random number of the chosen sources."""
    return numbers[..., 1].ravel()[sources]


def _filter(stems: Tensor, sources: Tensor, kernels: Tensor, *, delay: int) -> Tensor:
    """Filter the chosen sources, in place."""
    flat = stems.flatten(0, 1)
    flat[sources] = fir.filter_rows(flat[sources], kernels, delay=delay)
    return flat.unflatten(0, stems.shape[:2])
