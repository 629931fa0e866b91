"""Multichannel Wiener filter: estimates complex sources from their magnitudes and the complex mixture.

Local Gaussian model: in every bin f and frame n, the C channels of source s are a complex Gaussian vector,

    y_s(f, n) ~ N(0, v_s(f, n) R_s(f)),        x = sum_s y_s,

with a power v that varies over time and a spatial covariance R that does not. EM alternates between two steps: estimate
v and R from the current sources, then replace the sources by their posterior mean given the mixture, v and R.

Letters: B batch, S sources, C and D channels, F bins, N frames; x mixture, y sources, v power, R spatial covariance.

Sources: N. Q. Duong, E. Vincent, R. Gribonval, "Under-determined reverberant audio source separation using a full-rank
spatial covariance model", IEEE TASLP 2010; A. Nugraha, A. Liutkus, E. Vincent, "Multichannel music separation with deep
neural networks", EUSIPCO 2016; conventions and results as norbert 0.2.1 (`norbert.wiener`).
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from typing import Literal

import torch
from torch import Tensor

Initial = Literal["mixture_phase", "softmask"]
Parts = tuple[Tensor, Tensor]  # real amplitudes of all sources, and the complex factor that they share

# EM treats every bin independently: working in blocks of bins limits memory without changing the result.
BINS_PER_BLOCK = 128
# norbert scales the mixture to a peak of at most 10 before EM; the effect of `eps` depends on this scale.
PEAK_IN_EM = 10.0


def wiener(
    magnitudes: Tensor,
    mixture: Tensor,
    *,
    iterations: int = 1,
    eps: float | None = None,
    initial: Initial = "mixture_phase",
    residual: bool = False,
) -> Tensor:
    """Estimate complex sources that sum to the mixture, from magnitudes that need not.

    EM runs in double precision. In single precision it fails on equal channels (dual mono): the model's covariance has
    rank one, its determinant cancels, and openunmix's float32 EM returns infinite values and zeros.

    Args:
        magnitudes: estimated magnitudes, (batch, sources, channels, bins, frames), real, >= 0.
        mixture: complex spectrogram, (batch, channels, bins, frames).
        iterations: number of EM passes; 0 returns the initial estimates, which need not sum to the mixture.
        eps: regularisation; None is the machine epsilon of the mixture's dtype, as in norbert.
        initial: how the initial estimates are formed: `mixture_phase` (UMX) or `softmask` (norbert's default).
        residual: whether to append a source: the mixture minus the initial estimates.
    Returns:
        Complex estimates, (batch, sources, channels, bins, frames), in the dtype of the mixture.
    Raises:
        ValueError: on shapes that disagree, a real mixture, negative iterations, or an unknown `initial`.
    """
    _check(magnitudes, mixture, iterations, initial)
    eps = torch.finfo(mixture.dtype).eps if eps is None else eps
    batch, sources, *rest = magnitudes.shape
    estimates = mixture.new_empty(batch, sources + residual, *rest)
    energy = unit_of_energy(mixture.abs().amax(dim=(1, 2, 3)))
    for bins in blocks_of_bins(mixture):
        v, x, out = (tensor[..., bins, :] for tensor in (magnitudes, mixture, estimates))
        parts = initial_parts(v, x, eps=eps, initial=initial, residual=residual)
        out.copy_(_em(parts, x, energy, iterations, eps) if iterations else product(*parts))
    return estimates


def blocks_of_bins(spectrogram: Tensor) -> Iterator[slice]:
    """Cut the bins of a spectrogram, (..., bins, frames), into blocks that EM processes one after the other."""
    num_bins = spectrogram.shape[-2]
    return (slice(first, min(first + BINS_PER_BLOCK, num_bins)) for first in range(0, num_bins, BINS_PER_BLOCK))


def unit_of_energy(peak: Tensor) -> Tensor:
    """Energy that scales a mixture with the given peak (B) to a peak of at most 10, as in norbert; (B)."""
    return (peak.to(torch.float64) / PEAK_IN_EM).clamp(min=1).square()


def _em(parts: Parts, x: Tensor, energy: Tensor, iterations: int, eps: float) -> Tensor:
    """Run all EM passes on a block of bins, see `posterior_of_parts` for the arguments."""
    y, v = to_matrices(product(*parts)), initial_power(parts, energy)
    for remaining in reversed(range(iterations)):
        y = posterior_mean(v, spatial_covariance([outer(y, energy)], eps), to_matrices(x), eps)
        v = power(y, energy) if remaining else v
    return from_matrices(y)


def posterior_of_parts(parts: Parts, x: Tensor, covariances: Sequence[Tensor], energy: Tensor, eps: float) -> Tensor:
    """Run one E step for each given covariance, from the initial estimates; the result is arranged as matrices.

    Args:
        parts: initial estimates, see `initial_parts`.
        x: mixture, (B, C, F, N).
        covariances: spatial covariances of these bins, see `spatial_covariance`.
        energy: see `unit_of_energy`; it scales only the sources' power and covariance, not the estimates.
        eps: regularisation.
    """
    if not covariances:
        return to_matrices(product(*parts))
    mixture, v = to_matrices(x), initial_power(parts, energy)
    for covariance in covariances[:-1]:
        v = power(posterior_mean(v, covariance, mixture, eps), energy)
    return posterior_mean(v, covariances[-1], mixture, eps)


def to_matrices(spectrogram: Tensor) -> Tensor:
    """Arrange values as one matrix per bin, in double precision: (B, ..., C, F, N) -> (B, F, ..., C, N)."""
    dtype = torch.complex128 if spectrogram.is_complex() else torch.float64
    return spectrogram.movedim(-2, 1).to(dtype, memory_format=torch.contiguous_format)


def from_matrices(matrices: Tensor) -> Tensor:
    """Undo the axis order of `to_matrices`: (B, F, ..., C, N) -> (B, ..., C, F, N), still in double precision."""
    return matrices.movedim(1, -2)


def initial_estimates(magnitudes: Tensor, mixture: Tensor, *, eps: float, initial: Initial, residual: bool) -> Tensor:
    """Form the complex estimates that EM starts from; arguments and shapes as in `wiener`."""
    return product(*initial_parts(magnitudes, mixture, eps=eps, initial=initial, residual=residual))


def initial_parts(magnitudes: Tensor, mixture: Tensor, *, eps: float, initial: Initial, residual: bool) -> Parts:
    """Form the estimates that EM starts from, as real amplitudes times a complex factor that all sources share.

    Arguments and shapes as in `wiener`.

    Returns:
        Amplitudes, (B, S, C, F, N), which may be negative for the residual, and the factor, (B, C, F, N): the phase of
        the mixture (`mixture_phase`) or the mixture itself (`softmask`).
    """
    # `of_mixture` are the amplitudes of the mixture itself
    if initial == "mixture_phase":
        amplitudes, factor, of_mixture = magnitudes, _phase(mixture), mixture.abs()
    else:
        amplitudes = magnitudes / (eps + magnitudes.sum(dim=1, keepdim=True))
        factor, of_mixture = mixture, torch.ones_like(magnitudes[:, 0])
    if residual:
        rest = of_mixture.unsqueeze(1) - amplitudes.sum(dim=1, keepdim=True)
        amplitudes = torch.cat([amplitudes, rest], dim=1)
    return amplitudes, factor


def product(amplitudes: Tensor, factor: Tensor) -> Tensor:
    """Multiply the amplitudes of all sources by the factor that they share, see `initial_parts`."""
    return _times(factor.unsqueeze(1), amplitudes)


def initial_power(parts: Parts, energy: Tensor) -> Tensor:
    """Compute `power` of initial estimates without forming these, in real arithmetic: (B, F, S, N)."""
    amplitudes, factor = map(to_matrices, parts)
    squared = factor.real.square() + factor.imag.square()
    return (amplitudes.square() * squared.unsqueeze(2)).mean(dim=3) / energy[:, None, None, None]


def mixture_phase(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """Combine magnitudes (B, S, C, F, N) with the phase of the mixture (B, C, F, N), 0 where it is silent."""
    return product(magnitudes, _phase(mixture))


def _phase(mixture: Tensor) -> Tensor:
    return torch.where(mixture == 0, 1.0, mixture.sgn())  # x / |x| is cheaper than exp(i angle(x))


def power(y: Tensor, energy: Tensor) -> Tensor:
    """Compute v_s = mean_c |y_s|^2, divided by energy (B): (B, F, S, C, N) -> (B, F, S, N)."""
    return (y.real.square() + y.imag.square()).mean(dim=3) / energy[:, None, None, None]


def outer(y: Tensor, energy: Tensor) -> Tensor:
    """Compute sum_n y_s y_s^H, divided by energy (B): (B, F, S, C, N) -> (B, F, S, C, D)."""
    return (y @ y.mH) / energy[:, None, None, None, None]


def spatial_covariance(outers: Iterable[Tensor], eps: float) -> Tensor:
    """M step: compute R_s = sum_n y_s y_s^H / (eps + sum_n v_s), (B, F, S, C, D).

    The sum of the power v_s is the trace of the numerator over the number of channels.

    Args:
        outers: `outer` of each block of frames; with several blocks, the track need not fit in memory.
        eps: regularisation.
    """
    total = reduce(torch.add, outers)
    power_sum = total.diagonal(dim1=-2, dim2=-1).real.mean(dim=-1)
    return total / (eps + power_sum)[..., None, None]


def posterior_mean(v: Tensor, covariance: Tensor, x: Tensor, eps: float) -> Tensor:
    """E step: compute y_s = v_s R_s (sum_s v_s R_s + sqrt(eps) I)^-1 x from x (B, F, C, N); (B, F, S, C, N)."""
    batch, bins, sources, channels, _ = covariance.shape
    # v is real: one real matrix product for both parts of R
    parts = torch.view_as_real(covariance).permute(0, 1, 3, 4, 5, 2).reshape(batch, bins, -1, sources)
    mixed = (parts @ v).reshape(batch, bins, channels, channels, 2, -1)
    # C^-1 x first: one solve serves all sources
    solved = _solve(mixed, x, eps)
    spread = (covariance.reshape(batch, bins, -1, channels) @ solved).reshape(batch, bins, sources, channels, -1)
    return _times(spread, v.unsqueeze(3))


def _times(values: Tensor, factors: Tensor) -> Tensor:
    """Multiply complex values by real factors, without converting the factors to complex."""
    return torch.view_as_complex(torch.view_as_real(values) * factors.unsqueeze(-1))


def _solve(mixed: Tensor, x: Tensor, eps: float) -> Tensor:
    """Compute (C + sqrt(eps) I)^-1 x, with norbert's closed forms for one and two channels.

    Args:
        mixed: real and imaginary parts of the covariance C of the mixture, (B, F, C, D, 2, N).
        x: mixture, (B, F, C, N).
        eps: regularisation.
    Returns:
        (B, F, C, N).
    """
    channels, regular = x.shape[2], eps**0.5
    if channels == 1:
        return x / (mixed[:, :, :, 0, 0] + (regular + eps))
    if channels == 2:
        a, d = mixed[:, :, 0, 0, 0] + regular, mixed[:, :, 1, 1, 0] + regular
        real, imaginary = mixed[:, :, 0, 1].unbind(dim=2)
        b, (first, second) = torch.complex(real, imaginary), x.unbind(dim=2)
        determinant = a * d - (real.square() + imaginary.square())
        rows = [d * first - b * second, a * second - b.conj() * first]
        return torch.stack(rows, dim=2) / determinant.unsqueeze(2)
    matrices = torch.view_as_complex(mixed.movedim(4, -1).contiguous()).permute(0, 1, 4, 2, 3)
    matrices = matrices + regular * torch.eye(channels, dtype=x.dtype, device=x.device)
    return torch.linalg.solve(matrices, x.transpose(-1, -2)).transpose(-1, -2)


def _check(magnitudes: Tensor, mixture: Tensor, iterations: int, initial: str) -> None:
    """Raise ValueError on bad arguments of `wiener`."""
    batch, _, channels, bins, frames = magnitudes.shape
    if mixture.shape != (batch, channels, bins, frames):
        raise ValueError(
            f"mixture: got shape {tuple(mixture.shape)}, but magnitudes of shape {tuple(magnitudes.shape)} need "
            f"(batch, channels, bins, frames) = {(batch, channels, bins, frames)}"
        )
    if not mixture.is_complex():
        raise ValueError(f"mixture: got {mixture.dtype}, a complex spectrogram is needed")
    if iterations < 0:
        raise ValueError(f"iterations: got {iterations}, allowed 0 or more")
    if initial not in ("mixture_phase", "softmask"):
        raise ValueError(f"initial: got {initial!r}, allowed mixture_phase, softmask")
