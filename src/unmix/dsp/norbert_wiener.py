"""The Wiener filter of the package norbert behind the signature of `wiener`: to compare with, on the CPU."""

import torch
from torch import Tensor

from unmix.dsp.wiener import PEAK_IN_EM, Initial, initial_estimates


def norbert_wiener(
    magnitudes: Tensor,
    mixture: Tensor,
    *,
    iterations: int = 1,
    eps: float | None = None,
    initial: Initial = "mixture_phase",
    residual: bool = False,
) -> Tensor:
    """As `wiener`, arguments, shapes and result; EM in double precision by `norbert.expectation_maximization`."""
    import norbert

    x = mixture.to(torch.complex128)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y = initial_estimates(magnitudes, x, eps=eps, initial=initial, residual=residual)
    if iterations > 0:
        y = torch.stack([_em(norbert, *one, iterations, eps) for one in zip(y, x, strict=True)])
    return y.to(mixture.device, mixture.dtype)


def _em(norbert: object, y: Tensor, x: Tensor, iterations: int, eps: float) -> Tensor:
    """norbert's axes are (frames, bins, channels, sources); it writes into what it is given."""
    unit = max(1.0, float(x.abs().max()) / PEAK_IN_EM)
    estimates = (y / unit).permute(3, 2, 1, 0).cpu().numpy()
    refined, _, _ = norbert.expectation_maximization(  # type: ignore[attr-defined]
        estimates, (x / unit).permute(2, 1, 0).cpu().numpy(), iterations, eps=eps
    )
    return torch.from_numpy(refined).permute(3, 2, 1, 0) * unit
