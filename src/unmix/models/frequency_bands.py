"""Divisions of a spectrogram's bins into bands: of given widths, or along the mel scale with overlaps.

A division has `ranges(num_bins, sample_rate)`, the bins of each band from the lowest; together they cover all bins.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional

from unmix import checks, settings

# M. Slaney, "Auditory Toolbox", 1998: the scale is linear up to 1000 Hz, 15 mel; above, 27 mel are a factor of 6.4.
BREAK_HZ, BREAK_MEL, MELS_PER_NEPER = 1000.0, 15.0, 27.0 / math.log(6.4)


class WidthBands:
    """Adjacent bands of given widths.

    Args:
        widths: number of bins of each band, from the lowest; they add up to all bins of the STFT.

    Raises:
        ValueError: on a width below 1.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self.widths = checks.each("widths", widths, settings.COUNT)

    def ranges(self, num_bins: int, sample_rate: int) -> list[range]:
        """Bins of each band; raises ValueError when the widths do not add up to `num_bins`."""
        if sum(self.widths) != num_bins:
            raise ValueError(
                f"widths: got widths that add up to {sum(self.widths)}, the {num_bins} bins of the STFT are needed"
            )
        ends = [sum(self.widths[: index + 1]) for index in range(len(self.widths))]
        return [range(end - width, end) for width, end in zip(self.widths, ends, strict=True)]


class MelBands:
    """Overlapping bands with equally spaced centres on Slaney's mel scale, each up to the centres beside its own.

    Args:
        num_bands: number of bands.

    Raises:
        ValueError: on fewer than two bands.

    Source:
        J.-C. Wang et al., "Mel-band RoFormer for music source separation", arXiv 2310.01809. Bins are those that
        librosa's filter bank weights above zero, with the first and the last bin.
    """

    def __init__(self, num_bands: int = 60) -> None:
        self.num_bands = checks.integer("num_bands", num_bands, least=2)

    def ranges(self, num_bins: int, sample_rate: int) -> list[range]:
        """Bins of each band; raises ValueError when a band has none, or no band has a bin."""
        highest, spacing = _mel(sample_rate / 2), sample_rate / 2 / (num_bins - 1)
        edges = [_hertz(highest * index / (self.num_bands + 1)) for index in range(self.num_bands + 2)]
        bins = [spacing * index for index in range(num_bins)]
        bands = [  # strictly between the edges
            range(bisect_right(bins, low), bisect_left(bins, high)) for low, high in zip(edges, edges[2:], strict=False)
        ]
        bands[0], bands[-1] = range(bands[0].stop), range(bands[-1].start, num_bins)
        is_covered = all(later.start <= band.stop for band, later in pairwise(bands))
        if not all(bands) or not is_covered:
            raise ValueError(
                f"num_bands: got {self.num_bands}, which {num_bins} bins are too few for: take fewer bands, or a "
                "larger stft.fft_size"
            )
        return bands


def _mel(hertz: float) -> float:
    """Convert a frequency from `BREAK_HZ` on to mel."""
    return BREAK_MEL + MELS_PER_NEPER * math.log(hertz / BREAK_HZ) if hertz > BREAK_HZ else hertz * BREAK_MEL / BREAK_HZ


def _hertz(mel: float) -> float:
    """Convert mel to Hz."""
    is_linear = mel < BREAK_MEL
    return mel * BREAK_HZ / BREAK_MEL if is_linear else BREAK_HZ * math.exp((mel - BREAK_MEL) / MELS_PER_NEPER)


class Overlap:
    """Average of values per band where bands overlap.

    Args:
        ranges: bins of each band, see `WidthBands`; those two further on do not overlap a band.
        num_bins: number of bins.
    """

    def __init__(self, ranges: Sequence[range], num_bins: int) -> None:
        self.layers: list[list[int]] = []  # indices of bands, disjoint within a layer
        for index, band in enumerate(ranges):
            free = (layer for layer in self.layers if ranges[layer[-1]].stop <= band.start)
            layer = next(free, None)
            if layer is None:
                self.layers.append(layer := [])
            layer.append(index)
        self.ranges, self.num_bins = ranges, num_bins
        self.counts = [sum(number in band for band in ranges) for number in range(num_bins)]

    def average(self, values: Sequence[Tensor], per_bin: int) -> Tensor:
        """Average values, (..., bins of the band * per_bin) for each band, to (..., bins * per_bin)."""
        total = sum(self._joined(layer, values, per_bin) for layer in self.layers)
        assert isinstance(total, Tensor)
        if len(self.layers) == 1:
            return total
        counts = total.new_tensor(self.counts).repeat_interleave(per_bin)
        return total / counts

    def _joined(self, layer: Sequence[int], values: Sequence[Tensor], per_bin: int) -> Tensor:
        """Concatenate disjoint bands, with zeros between them."""
        parts, stop = [], 0
        for index in layer:
            gap = (self.ranges[index].start - stop) * per_bin
            parts.append(functional.pad(values[index], (gap, 0)) if gap else values[index])
            stop = self.ranges[index].stop
        joined = torch.cat(parts, dim=-1)
        rest = (self.num_bins - stop) * per_bin
        return functional.pad(joined, (0, rest)) if rest else joined
