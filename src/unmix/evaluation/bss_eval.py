"""BSS Eval v4: how much of an estimate is its source, how much other sources, and how much neither.

An estimate is projected onto filtered versions of its own source, and onto those of all sources. The filters have 512
taps and are fitted to the whole track. Energies are computed per window, with silence before the window and the tail of
the filters behind it.

Sources: E. Vincent, R. Gribonval, C. Févotte, "Performance measurement in blind audio source separation", IEEE TASLP
2006; F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018; conventions as
museval 0.4.1 (`museval.metrics.bss_eval`), whose results are reproduced.

Correlations are summed block by block and energies window by window, both from spectra (Parseval), so memory does not
depend on the length of the track. For four stereo sources and 512 taps, the Gram matrix takes 0.3 GB and the windows in
progress 0.2 GB.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from unmix.dsp.arrays import Samples, as_stems

# Returns samples start .. stop - 1 of all stems, (sources, channels, samples), real.
ReadStems = Callable[[int, int], Tensor]

FFT_SIZE = 8192  # of the correlations
NUM_BLOCKS = 32  # FFT blocks per read
NUM_WINDOWS = 8  # windows per read
# Regularisation of a singular Gram matrix (stems with equal channels), relative to its mean diagonal; tried in order.
RIDGES = (1e-14, 1e-12, 1e-10)


@dataclass(frozen=True)
class Scores:
    """Ratios in dB, (sources, windows), float64, on the CPU; NaN in windows where any source or estimate is silent."""

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


@torch.no_grad()
def bss_eval(references: Samples, estimates: Samples, *, window: int, hop: int, filter_length: int = 512) -> Scores:
    """Compute SDR, ISR, SIR and SAR of every window.

    These are the ratios of signal to distortion (SDR), to spatial distortion of the image (ISR), to interference (SIR)
    and to artifacts (SAR).

    Args:
        references: true stems, (sources, channels, samples), real; a tensor or a NumPy array.
        estimates: estimated stems, of the same shape, on the same device.
        window: samples per window; a shorter track is one window. Samples behind the last full window are ignored.
        hop: samples from one window to the next.
        filter_length: number of taps of the distortion filters.
    Raises:
        ValueError: on shapes that differ or have no sample, sizes below 1, samples that are complex, NaN or infinite.
    """
    true, estimated = as_stems(references, estimates)
    (scores,) = bss_eval_blocks(
        lambda start, stop: true[..., start:stop],
        [lambda start, stop: estimated[..., start:stop]],
        true.shape[-1],
        window=window,
        hop=hop,
        filter_length=filter_length,
    )
    return scores


@torch.no_grad()
def bss_eval_blocks(
    references: ReadStems,
    estimates: Sequence[ReadStems],
    num_samples: int,
    *,
    window: int,
    hop: int,
    filter_length: int = 512,
) -> list[Scores]:
    """Compute `bss_eval` of several methods' estimates, read piece by piece; they share all work on the references."""
    for name, value in (("samples", num_samples), ("window", window), ("hop", hop), ("filter_length", filter_length)):
        if value < 1:
            raise ValueError(f"{name}: got {value}, allowed 1 or more")

    def read(start: int, stop: int) -> Tensor:
        """Read references and estimates, float64: (1 + methods, sources, channels, samples)."""
        stems = [reader(start, stop).to(torch.float64) for reader in (references, *estimates)]
        for method, samples in enumerate(stems):
            if not samples.sum().isfinite():
                kind = "estimates" if method else "references"
                raise ValueError(f"{kind}: got NaN or infinite samples, finite ones are needed")
        return torch.stack(stems)

    window = min(window, num_samples)
    starts = range(0, num_samples - window + 1, hop)
    num_sources, num_channels = read(0, 1).shape[1:3]
    correlations = _correlations(read, num_samples, filter_length)
    methods = [_Filters(*filters, window) for filters in _projections(correlations, num_sources, num_channels)]
    # allocated once: many small results between large temporary tensors would keep the heap from being reused
    ratios = torch.empty(len(methods), len(fields(Scores)), num_sources, len(starts), dtype=torch.float64)
    for first in range(0, len(starts), NUM_WINDOWS):
        r, *others = torch.stack([read(start, start + window) for start in starts[first : first + NUM_WINDOWS]], dim=1)
        spectrum = methods[0].spectrum(r)
        for method, (e, filters) in enumerate(zip(others, methods, strict=True)):
            ratios[method, :, :, first : first + NUM_WINDOWS] = _ratios(r, spectrum, e, filters).cpu()
    return [Scores(*of_method) for of_method in ratios]


