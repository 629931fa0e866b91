"""Least-squares filters with which references come closest to estimates, for BSS Eval (see `bss_eval`).

Correlations are summed block by block from spectra, so memory does not depend on the length of the track. For four
stereo sources and 512 taps, the factor of the Gram matrix takes 0.13 GB.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional

from unmix.evaluation.stems import ReadStems, check_finite

FFT_SIZE = 8192  # of the correlations
# With few blocks at a time, glibc reuses the memory of the results. More would go back to the system, which zeroes it
# page by page when it is allocated again.
NUM_BLOCKS = 8  # FFT blocks per read
# Regularisation of a singular Gram matrix (stems with equal channels), relative to its mean diagonal; tried in order.
RIDGES = (0.0, 1e-14, 1e-12, 1e-10)
SUBSTITUTED = 256  # rows of a factor that are substituted at a time


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
    check_finite(references=sums[..., :rows], estimates=sums)
    return sums


def solve(correlations: Tensor, num_sources: int, num_channels: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Solve for the least-squares filters from references to the estimates of every method.

    Yields:
        Filters from all references to each estimate, (rows in, taps, rows out); filters from each reference to its own
        estimate, (sources, channels in, taps, channels out).
    """
    rows, device, correlations = (
        correlations.shape[1],
        correlations.device,
        correlations.cpu(),
    )  # a GPU is slow at many small steps
    by_source = correlations.unflatten(1, (num_sources, num_channels)).unflatten(3, (-1, num_sources, num_channels))
    # (sources, lags, channels in, methods including the references, channels out)
    by_source = by_source.diagonal(dim1=1, dim2=4).permute(4, 0, 1, 2, 3)
    with _one_thread():
        own, ridges = _solve(by_source[:, :, :, 0], by_source[:, :, :, 1:])
        # all sources together are no better conditioned than one of them
        together, _ = _solve(correlations[None, :, :, :rows], correlations[None, :, :, rows:], int(ridges.max()))
    together = together[0].unflatten(2, (-1, rows))
    for method in range(together.shape[2]):
        yield together[:, :, method].transpose(0, 1).to(device), own[:, :, :, method].transpose(1, 2).to(device)


def _solve(references: Tensor, estimates: Tensor, first_ridge: int = 0) -> tuple[Tensor, Tensor]:
    """Solve several independent least-squares problems; a singular one gets the smallest sufficient ridge of `RIDGES`.

    Args:
        references: correlations of the references, (problems, lags, rows, rows).
        estimates: correlations of references with estimates, (problems, lags, rows, ...); further axes are columns.
        first_ridge: index of the first ridge to try.
    Returns:
        Filters, of the shape of `estimates`, and the indices of the ridges that were needed, (problems,).
    """
    energies = references[:, 0].diagonal(dim1=-2, dim2=-1).mean(-1)
    added = torch.full_like(energies, torch.finfo(energies.dtype).eps)  # as museval does
    filters, ridges = torch.zeros_like(estimates), torch.zeros(len(energies), dtype=torch.int64)
    unsolved = torch.arange(len(energies))
    for number in range(first_ridge, len(RIDGES)):
        added += RIDGES[number] * energies
        factor, failed = _factor(references[unsolved], added[unsolved])
        for problem, upper in zip(unsolved[~failed], factor[~failed] if failed.any() else factor, strict=True):
            right = estimates[problem].flatten(2).flatten(0, 1)
            solution = _substitute(upper, right)
            # once again for the error, which is as small as that of a dense factorisation then
            solution += _substitute(upper, right - _product(references[problem], solution) - added[problem] * solution)
            filters[problem] = solution.reshape(estimates[problem].shape)
            ridges[problem] = number
        unsolved = unsolved[failed]
        if not len(unsolved):
            break
    return filters, ridges  # zeros where all is silent: every window is NaN anyway


