"""The Wiener filter of the norbert package with the signature of `wiener`, for comparison."""

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
    """Refine estimates like `wiener`, but by `norbert.expectation_maximization` on the CPU, in double precision.

    Arguments, shapes and result are those of `wiener`.
    """
    import norbert

    x = mixture.to(torch.complex128)
    eps = torch.finfo(x.dtype).eps if eps is None else eps
    y = initial_estimates(magnitudes, x, eps=eps, initial=initial, residual=residual)
    if iterations > 0:
        y = torch.stack(
            [_em(norbert, y_track, x_track, iterations, eps) for y_track, x_track in zip(y, x, strict=True)]
        )
    return y.to(mixture.device, mixture.dtype)


def _em(norbert: object, y: Tensor, x: Tensor, iterations: int, eps: float) -> Tensor:
    """Run norbert's EM on one track: y is (sources, channels, bins, frames), x is (channels, bins, frames).

    norbert's axes are (frames, bins, channels, sources), and it overwrites its input.
    """
    unit = max(1.0, float(x.abs().max()) / PEAK_IN_EM)
    estimates = (y / unit).permute(3, 2, 1, 0).cpu().numpy()
    refined, _, _ = norbert.expectation_maximization(  # type: ignore[attr-defined]
        estimates, (x / unit).permute(2, 1, 0).cpu().numpy(), iterations, eps=eps
    )
    return torch.from_numpy(refined).permute(3, 2, 1, 0) * unit
