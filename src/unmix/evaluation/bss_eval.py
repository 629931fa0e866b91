"""BSS Eval v4: how much of an estimate is its source, other sources, and neither.

An estimate is projected on what 512-tap filters can make of its own source, and of all sources. The filters fit the
whole track; the energies are those of each window by itself, with silence before it and the filters' tail behind.

Sources: E. Vincent, R. Gribonval, C. Févotte, "Performance measurement in blind audio source separation", IEEE TASLP
2006; F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018; conventions as
museval 0.4.1 (`museval.metrics.bss_eval`), whose numbers come out.

Everything is a sum over time: correlations are gathered block by block, energies window by window, both as products of
spectra (Parseval). So memory does not depend on the length of the track: beside the samples, 0.3 GB go to the Gram
matrix of four stereo sources and 512 taps, and 0.2 GB to the windows under way.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

# Samples start .. stop - 1 of all stems, (sources, channels, samples), real.
ReadStems = Callable[[int, int], Tensor]

FFT_SIZE, NUM_BLOCKS = 8192, 32  # of the correlations: blocks of samples at a time
NUM_WINDOWS = 8  # at a time
# What is added to the Gram matrix when it is singular, as of stems with equal channels: times its mean diagonal.
RIDGES = (1e-14, 1e-12, 1e-10)


@dataclass(frozen=True)
class Scores:
    """Ratios in dB, (sources, windows) each; NaN in a window where any source or estimate is silent."""

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


@torch.no_grad()
def bss_eval(references: Tensor, estimates: Tensor, *, window: int, hop: int, filter_length: int = 512) -> Scores:
    """Signal to distortion, interference and artifacts ratios, and image to spatial distortion ratio, of windows.

    Args:
        references: true stems, (sources, channels, samples), real.
        estimates: of the same shape, on the same device.
        window: samples; a shorter track is one window. What follows the last whole window does not count.
        hop: samples from one window to the next.
        filter_length: taps of the distortion filters.
    Returns:
        On the CPU, in double precision.
    Raises:
        ValueError: on shapes that differ or have no sample, sizes below 1, NaN or infinite samples.
    """
    if references.ndim != 3 or references.shape != estimates.shape:
        raise ValueError(
            f"estimates: got shape {tuple(estimates.shape)} and references {tuple(references.shape)}; "
            "both must be (sources, channels, samples), and equal"
        )
    return bss_eval_blocks(
        lambda start, stop: references[..., start:stop],
        lambda start, stop: estimates[..., start:stop],
        references.shape[-1],
        window=window,
        hop=hop,
        filter_length=filter_length,
    )


@torch.no_grad()
def bss_eval_blocks(
    references: ReadStems, estimates: ReadStems, num_samples: int, *, window: int, hop: int, filter_length: int = 512
) -> Scores:
    """`bss_eval` of stems that are read piece by piece, twice over."""
    for name, value in (("samples", num_samples), ("window", window), ("hop", hop), ("filter_length", filter_length)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, allowed 1 or more")

    def read(start: int, stop: int) -> tuple[Tensor, Tensor]:
        r, e = references(start, stop).to(torch.float64), estimates(start, stop).to(torch.float64)
        if not (r.sum() + e.sum()).isfinite():
            kind = "estimates" if r.isfinite().all() else "references"
            raise ValueError(f"{kind}: got NaN or infinite samples, finite ones are needed")
        return r, e

    window = min(window, num_samples)
    starts = range(0, num_samples - window + 1, hop)
    correlations = _correlations(read, num_samples, filter_length)
    num_sources, num_channels = read(0, 1)[0].shape[:2]
    filters = _Filters(*_projections(correlations, num_sources, num_channels), window)
    pieces = []
    for some in _batched(starts, NUM_WINDOWS):
        r, e = zip(*(read(start, start + window) for start in some), strict=True)
        pieces.append(_ratios(torch.stack(r), torch.stack(e), filters))
    return Scores(*torch.cat(pieces, dim=-1).cpu())


def _batched(values: range, size: int) -> Iterator[range]:
    return (values[first : first + size] for first in range(0, len(values), size))


def _correlations(read: Callable[[int, int], tuple[Tensor, Tensor]], num_samples: int, filter_length: int) -> Tensor:
    """sum_n r_i(n) y_j(n + l), (taps l, rows i of the references, rows j of references and estimates).

    A row is a channel of a source. Blocks of the references meet what lies within and up to `filter_length` behind.
    """
    tail = filter_length - 1
    size = max(FFT_SIZE, next_fast_len(4 * filter_length, real=True))
    step = size - tail
    total: Tensor | None = None
    for first in range(0, num_samples, step * NUM_BLOCKS):
        stop = min(first + step * NUM_BLOCKS + tail, num_samples)
        count = min(NUM_BLOCKS, -(-(num_samples - first) // step))
        r, e = (one.flatten(end_dim=1) for one in read(first, stop))
        y = functional.pad(torch.cat([r, e]), (0, count * step + tail - (stop - first))).unfold(-1, size, step)
        x = y[: len(r)].clone()
        x[..., step:] = 0
        x, y = torch.fft.rfft(x), torch.fft.rfft(y)  # (rows, blocks, bins)
        product = x.permute(2, 0, 1).conj() @ y.permute(2, 1, 0)
        total = product if total is None else total + product
    assert total is not None  # there is a sample
    return torch.fft.irfft(total, size, dim=0)[:filter_length]


def _projections(correlations: Tensor, num_sources: int, num_channels: int) -> tuple[Tensor, Tensor]:
    """Filters from references to estimates that leave the least.

    Returns:
        From all sources to the estimates, (rows, taps, estimates' rows); from each source to its own estimate,
        (sources, channels, taps, channels).
    """
    taps, rows, _ = correlations.shape
    own = []
    for rows_of_source in torch.arange(rows).split(num_channels):
        some = correlations[:, rows_of_source]
        gram, right = _gram(some[:, :, rows_of_source]), some[:, :, rows + rows_of_source]
        own.append(_solve(gram, right.transpose(0, 1)).reshape(num_channels, taps, num_channels))
    together = _solve(_gram(correlations[:, :, :rows]), correlations[:, :, rows:].transpose(0, 1))
    return together.reshape(rows, taps, rows), torch.stack(own)


def _gram(correlations: Tensor) -> Tensor:
    """Inner products of delayed rows, (rows * taps, rows * taps), from those of one sign of the delay."""
    taps, rows, _ = correlations.shape
    # of delays 1 - taps .. taps - 1
    both = torch.cat([correlations.flip(0).transpose(1, 2), correlations[1:]]).permute(1, 2, 0)
    gram = both.new_empty(rows, taps, rows, taps)
    for i in range(rows):
        # element (l, m) is of delay l - m
        gram[i] = both[i].unfold(-1, taps, 1).flip(-1).transpose(0, 1)
    return gram.reshape(rows * taps, rows * taps)


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """gram^-1 right, of (rows, taps, columns); of a singular one, what is left with as little added as will do."""
    right, diagonal = right.reshape(len(gram), -1), gram.diagonal()
    mean, eps = float(diagonal.mean()), torch.finfo(gram.dtype).eps
    for added in (eps, *(ridge * mean for ridge in RIDGES)):
        diagonal += added
        factor, failed = torch.linalg.cholesky_ex(gram)
        if not failed:
            return torch.cholesky_solve(right, factor)
    return torch.zeros_like(right)  # silence throughout: no window counts


class _Filters:
    """Spectra of the filters, for windows of a length.

    Args:
        together, own: see `_projections`.
        window: samples.
    """

    def __init__(self, together: Tensor, own: Tensor, window: int) -> None:
        rows, taps, _ = together.shape
        self.num_sources = len(own)
        self.size = next_fast_len(window + taps - 1, real=True)
        apart = torch.zeros_like(together).unflatten(0, (self.num_sources, -1)).unflatten(3, (self.num_sources, -1))
        for source, filters in enumerate(own):
            apart[source, :, :, source] = filters
        both = torch.cat([apart.reshape(rows, taps, rows), together], dim=2)
        # (bins, rows out, rows in): from each source to its own estimate, from all to all
        self.spectra = torch.fft.rfft(both, self.size, dim=1).permute(1, 2, 0).contiguous()
        self.weights = torch.full(self.spectra.shape[:1], 2 / self.size, dtype=both.dtype, device=both.device)
        self.weights[[0] if self.size % 2 else [0, -1]] /= 2  # have no mirror image

    def spectrum(self, stems: Tensor) -> Tensor:
        """(windows, sources, channels, samples) -> (bins, rows, windows)."""
        return torch.fft.rfft(stems.flatten(1, 2), self.size).permute(2, 1, 0).contiguous()

    def energy(self, spectrum: Tensor) -> Tensor:
        """(bins, rows, windows) -> (sources, windows), by Parseval."""
        power = self.weights @ torch.view_as_real(spectrum.contiguous()).flatten(1).square()
        return power.reshape(self.num_sources, -1, spectrum.shape[-1], 2).sum(dim=(1, 3))


def _ratios(references: Tensor, estimates: Tensor, filters: _Filters) -> Tensor:
    """SDR, ISR, SIR, SAR of (windows, sources, channels, samples) as (4, sources, windows)."""
    true, error = (one.square().sum(dim=(2, 3)).T for one in (references, references - estimates))
    r, e = filters.spectrum(references), filters.spectrum(estimates)
    own, together = (filters.spectra @ r).chunk(2, dim=1)
    ratios = torch.stack(
        [
            _decibels(true, error),
            _decibels(true, filters.energy(own - r)),
            _decibels(filters.energy(own), filters.energy(together - own)),
            _decibels(filters.energy(together), filters.energy(e - together)),
        ]
    )
    # museval's rule: channels that cancel are silent too
    silent = [(one.sum(dim=2) == 0).all(dim=-1).any(dim=-1) for one in (references, estimates)]
    return torch.where(silent[0] | silent[1], torch.nan, ratios)


def _decibels(numerator: Tensor, denominator: Tensor) -> Tensor:
    return torch.where(denominator == 0, torch.inf, 10 * torch.log10(numerator / denominator))