def _factor(correlations: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
    """Factor Gram matrices G of delayed rows into R^T R by the generalised Schur algorithm.

    Block (l, m) of G, for delays l and m, is the correlation at lag l - m: G is block Toeplitz. So G - Z G Z^T, where Z
    delays by a block, is U^T U - V^T V for two block rows U and V. A block row of R is made of the previous one,
    delayed, and of V. This takes taps^2 operations, not taps^3, and is as stable as other Cholesky factorisations.

    Source: A. W. Bojanczyk, R. P. Brent, F. R. de Hoog, D. R. Sweet, "On the stability of the Bareiss and related
    Toeplitz factorization algorithms", SIAM J. Matrix Anal. Appl. 16, 1995.

    Args:
        correlations: (problems, lags, rows, rows).
        added: number to add to the diagonal of every G, (problems,).
    Returns:
        R, (problems, taps * rows, taps * rows), undefined below its diagonal, the delay being the slower index; and
        whether G is not positive definite, (problems,).
    """
    problems, taps, rows, _ = correlations.shape
    size, identity = taps * rows, torch.eye(rows, dtype=correlations.dtype)
    top = correlations.permute(0, 3, 1, 2).reshape(problems, rows, size).clone()  # first block row of G
    top[:, :, :rows] += added[:, None, None] * identity
    lower, info = torch.linalg.cholesky_ex(top[:, :, :rows])
    failed = info != 0
    factor = top.new_empty(problems, size, size)
    factor[:, :rows] = v = torch.linalg.solve_triangular(lower, top, upper=False)
    for start in range(rows, size, rows):
        if failed.all():
            break
        u, v = factor[:, start - rows : start, start - rows : size - rows], v[:, :, rows:]
        x = torch.linalg.solve_triangular(u[:, :, :rows], v[:, :, :rows], upper=True, left=False)
        p, p_info = torch.linalg.cholesky_ex(identity - x.mT @ x)
        q, q_info = torch.linalg.cholesky_ex(identity - x @ x.mT)
        failed |= (p_info != 0) | (q_info != 0)
        next_u = torch.linalg.solve_triangular(p, torch.baddbmm(u, x.mT, v, alpha=-1), upper=False)
        factor[:, start : start + rows, start:] = next_u
        turned = torch.linalg.solve_triangular(p, x.mT @ q, upper=False).mT
        v = torch.baddbmm(q.mT @ v, turned, next_u, alpha=-1)
    return factor, failed


def _substitute(upper: Tensor, right: Tensor) -> Tensor:
    """Solve R^T R x = right for columns x, given R of `_factor`; faster for few columns than LAPACK's potrs."""
    x = right.clone()
    blocks = [slice(start, min(start + SUBSTITUTED, len(x))) for start in range(0, len(x), SUBSTITUTED)]
    for block in blocks:
        x[block] = torch.linalg.solve_triangular(upper[block, block].mT, x[block], upper=False)
        x[block.stop :] -= upper[block, block.stop :].mT @ x[block]
    for block in reversed(blocks):
        x[block] -= upper[block, block.stop :] @ x[block.stop :]
        x[block] = torch.linalg.solve_triangular(upper[block, block], x[block], upper=True)
    return x


def _product(correlations: Tensor, x: Tensor) -> Tensor:
    """Multiply a Gram matrix, given by its correlations (lags, rows, rows), with columns, by FFT."""
    taps, rows, _ = correlations.shape
    # lags 0 .. taps - 1, one that no product reaches, and the negative ones
    circular = torch.cat([correlations, correlations.new_zeros(1, rows, rows), correlations[1:].flip(0).mT])
    spectrum = torch.fft.rfft(circular, dim=0) @ torch.fft.rfft(x.unflatten(0, (taps, rows)), 2 * taps, dim=0)
    return torch.fft.irfft(spectrum, 2 * taps, dim=0)[:taps].flatten(0, 1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Use one thread, for many small products: several would wait for each other at each of them."""
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(count)
