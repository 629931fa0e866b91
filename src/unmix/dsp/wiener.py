"""Multichannel Wiener filter: magnitudes of the sources and the complex mixture in, complex sources out.

The local Gaussian model: in every bin f and frame n the C channels of source s are a complex Gaussian vector,

    y_s(f, n) ~ N(0, v_s(f, n) R_s(f)),        x = sum_s y_s,

with a power v that moves in time and a spatial covariance R that does not. EM alternates between estimating v and R
from the current sources, and the posterior mean of the sources given the mixture and the model.

Letters: B batch, S sources, C and D channels, F bins, N frames; x mixture, y sources, v power, R spatial covariance.

Sources: N. Q. Duong, E. Vincent, R. Gribonval, "Under-determined reverberant audio source separation using a full-rank
spatial covariance model", IEEE TASLP 2010; A. Nugraha, A. Liutkus, E. Vincent, "Multichannel music separation with deep
neural networks", EUSIPCO 2016; conventions and results as norbert 0.2.1 (`norbert.wiener`).
"""

from typing import Literal

import torch
from torch import Tensor

# EM treats every bin by itself, so blocks of bins bound the memory of its double precision, and change nothing.
BINS_PER_BLOCK = 64
# norbert brings the mixture to a peak of at most 10 before EM, which fixes what `eps` means.
PEAK_IN_EM = 10.0


def wiener(
    magnitudes: Tensor,
    mixture: Tensor,
    *,
    iterations: int = 1,
    eps: float | None = None,
    initial: Literal["mixture_phase", "softmask"] = "mixture_phase",
) -> Tensor:
    """Sources that add up to the mixture, from magnitudes that need not.

    Args:
        magnitudes: initial estimates, (batch, sources, channels, bins, frames), real, >= 0.
        mixture: complex spectrogram, (batch, channels, bins, frames).
        iterations: EM passes; 0 returns the initial estimates.
        eps: regularisation; None is the resolution of the mixture's dtype, as in norbert.
        initial: how the magnitudes get their phase: `mixture_phase` (UMX) or `softmask` (norbert's default).
    Returns:
        Complex estimates, (batch, sources, channels, bins, frames), in the dtype of the mixture.
    Raises:
        ValueError: on shapes that disagree, a real mixture, negative iterations, or an unknown `initial`.
    """
    _check(magnitudes, mixture)
    if initial == "mixture_phase":
        estimates = mixture_phase(magnitudes, mixture)
    elif initial == "softmask":
        estimates = softmask(magnitudes, mixture, eps=eps)
    else:
        raise ValueError(f"initial: got {initial!r}, allowed mixture_phase, softmask")
    return expectation_maximization(estimates, mixture, iterations=iterations, eps=eps)


def mixture_phase(magnitudes: Tensor, mixture: Tensor) -> Tensor:
    """The magnitudes with the phase of the mixture; (B, S, C, F, N) and (B, C, F, N) -> (B, S, C, F, N)."""
    return torch.polar(magnitudes, mixture.angle().unsqueeze(1).expand_as(magnitudes))


def softmask(magnitudes: Tensor, mixture: Tensor, *, eps: float | None = None) -> Tensor:
    """The mixture shared out in proportion to the magnitudes; shapes as `mixture_phase`."""
    eps = torch.finfo(mixture.dtype).eps if eps is None else eps
    return mixture.unsqueeze(1) * (magnitudes / (eps + magnitudes.sum(dim=1, keepdim=True)))


def append_residual(estimates: Tensor, mixture: Tensor) -> Tensor:
    """One source more, the complex rest of the mixture: (B, S, C, F, N) -> (B, S + 1, C, F, N)."""
    return torch.cat([estimates, mixture.unsqueeze(1) - estimates.sum(dim=1, keepdim=True)], dim=1)


