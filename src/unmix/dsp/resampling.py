"""Resampling piece by piece, for tracks too long for memory.

The samples equal those of `torchaudio.functional.resample` on the whole track.
"""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import resample

from unmix.dsp.overlap_add import Read
from unmix.dsp.rates import ratio


def num_resampled(num_samples: int, rate: int, new_rate: int) -> int:
    """Number of samples of a track after resampling."""
    return -(-num_samples * new_rate // rate)


def resampled(read: Read, num_samples: int, rate: int, new_rate: int) -> Read:
    """Make a reader of a track at another sample rate.

    Args:
        read: returns samples of the track at `rate`.
        num_samples: length of the track at `rate`.
        rate: sample rate of the track, Hz.
        new_rate: sample rate of the result, Hz.
    Returns:
        A function that returns samples start .. stop - 1 at `new_rate`, (channels, samples).
    Raises:
        ValueError: see `ratio`.
    """
    old, new = ratio(rate, new_rate)
    if old == new:
        return read
    context = _context(old, new)

    def read_resampled(start: int, stop: int) -> Tensor:
        first, last = (
            start // new * old - context,
            -(-stop // new) * old + context,
        )  # multiples of `old`, where samples of both rates coincide
        low, high = max(first, 0), min(last, num_samples)
        piece = functional.pad(read(low, high), (low - first, last - high))
        skipped = (first + context) // old * new - context // old * new
        samples = resample(piece, rate, new_rate)
        return samples[:, start - skipped : stop - skipped]

    return read_resampled


def resampled_blocks(blocks: Iterable[Tensor], rate: int, new_rate: int, num_samples: int) -> Iterator[Tensor]:
    """Resample a track that arrives in blocks.

    Args:
        blocks: consecutive blocks of the track at `rate`, (..., samples).
        rate: sample rate of the blocks, Hz.
        new_rate: sample rate of the result, Hz.
        num_samples: length of the result at `new_rate`; the rest is dropped.
    Yields:
        (..., samples) at `new_rate`.
    Raises:
        ValueError: see `ratio`.
    """
    old, new = ratio(rate, new_rate)
    if old == new:
        yield from blocks
        return
    context, left = _context(old, new), num_samples
    buffered: Tensor | None = None
    for block in _with_silence(blocks, context, context + old):
        buffered = block if buffered is None else torch.cat([buffered, block], dim=-1)
        count = (buffered.shape[-1] - 2 * context) // old
        if count > 0:
            samples = resample(buffered[..., : 2 * context + count * old], rate, new_rate)
            kept = samples[..., context // old * new :][..., : min(count * new, left)]
            left -= kept.shape[-1]
            buffered = buffered[..., count * old :]
            yield kept


def _with_silence(blocks: Iterable[Tensor], before: int, after: int) -> Iterator[Tensor]:
    """Yield the blocks with `before` zeros in front and `after` zeros behind; nothing when there is no block."""
    last = None
    for block in blocks:
        if last is None:
            yield block.new_zeros(*block.shape[:-1], before)
        last = block
        yield block
    if last is not None:
        yield last.new_zeros(*last.shape[:-1], after)


def _context(old: int, new: int) -> int:
    """Number of input samples on either side that an output sample depends on, rounded up to a multiple of `old`.

    torchaudio's filter is six zero crossings wide on either side, at 0.99 of the lower Nyquist frequency.
    """
    width = math.ceil(6 * old / (0.99 * min(old, new))) + old
    return -(-width // old) * old
