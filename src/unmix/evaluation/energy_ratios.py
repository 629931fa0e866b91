"""Metrics that are ratios of energies of a source and of an error, by window or of the whole track.

Stereo stems are one vector of all samples of all channels.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unmix.evaluation.metrics import USDR, Definition
from unmix.evaluation.stems import Stems, check_finite

FLOOR = 1e-7  # of the Music Demixing Challenge 2021; keeps the ratio of silence finite
# Share of the largest eigenvalue of the sources' Gram matrix below which a direction is left out (equal sources).
RANK_TOLERANCE = 1e-12


class ChunkSdr:
    """SDR by window without distortion filters, ||s||^2 / ||s - e||^2: what museval's SDR is, computed at once.

    A window in which a reference or an estimate of any source is silent is NaN for all sources, as in museval.

    Args:
        window_seconds: length of a window, and step from one to the next.
    """

    def __init__(self, window_seconds: float = 1.0) -> None:
        measure = "SDR without distortion filters"
        self.definitions = (Definition("cSDR", measure, window_seconds=window_seconds, over_tracks="median"),)
        self.window_seconds = window_seconds

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        (scores,) = self.together([stems])
        return scores

    def together(self, stems: Sequence[Stems]) -> list[Mapping[str, Tensor]]:
        """Score several methods, whose references are read once."""
        true, errors, silences = _energies(stems, self.window_seconds)
        return [
            {"cSDR": torch.where(silent.any(dim=0), torch.nan, decibels(true, error))}
            for error, silent in zip(errors, silences, strict=True)
        ]


class WindowShare:
    """Share of the windows in which no reference and no estimate is silent, which are those that museval scores.

    Args:
        window_seconds: length of a window, and step from one to the next.
    """

    def __init__(self, window_seconds: float = 1.0) -> None:
        measure = f"share of the windows of {window_seconds:g} s without a silent stem"
        self.definitions = (Definition("windows", measure, unit="%"),)
        self.window_seconds = window_seconds

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        _, _, (silent,) = _energies([stems], self.window_seconds)
        share = 100 * (~silent.any(dim=0)).double().mean()
        return {"windows": share.expand(len(silent))}


class TrackSdr:
    """SDR of all samples of a track at once (uSDR), as in the Music Demixing Challenge 2021.

    Source: Y. Mitsufuji et al., Music Demixing Challenge 2021, Frontiers in Signal Processing 1 (2022), equation 1.
    """

    definitions = (USDR,)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        energies = [torch.stack((energy(r), energy(r - e))) for r, e in stems.blocks()]
        true, error = torch.stack(energies).sum(dim=0)
        return {"uSDR": decibels(true + FLOOR, error + FLOOR)}


class SiSdr:
    """Scale-invariant SDR, ||a s||^2 / ||e - a s||^2 with the a that fits best; NaN when either is silent.

    Source: J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, equation 5.
    """

    definitions = (Definition("SI-SDR", "scale-invariant SDR of the whole track"),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        gram, cross, total = _products(stems)
        target = cross.diagonal().square() / gram.diagonal()
        return {"SI-SDR": decibels(target, (total - target).clamp_min(0))}


class SiSar:
    """Scale-invariant SAR, ||a s||^2 / ||artifacts||^2: the artifacts are what is left of an estimate outside the span
    of all sources.

    NaN when the source or its estimate is silent. 10^(-SI-SDR/10) = 10^(-SI-SIR/10) + 10^(-SI-SAR/10).

    Source: J. Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, section 2.
    """

    definitions = (Definition("SI-SAR", "scale-invariant SAR of the whole track"),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        gram, cross, total = _products(stems)
        target = cross.diagonal().square() / gram.diagonal()
        inverse = torch.linalg.pinv(gram, rtol=RANK_TOLERANCE, hermitian=True)
        in_span = (cross * (inverse @ cross)).sum(dim=0)
        return {"SI-SAR": decibels(target, (total - in_span).clamp_min(0))}


def energy(signals: Tensor) -> Tensor:
    """Sum of squares over channels and samples in double precision, (sources, channels, samples) -> (sources,)."""
    rows = map(Tensor.double, signals.flatten(end_dim=1))  # one channel at a time stays in the cache of a core
    squares = torch.stack([torch.dot(row, row) for row in rows])  # half the time of linalg.vecdot
    return squares.unflatten(0, signals.shape[:2]).sum(dim=1)


def decibels(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Ratio of two energies in dB; infinite where the denominator is 0 and NaN where both are."""
    return 10 * torch.log10(numerator / denominator)


def _energies(methods: Sequence[Stems], window_seconds: float) -> tuple[Tensor, Tensor, Tensor]:
    """Compute energies by window, as museval divides a track: the samples behind the last full window are left out.

    Args:
        methods: stems of several methods, with the same references.
        window_seconds: length of a window.
    Returns:
        Energy of the references, (sources, windows); energy of the errors, and whether a reference or an estimate is
        silent, both (methods, sources, windows). As in museval, a stem whose channels cancel is silent, and a shorter
        track is one window.
    """
    first = methods[0]
    window = min(round(window_seconds * first.sample_rate), first.num_samples)
    trues, errors, silences = [], [], []
    for start in range(0, first.num_samples - window + 1, window):
        references = first.references(start, start + window)
        trues.append(energy(references))
        is_silent = _silent(references)
        for method in methods:
            estimates = method.estimates(start, start + window)
            # in the precision of the stems: rounding a float32 difference changes a ratio by less than 5e-7 dB
            errors.append(energy(references - estimates))
            silences.append(is_silent | _silent(estimates))
    true = torch.stack(trues, dim=1).cpu()
    by_method = (torch.stack(each).unflatten(0, (-1, len(methods))).permute(1, 2, 0) for each in (errors, silences))
    error, silent = (each.cpu() for each in by_method)
    check_finite(references=true, estimates=error)
    return true, error, silent


def _silent(stems: Tensor) -> Tensor:
    """Tell which stems are silent, (sources, channels, samples) -> (sources,)."""
    if stems[..., 0].sum(dim=1).ne(0).all():  # spares reading the rest
        return torch.zeros(len(stems), dtype=torch.bool, device=stems.device)
    return stems.sum(dim=1).eq(0).all(dim=-1)


def _products(stems: Stems) -> tuple[Tensor, Tensor, Tensor]:
    """Compute scalar products of all samples of a track.

    Returns:
        References with each other, (sources, sources); references with estimates, (sources, estimates); energies of the
        estimates, (estimates,).
    """
    products = []
    for references, estimates in stems.blocks():
        r, e = references.flatten(start_dim=1), estimates.flatten(start_dim=1)
        products.append((r @ r.mT, r @ e.mT, energy(estimates)))
    gram, cross, total = (torch.stack(parts).sum(dim=0).cpu() for parts in zip(*products, strict=True))
    return gram, cross, total