def expectation_maximization(
    estimates: Tensor, mixture: Tensor, *, iterations: int = 1, eps: float | None = None
) -> Tensor:
    """Refine complex estimates by EM of the local Gaussian model, in double precision.

    Single precision is not enough: with equal channels (dual-mono) the model's covariance has rank one, its
    determinant cancels, and openunmix's float32 EM returns infinities and holes.

    Args:
        estimates: initial estimates, complex, (batch, sources, channels, bins, frames).
        mixture: complex, (batch, channels, bins, frames).
        iterations: EM passes; 0 returns the estimates.
        eps: regularisation; None is the resolution of the mixture's dtype, as in norbert.
    Returns:
        Complex estimates, shape and dtype of `estimates`.
    Raises:
        ValueError: on negative iterations or shapes that disagree.
    """
    _check(estimates, mixture)
    if iterations < 0:
        raise ValueError(f"iterations: got {iterations}, allowed 0 or more")
    if iterations == 0:
        return estimates
    eps = torch.finfo(mixture.dtype).eps if eps is None else eps
    scale = (mixture.abs().amax(dim=(1, 2, 3)) / PEAK_IN_EM).clamp(min=1).to(torch.float64)
    refined = [
        _em_of_bins(y, x, scale, iterations, eps).to(estimates.dtype)
        for y, x in zip(estimates.split(BINS_PER_BLOCK, dim=-2), mixture.split(BINS_PER_BLOCK, dim=-2), strict=True)
    ]
    return torch.cat(refined, dim=-2)


def _em_of_bins(y: Tensor, x: Tensor, scale: Tensor, iterations: int, eps: float) -> Tensor:
    """All EM passes over a block of bins; `scale` (B) divides the signals and multiplies the result."""
    y = y.to(torch.complex128) / scale[:, None, None, None, None]
    x = x.to(torch.complex128) / scale[:, None, None, None]
    for _ in range(iterations):
        power, covariance = local_gaussian_model(y, eps)
        y = posterior_mean(power, covariance, x, eps)
    return y * scale[:, None, None, None, None]


def local_gaussian_model(y: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """M step: v_s = mean_c |y_s|^2 (B, S, F, N) and R_s = sum_n y_s y_s^H / (eps + sum_n v_s) (B, S, C, D, F)."""
    power = y.abs().square().mean(dim=2)
    outer = torch.stack(
        [(y * y_d.conj().unsqueeze(2)).sum(dim=-1) for y_d in y.unbind(dim=2)], dim=3
    )  # one channel against all at a time: the full outer product of every frame would not fit
    return power, outer / (eps + power.sum(dim=-1))[:, :, None, None]


def posterior_mean(power: Tensor, covariance: Tensor, x: Tensor, eps: float) -> Tensor:
    """E step: y_s = v_s R_s C_x^-1 x with C_x = sum_s v_s R_s + sqrt(eps) I; (B, S, C, F, N)."""
    _, channels, _, _ = x.shape
    mixture_covariance = torch.einsum("bsfn,bscdf->bcdfn", power.to(covariance.dtype), covariance)
    identity = torch.eye(channels, dtype=x.dtype, device=x.device)
    regular = mixture_covariance + eps**0.5 * identity[:, :, None, None]
    # R_s (C_x^-1 x) instead of (R_s C_x^-1) x: one solve for all sources.
    return torch.einsum("bsfn,bscdf,bdfn->bscfn", power.to(x.dtype), covariance, _solve(regular, x, eps))


def _solve(matrices: Tensor, x: Tensor, eps: float) -> Tensor:
    """C^-1 x for matrices (B, C, D, F, N), x (B, D, F, N); norbert's closed forms for one and two channels."""
    _, channels, _, _ = x.shape
    if channels == 1:
        return x / (matrices[:, 0] + eps)
    if channels == 2:
        (a, b), (c, d) = (row.unbind(dim=1) for row in matrices.unbind(dim=1))
        first, second = x.unbind(dim=1)
        return torch.stack([d * first - b * second, a * second - c * first], dim=1) / (a * d - b * c).unsqueeze(1)
    solution = torch.linalg.solve(matrices.permute(0, 3, 4, 1, 2), x.permute(0, 2, 3, 1))
    return solution.permute(0, 3, 1, 2)


def _check(sources: Tensor, mixture: Tensor) -> None:
    batch, _, channels, bins, frames = sources.shape
    if mixture.shape != (batch, channels, bins, frames):
        raise ValueError(
            f"mixture: got shape {tuple(mixture.shape)}, but the sources {tuple(sources.shape)} need "
            f"(batch, channels, bins, frames) = {(batch, channels, bins, frames)}"
        )
    if not mixture.is_complex():
        raise ValueError(f"mixture: got {mixture.dtype}, a complex spectrogram is needed")
