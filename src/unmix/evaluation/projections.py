"""Least-squares filters with which references come closest to estimates, for BSS Eval (see `bss_eval`).

Correlations are summed block by block from spectra, so memory does not depend on the length of the track. For four
stereo sources and 512 taps, the Gram matrix takes 0.3 GB.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

# Returns samples start .. stop - 1 of all stems, (sources, channels, samples), real.
ReadStems = Callable[[int, int], Tensor]

FFT_SIZE = 8192  # of the correlations
# With few blocks at a time, glibc reuses the memory of the results. More would go back to the system, which zeroes it
# page by page when it is allocated again.
NUM_BLOCKS = 8  # FFT blocks per read
# Regularisation of a singular Gram matrix (stems with equal channels), relative to its mean diagonal; tried in order.
RIDGES = (0.0, 1e-14, 1e-12, 1e-10)


def read(readers: Sequence[ReadStems], start: int, stop: int) -> Tensor:
    """Read references and estimates, float64: (1 + methods, sources, channels, samples)."""
    return torch.stack([reader(start, stop) for reader in readers]).to(torch.float64)


def correlations(readers: Sequence[ReadStems], num_samples: int, filter_length: int) -> Tensor:
    """Compute sum_n r_i(n) y_j(n + l) for lags l from 0 to `filter_length` - 1.

    A row is one channel of one stem: r are the rows of the references, y those of the references and of all estimates.
    A block of r is correlated with the same samples of y and the `filter_length` - 1 that follow.

    Returns:
        (lags l, rows i, rows j).
    Raises:
        ValueError: when samples are NaN or infinite.
    """
    tail = filter_length - 1
    size = max(FFT_SIZE, next_fast_len(4 * filter_length, real=True))
    step = size - tail
    total: Tensor | None = None
    for first in range(0, num_samples, step * NUM_BLOCKS):
        stop = min(first + step * NUM_BLOCKS + tail, num_samples)
        count = min(NUM_BLOCKS, -(-(num_samples - first) // step))
        stems = read(readers, first, stop)
        y = functional.pad(stems.flatten(end_dim=2), (0, count * step + tail - (stop - first))).unfold(-1, size, step)
        rows = stems[0].shape[:2].numel()
        x, y = torch.fft.rfft(y[:rows, :, :step], size), torch.fft.rfft(y)  # (rows, blocks, bins)
        if total is None:
            total = x.new_zeros(x.shape[-1], rows, len(y))
        # batched products are fast for contiguous matrices only
        total.baddbmm_(x.conj_physical_().permute(2, 0, 1).contiguous(), y.permute(2, 1, 0).contiguous())
    assert total is not None  # num_samples >= 1
    sums = torch.fft.irfft(total, size, dim=0)[:filter_length]
    for name, columns in (("references", sums[..., :rows]), ("estimates", sums)):
        if not columns.isfinite().all():
            raise ValueError(f"{name}: got NaN or infinite samples, finite ones are needed")
    return sums


def solve(correlations: Tensor, num_sources: int, num_channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Solve for the least-squares filters from references to the estimates of every method.

    Yields:
        Filters from all references to each estimate, (rows in, taps, rows out); filters from each reference to its own
        estimate, (sources, channels in, taps, channels out).
    """
    taps, rows, _ = correlations.shape
    to_estimates = correlations[:, :, rows:].unflatten(2, (-1, num_sources, num_channels))
    own, ridge = [], 0
    for source, rows_of_source in enumerate(torch.arange(rows).split(num_channels)):
        of_source = correlations[:, rows_of_source]
        right = to_estimates[:, rows_of_source, :, source].transpose(0, 1)
        filters, needed = _solve(_gram(of_source[:, :, rows_of_source]), right)
        own.append(filters.reshape(num_channels, taps, -1, num_channels))
        ridge = max(ridge, needed)  # all sources together are no better conditioned than one of them
    filters, _ = _solve(_gram(correlations[:, :, :rows]), to_estimates.transpose(0, 1), ridge)
    together = filters.reshape(rows, taps, -1, rows)
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


def _solve(gram: Tensor, right: Tensor, ridge: int = 0) -> tuple[Tensor, int]:
    """Solve gram @ filters = right; a singular gram gets the smallest sufficient ridge of `RIDGES`.

    Args:
        gram: (rows * taps, rows * taps); its diagonal is changed.
        right: (rows, taps, ...), whose further axes are columns.
        ridge: index of the first ridge to try.
    Returns:
        (rows * taps, columns), and the index of the ridge that was needed.
    """
    right, diagonal = right.reshape(len(gram), -1), gram.diagonal()
    mean = float(diagonal.mean())
    diagonal += torch.finfo(gram.dtype).eps  # as museval does
    for number in range(ridge, len(RIDGES)):
        diagonal += RIDGES[number] * mean
        factor, failed = torch.linalg.cholesky_ex(gram)
        if not failed:
            return torch.cholesky_solve(right, factor), number
    return torch.zeros_like(right), 0  # all silent: every window is NaN anyway
