"""BSS Eval v4: how much of an estimate is its source, how much other sources, and how much neither.

An estimate is projected onto filtered versions of its own source, and onto those of all sources. The filters have 512
taps and are fitted to the whole track. Energies are computed per window, with silence before the window and the tail of
the filters behind it.

Sources: E. Vincent, R. Gribonval, C. Févotte, "Performance measurement in blind audio source separation", IEEE TASLP
2006; F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018; conventions as
museval 0.4.1 (`museval.metrics.bss_eval`), whose results are reproduced.

Energies are summed window by window from spectra (Parseval), so memory does not depend on the length of the track. For
four stereo sources, the windows in progress take 0.2 GB.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from unmix.dsp.arrays import Samples, as_stems
from unmix.evaluation import projections
from unmix.evaluation.stems import ReadStems, reader

NUM_WINDOWS = 8  # windows per read
NUM_BINS = 2048  # bins multiplied at a time, so that the results stay in the cache of a core


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
        reader(true),
        [reader(estimated)],
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

    readers = (references, *estimates)
    num_sources, num_channels = references(0, 1).shape[:2]
    window = min(window, num_samples)
    starts = range(0, num_samples - window + 1, hop)
    correlations = projections.correlations(readers, num_samples, filter_length)
    methods = [_Filters(*filters, window) for filters in projections.solve(correlations, num_sources, num_channels)]
    # allocated once: many small results between large temporary tensors would keep the heap from being reused
    ratios = torch.empty(len(methods), len(fields(Scores)), num_sources, len(starts), dtype=torch.float64)
    for first in range(0, len(starts), NUM_WINDOWS):
        chunk = starts[first : first + NUM_WINDOWS]
        stems = torch.stack([projections.read(readers, start, start + window) for start in chunk], dim=1)
        ratios[..., first : first + NUM_WINDOWS] = _ratios(stems, methods).cpu()
    return [Scores(*of_method) for of_method in ratios]


class _Filters:
    """Spectra of the distortion filters of one method, for windows of one length.

    Args:
        together: filters from all references to each estimate, see `projections.solve`.
        own: filters from each reference to its own estimate.
        window: samples per window.
    """

    def __init__(self, together: Tensor, own: Tensor, window: int) -> None:
        rows, taps, _ = together.shape
        self.size = next_fast_len(window + taps - 1, real=True)
        apart = torch.zeros_like(together).unflatten(0, (len(own), -1)).unflatten(3, (len(own), -1))
        for source, filters in enumerate(own):
            apart[source, :, :, source] = filters
        # (bins, rows out, rows in)
        self.own, self.together = (
            torch.fft.rfft(filters, self.size, dim=1).permute(1, 2, 0).contiguous()
            for filters in (apart.reshape(rows, taps, rows), together)
        )

    def parts(self, r: Tensor, e: Tensor, bins: slice) -> tuple[Tensor, ...]:
        """Project some bins of references and estimates, (bins, rows, windows); return what energies are taken of."""
        own, together = self.own[bins] @ r, self.together[bins] @ r
        return own - r, own, together - own, together, e - together


def _ratios(stems: Tensor, methods: Sequence[_Filters]) -> Tensor:
    """Compute SDR, ISR, SIR, SAR of the references and estimates of some windows.

    Args:
        stems: (1 + methods, windows, sources, channels, samples), the references first.
        methods: filters of every method.
    Returns:
        (methods, 4, sources, windows).
    """
    references, estimates = stems[0], stems[1:]
    true, error = (
        torch.linalg.vector_norm(signals.flatten(-2), dim=-1).square().transpose(-1, -2)
        for signals in (references, references - estimates)
    )
    spatial, own, interference, together, artifacts = _energies(stems, methods).unbind(dim=1)
    pairs = (true, error), (true, spatial), (own, interference), (together, artifacts)
    ratios = torch.stack([_decibels(*pair) for pair in pairs], dim=1)
    # museval's rule: a stem whose channels cancel is silent too
    silent = (stems.sum(dim=3) == 0).all(dim=-1).any(dim=-1)
    return torch.where((silent[0] | silent[1:])[:, None, None], torch.nan, ratios)


def _energies(stems: Tensor, methods: Sequence[_Filters]) -> Tensor:
    """Compute the energies of the parts of all estimates by Parseval: (methods, parts, sources, windows)."""
    _, num_windows, num_sources, num_channels, _ = stems.shape
    size = methods[0].size
    spectra = [torch.fft.rfft(rows, size) for rows in stems.flatten(2, 3)]
    for spectrum in spectra:
        spectrum[..., [0] if size % 2 else [0, -1]] *= 0.5**0.5  # DC and Nyquist have no negative frequency
    sums = stems.new_zeros(len(methods), 5, num_sources * num_channels, num_windows, 2)
    for first in range(0, spectra[0].shape[-1], NUM_BINS):
        bins = slice(first, first + NUM_BINS)
        r, *estimates = (spectrum[..., bins].permute(2, 1, 0).contiguous() for spectrum in spectra)
        for method, (e, filters) in enumerate(zip(estimates, methods, strict=True)):
            for part, projected in enumerate(filters.parts(r, e, bins)):
                sums[method, part] += torch.view_as_real(projected).square().sum(dim=0)
    return sums.sum(dim=-1).unflatten(2, (num_sources, -1)).sum(dim=3) * (2 / size)


def _decibels(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Ratio of two energies in dB; infinite where the denominator is 0."""
    return torch.where(denominator == 0, torch.inf, 10 * torch.log10(numerator / denominator))
