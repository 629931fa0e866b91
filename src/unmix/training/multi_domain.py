"""X-UMX's objective: losses in time and frequency of all combinations of targets."""

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from unmix import checks
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import mixture_phase
from unmix.training.objectives import Losses, Sources, check_has_magnitudes, references

EPS = 1e-10  # as in asteroid


class MultiDomain:
    """Weighted SDR of waveforms and mean squared error of magnitudes, averaged over combinations of targets.

    A combination is the sum of one or more targets, but not of all: 14 for four targets. The loss is the mean over
    combinations of time_weight * (1 + weighted SDR) + mean squared error. For models that have a `stft` and a method
    `magnitudes(spectrogram)`; the STFT of this loss is centred.

    Args:
        time_weight: weight of the loss of waveforms.

    Source:
        R. Sawata et al., "All for one and one for all", arXiv 2010.04228; asteroid, egs/musdb18/X-UMX/train.py, which
        leaves out the samples after the last full hop.
    """

    needs_targets_only = True

    def __init__(self, time_weight: float = 10.0) -> None:
        self.time_weight = checks.number("time_weight", time_weight, least=0)

    def check(self, model: Any) -> None:
        """Check the model; raises as `objectives.check_has_magnitudes`."""
        check_has_magnitudes(model, "multi_domain")

    def __call__(self, model: Any, mixture: Tensor, sources: Sources) -> Losses:
        stft = Stft(model.stft.fft_size, model.stft.hop_size, center=True).to(mixture.device)
        true, spectrogram = references(sources, model.targets), stft(mixture)
        magnitudes = model.magnitudes(spectrogram)
        estimates = stft.inverse(mixture_phase(magnitudes, spectrogram), num_samples=mixture.shape[-1])
        return {
            "weighted_sdr": self.time_weight * (1 + combined_weighted_sdr(mixture, estimates, true)),
            "magnitude_mse": combined_mse(magnitudes, stft(true).abs()),
        }


def combined_mse(estimates: Tensor, true: Tensor) -> Tensor:
    """Mean squared error of sums of targets, averaged over all combinations of one to n - 1 of n targets.

    There are 2^n - 2 combinations. Each target is in 2^(n-1) - 1 of them, and each pair of targets in 2^(n-2) - 1. So,
    with e_i the error of target i, the squared errors of all combinations add up to

        2^(n-2) (sum over i of |e_i|^2) + (2^(n-2) - 1) |sum over i of e_i|^2,

    which takes n + 1 squared errors instead of 2^n - 2.

    Shape:
        estimates and true (batch, targets, ...) -> scalar.
    """
    count = estimates.shape[1]
    single = mse_loss(estimates, true)
    if count == 1:
        return single
    total = mse_loss(estimates.sum(dim=1), true.sum(dim=1))
    both = 2 ** (count - 2)
    return (both * count * single + (both - 1) * total) / (2**count - 2)


def combined_weighted_sdr(mixture: Tensor, estimates: Tensor, true: Tensor) -> Tensor:
    """Negative weighted SDR of combinations of targets, averaged over combinations, channels and examples; -1 is best.

    With a the share of a combination s in the energy of s and the rest of the mixture n, and estimates s' and n' =
    mixture - s': -a cos(s, s') - (1 - a) cos(n, n'). All are sums of a few waveforms, so that the products of these,
    (targets, targets), are enough. They are computed in double precision: n' is a difference, and TF32 or 16-bit
    products would be too coarse.

    Shape:
        mixture (batch, channels, samples), estimates and true (batch, targets, channels, samples) -> scalar.

    Source:
        H.-S. Choi et al., "Phase-aware speech enhancement with deep complex U-Net", arXiv 1903.03107.
    """
    targets = range(true.shape[1])
    others = mixture - true.sum(dim=1)
    waveforms = torch.cat([others.unsqueeze(1), true, estimates - true], dim=1).transpose(1, 2).double()
    products = waveforms @ waveforms.mT  # (batch, channels, 1 + 2 targets, 1 + 2 targets)
    chosen = list(product((0.0, 1.0), repeat=len(targets)))[1:-1] or [(1.0,)]
    members = torch.tensor(chosen, dtype=torch.float64, device=mixture.device)  # (combinations, targets)
    none, all_ = torch.zeros_like(members), torch.ones_like(members[:, :1])
    source = torch.cat([0 * all_, members, none], dim=1)
    error = torch.cat([0 * all_, none, members], dim=1)
    noise = torch.cat([all_, 1 - members, none], dim=1)

    def inner(first: Tensor, second: Tensor) -> Tensor:
        return torch.einsum("ki,bcij,kj->bck", first, products, second)

    def cosine(first: Tensor, second: Tensor) -> Tensor:
        energies = (inner(each, each).clamp(min=0) + EPS for each in (first, second))  # rounding may make them negative
        root_first, root_second = (energy.sqrt() for energy in energies)
        return inner(first, second) / (root_first * root_second + EPS)

    share = inner(source, source) / (inner(source, source) + inner(noise, noise) + EPS)
    weighted = share * cosine(source, source + error) + (1 - share) * cosine(noise, noise - error)
    return -weighted.mean().to(mixture.dtype)
