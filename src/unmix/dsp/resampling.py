"""Another sample rate for a track that is never in memory as a whole; the same samples as in one piece."""

import math
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import resample

from unmix.dsp.overlap_add import Read

_LARGEST_TERM = 5000  # of the ratio of two rates in lowest terms: torchaudio's filters grow with the product


def ratio(rate: int, new_rate: int) -> tuple[int, int]:
    """Both rates in lowest terms.

    Raises:
        ValueError: when they have no common divisor to speak of, as 44099 and 44100.
    """
    common = math.gcd(rate, new_rate)
    terms = rate // common, new_rate // common
    if max(terms) > _LARGEST_TERM:
        raise ValueError(f"input: {rate} Hz cannot be resampled to {new_rate} Hz: write the file at a usual rate first")
    return terms


def num_resampled(num_samples: int, rate: int, new_rate: int) -> int:
    """Length of a track at another rate."""
    return -(-num_samples * new_rate // rate)


def resampled(read: Read, num_samples: int, rate: int, new_rate: int) -> Read:
    """Random access to a track at another rate.

    Args:
        read: samples at `rate`.
        num_samples: of the track at `rate`.
    """
    old, new = ratio(rate, new_rate)
    if old == new:
        return read
    context = _context(old, new)

    def read_resampled(start: int, stop: int) -> Tensor:
        first, last = start // new * old - context, -(-stop // new) * old + context  # where both rates meet
        low, high = max(first, 0), min(last, num_samples)
        piece = functional.pad(read(low, high), (low - first, last - high))
        skipped = (first + context) // old * new - context // old * new
        samples = resample(piece, rate, new_rate)
        return samples[:, start - skipped : stop - skipped]

    return read_resampled


def resampled_blocks(blocks: Iterable[Tensor], rate: int, new_rate: int, num_samples: int) -> Iterator[Tensor]:
    """A track that comes in blocks, (..., samples), at another rate, and `num_samples` long."""
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
    shape = None
    for block in blocks:
        if shape is None:
            yield block.new_zeros(*block.shape[:-1], before)
        shape = block
        yield block
    if shape is not None:
        yield shape.new_zeros(*shape.shape[:-1], after)


def _context(old: int, new: int) -> int:
    """Samples on either side that a resampled one depends on: torchaudio's filter is six zero crossings wide."""
    width = math.ceil(6 * old / (0.99 * min(old, new))) + old
    return -(-width // old) * old
