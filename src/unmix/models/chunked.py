"""Separation of tracks of any length by any model, in overlapping chunks with cross-fades.

Neighbouring chunks overlap by a share of their length, over which the first fades out linearly while the second fades
in, with weights that add up to one. Memory holds one batch of chunks and estimates, whatever the length of the track.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix import settings
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
    """Separate a track in overlapping chunks.

    Args:
        model: see `contract.SourceSeparator`, in evaluation mode.
        read: reads samples of the track at the model's rate, (channels, samples).
        num_samples: length of the track.
        chunk_samples: length of a chunk; the last one is padded with silence.
        overlap: share of a chunk that the next one overlaps, 0 to 0.5.
        batch_size: number of chunks that the model separates at once.
    Yields:
        Consecutive estimates, (targets, channels, samples), of `num_samples` in total.
    Raises:
        ValueError: on an empty track, a setting out of range, or estimates of a wrong shape or not finite.
    """
    if num_samples < 1:
        raise ValueError("input: got a track without a sample")
    settings.check("separator", {"overlap": overlap})
    if chunk_samples < 2 or batch_size < 1:
        raise ValueError(f"separator: got chunks of {chunk_samples} samples, {batch_size} at once; both are too small")
    fade = int(overlap * chunk_samples)
    step = chunk_samples - fade
    num_chunks = max(1, -(-(num_samples - fade) // step))
    chunks = _estimates(model, read, num_samples, chunk_samples, range(0, num_chunks * step, step), batch_size)
    tail: Tensor | None = None  # end of the previous chunk, which fades out
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
    """Linear fade-in, (length,): weights of the next chunk, all strictly between 0 and 1."""
    return (torch.arange(length, device=like.device, dtype=like.dtype) + 0.5) / length


def _estimates(
    model: nn.Module, read: Read, num_samples: int, chunk_samples: int, starts: range, batch_size: int
) -> Iterator[Tensor]:
    """Separate all chunks in batches; yields (targets, channels, chunk_samples) for each chunk."""
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