def _correlations(read: Callable[[int, int], Tensor], num_samples: int, filter_length: int) -> Tensor:
    """Compute sum_n r_i(n) y_j(n + l) for lags l from 0 to `filter_length` - 1.

    A row is one channel of one stem: r are the rows of the references, y those of the references and of all estimates.
    A block of r is correlated with the same samples of y and the `filter_length` - 1 that follow.

    Returns:
        (lags l, rows i, rows j).
    """
    tail = filter_length - 1
    size = max(FFT_SIZE, next_fast_len(4 * filter_length, real=True))
    step = size - tail
    total: Tensor | None = None
    for first in range(0, num_samples, step * NUM_BLOCKS):
        stop = min(first + step * NUM_BLOCKS + tail, num_samples)
        count = min(NUM_BLOCKS, -(-(num_samples - first) // step))
        stems = read(first, stop)
        y = functional.pad(stems.flatten(end_dim=2), (0, count * step + tail - (stop - first))).unfold(-1, size, step)
        x = y[: stems[0].shape[:2].numel()].clone()
        x[..., step:] = 0
        x, y = torch.fft.rfft(x), torch.fft.rfft(y)  # (rows, blocks, bins)
        product = x.permute(2, 0, 1).conj() @ y.permute(2, 1, 0)
        total = product if total is None else total + product
    assert total is not None  # num_samples >= 1
    return torch.fft.irfft(total, size, dim=0)[:filter_length]


def _projections(correlations: Tensor, num_sources: int, num_channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Solve for the least-squares filters from references to the estimates of every method.

    Yields:
        Filters from all references to each estimate, (rows in, taps, rows out); filters from each reference to its own
        estimate, (sources, channels in, taps, channels out).
    """
    taps, rows, _ = correlations.shape
    to_estimates = correlations[:, :, rows:].unflatten(2, (-1, num_sources, num_channels))
    own = []
    for source, rows_of_source in enumerate(torch.arange(rows).split(num_channels)):
        of_source = correlations[:, rows_of_source]
        right = to_estimates[:, rows_of_source, :, source].transpose(0, 1)
        filters = _solve(_gram(of_source[:, :, rows_of_source]), right)
        own.append(filters.reshape(num_channels, taps, -1, num_channels))
    together = _solve(_gram(correlations[:, :, :rows]), to_estimates.transpose(0, 1)).reshape(rows, taps, -1, rows)
    for method in range(to_estimates.shape[2]):
        yield together[:, :, method], torch.stack(own)[:, :, :, method]


def _gram(correlations: Tensor) -> Tensor:
    """Build the Gram matrix of delayed rows, (rows * taps, rows * taps), from correlations at lags >= 0."""
    taps, rows, _ = correlations.shape
    # lags 1 - taps .. taps - 1
    both = torch.cat([correlations.flip(0).transpose(1, 2), correlations[1:]]).permute(1, 2, 0)
    gram = both.new_empty(rows, taps, rows, taps)
    for i in range(rows):
        # element (l, m) has lag l - m
        gram[i] = both[i].unfold(-1, taps, 1).flip(-1).transpose(0, 1)
    return gram.reshape(rows * taps, rows * taps)


def _solve(gram: Tensor, right: Tensor) -> Tensor:
    """Solve gram @ filters = right; a singular gram gets the smallest sufficient ridge of `RIDGES`.

    Args:
        gram: (rows * taps, rows * taps); its diagonal is changed.
        right: (rows, taps, ...), whose further axes are columns.
    Returns:
        (rows * taps, columns).
    """
    right, diagonal = right.reshape(len(gram), -1), gram.diagonal()
    mean, eps = float(diagonal.mean()), torch.finfo(gram.dtype).eps
    for ridge in (eps, *(factor * mean for factor in RIDGES)):
        diagonal += ridge
        factor, failed = torch.linalg.cholesky_ex(gram)
        if not failed:
            return torch.cholesky_solve(right, factor)
    return torch.zeros_like(right)  # all silent: every window is NaN anyway


class _Filters:
    """Spectra of the distortion filters, for windows of one length.

    Args:
        together: filters from all references to each estimate, see `_projections`.
        own: filters from each reference to its own estimate.
        window: samples per window.
    """

    def __init__(self, together: Tensor, own: Tensor, window: int) -> None:
        rows, taps, _ = together.shape
        self.num_sources = len(own)
        self.size = next_fast_len(window + taps - 1, real=True)
        apart = torch.zeros_like(together).unflatten(0, (self.num_sources, -1)).unflatten(3, (self.num_sources, -1))
        for source, filters in enumerate(own):
            apart[source, :, :, source] = filters
        both = torch.cat([apart.reshape(rows, taps, rows), together], dim=2)
        # (bins, rows out, rows in); rows out: first the own-source filters, then the all-source filters
        self.spectra = torch.fft.rfft(both, self.size, dim=1).permute(1, 2, 0).contiguous()
        self.weights = torch.full(self.spectra.shape[:1], 2 / self.size, dtype=both.dtype, device=both.device)
        self.weights[[0] if self.size % 2 else [0, -1]] /= 2  # DC and Nyquist have no negative frequency

    def spectrum(self, stems: Tensor) -> Tensor:
        """Transform windows: (windows, sources, channels, samples) -> (bins, rows, windows)."""
        return torch.fft.rfft(stems.flatten(1, 2), self.size).permute(2, 1, 0).contiguous()

    def energy(self, spectrum: Tensor) -> Tensor:
        """Compute the energy of every source by Parseval: (bins, rows, windows) -> (sources, windows)."""
        power = self.weights @ torch.view_as_real(spectrum.contiguous()).flatten(1).square()
        return power.reshape(self.num_sources, -1, spectrum.shape[-1], 2).sum(dim=(1, 3))


def _ratios(references: Tensor, spectrum: Tensor, estimates: Tensor, filters: _Filters) -> Tensor:
    """Compute SDR, ISR, SIR, SAR: (windows, sources, channels, samples) -> (4, sources, windows).

    `spectrum` is that of the references, `filters` are those of the method that made the estimates.
    """
    true, error = (stems.square().sum(dim=(2, 3)).T for stems in (references, references - estimates))
    r, e = spectrum, filters.spectrum(estimates)
    own, together = (filters.spectra @ r).chunk(2, dim=1)
    ratios = torch.stack(
        [
            _decibels(true, error),
            _decibels(true, filters.energy(own - r)),
            _decibels(filters.energy(own), filters.energy(together - own)),
            _decibels(filters.energy(together), filters.energy(e - together)),
        ]
    )
    # museval's rule: a stem whose channels cancel is silent too
    silent = [(stems.sum(dim=2) == 0).all(dim=-1).any(dim=-1) for stems in (references, estimates)]
    return torch.where(silent[0] | silent[1], torch.nan, ratios)


def _decibels(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Ratio of two energies in dB; infinite where the denominator is 0."""
    return torch.where(denominator == 0, torch.inf, 10 * torch.log10(numerator / denominator))
