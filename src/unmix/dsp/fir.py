"""Short filters, each for its own row of a batch."""

import torch
from torch import Tensor
from torch.nn import functional


def filter_rows(rows: Tensor, kernels: Tensor, *, delay: int) -> Tensor:
    """Convolve every row with its own kernel; the length is kept, with silence before and after.

    Args:
        rows: (rows, channels, samples).
        kernels: impulse responses, (rows, taps).
        delay: index of the tap at time 0: 0 for a causal filter, half the taps for one of linear phase.
    """
    num_rows, num_channels, _ = rows.shape
    if num_rows == 0:
        return rows
    padded = functional.pad(rows, (kernels.shape[-1] - 1 - delay, delay)).flatten(0, 1)
    weights = kernels.flip(dims=[-1]).repeat_interleave(num_channels, dim=0)[:, None].to(rows)  # `conv1d` correlates
    # All channels as groups of one example: on a CPU, convolutions with a kernel per group run in blocks of groups.
    filtered = functional.conv1d(padded[None], weights, groups=num_rows * num_channels)
    return filtered[0].unflatten(0, (num_rows, num_channels))


def low_pass(cutoffs: Tensor, taps: int) -> Tensor:
    """Design low-pass filters of linear phase: a sinc under a Hann window, with a gain of 1 for constants.

    Args:
        cutoffs: frequencies relative to the sample rate, (rows,); from 0.5 on a filter passes everything.
        taps: odd length of the impulse responses.
    Returns:
        Impulse responses, (rows, taps).
    """
    times = torch.arange(taps, device=cutoffs.device) - taps // 2
    window = torch.hann_window(taps + 2, periodic=False, device=cutoffs.device)[1:-1]
    bands = 2 * cutoffs.clamp(max=0.5)[:, None]
    kernels = bands * torch.sinc(bands * times) * window
    return kernels / kernels.sum(dim=-1, keepdim=True)


def tilt(gains_db: Tensor, pivot: float, taps: int) -> Tensor:
    """Design filters of first order that raise the frequencies above a pivot and lower those below, or the reverse.

    With a as the gain above, H(s) = (a s + p) / (s + a p) = a + (1/a - a) L(s), where L is a low-pass filter of first
    order at a p. Its impulse response, an exponential, is cut off after `taps` samples.

    Args:
        gains_db: level of the highest frequencies relative to the lowest, (rows,).
        pivot: frequency whose level does not change, relative to the sample rate.
        taps: length of the impulse responses.
    Returns:
        Impulse responses, causal, (rows, taps).
    """
    above = 10 ** (gains_db[:, None] / 40)
    low = torch.exp(-2 * torch.pi * pivot * above * torch.arange(taps, device=gains_db.device))
    kernels = (1 / above - above) * low / low.sum(dim=-1, keepdim=True)
    kernels[:, :1] += above
    return kernels
