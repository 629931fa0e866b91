"""Separation of a track of any length by any model: overlapping chunks, faded into each other.

Neighbouring chunks overlap by a share of their length, over which one fades out linearly while the next fades in; the
two weights add up to one. Memory holds a batch of chunks and their estimates, however long the track is.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix.models import contract
from unmix.models.contract import Read


@torch.no_grad()
def separate(
    model: nn.Module,
    read: Read,
    num_samples: int,
    *,
    chunk_samples: int,
    overlap: float = 0.25,
    batch_size: int = 1,
) -> Iterator[Tensor]:
    """Separate a track chunk by chunk.

    Args:
        model: see `contract.SourceSeparator`, in evaluation mode.
        read: samples of the track at the model's rate, (channels, samples).
        num_samples: length of the track.
        chunk_samples: length of a chunk; silence fills up the last one.
        overlap: share of a chunk that the next one covers too, 0 up to 0.5.
        batch_size: chunks that the model separates at once.
    Yields:
        (targets, channels, samples), together `num_samples`.
    Raises:
        ValueError: on an empty track, settings outside their range, or estimates of another shape or not finite.
    """
    if num_samples < 1:
        raise ValueError("input: got a track without a sample")
    if not 0 <= overlap <= 0.5:
        raise ValueError(f"separator.overlap: got {overlap:g}, allowed 0 up to 0.5")
    if chunk_samples < 2 or batch_size < 1:
        raise ValueError(f"separator: got chunks of {chunk_samples} samples, {batch_size} at once; both are too small")
    fade = int(overlap * chunk_samples)
    step = chunk_samples - fade
    num_chunks = max(1, -(-(num_samples - fade) // step))
    chunks = _estimates(model, read, num_samples, chunk_samples, range(0, num_chunks * step, step), batch_size)
    tail: Tensor | None = None  # the faded end of the chunk before
    for index, chunk in enumerate(chunks):
        if tail is not None:
            chunk[..., :fade] = torch.lerp(tail, chunk[..., :fade], _ramp(fade, chunk))
        start = index * step
        if index == num_chunks - 1:
            yield chunk[..., : num_samples - start]
        else:
            yield chunk[..., :step]
            tail = chunk[..., step:].clone()


def _ramp(length: int, like: Tensor) -> Tensor:
    """Weights of the chunk that fades in; never 0 or 1, so that both chunks count."""
    return (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length


def _estimates(
    model: nn.Module, read: Read, num_samples: int, chunk_samples: int, starts: range, batch_size: int
) -> Iterator[Tensor]:
    """Estimates of every chunk, (targets, channels, chunk_samples)."""
    weight = next(model.parameters(), torch.empty(0))
    for first in range(0, len(starts), batch_size):
        chunks = []
        for start in starts[first : first + batch_size]:
            samples = read(start, min(start + chunk_samples, num_samples))
            chunks.append(functional.pad(samples, (0, chunk_samples - samples.shape[-1])))
        mixture = torch.stack(chunks).to(weight.device)
        estimates = contract.estimate(model, mixture, "ckpt")
        contract.check_finite(estimates, model, "ckpt")
        yield from estimates.unbind(0)
