"""Turn drawn int16 stems into augmented sources and their mixture, on the device of the stems."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unmix.data.pcm import INT16_FULL_SCALE
from unmix.data.tracks import SOURCES


class StemBatch(NamedTuple):
    """A training batch before augmentation, as 16-bit integers, which take half the transfer of floats.

    Shape:
        stems: int16, (batch, sources, channels, samples), sources in the order of `data.sources`.
        gains: float32, (batch, sources).
        swaps: bool, (batch, sources), True where left and right are swapped.
        effects: values of `Effect.apply` by the name of the augmentation; a StemBatch stands for further waveforms.
    """

    stems: Tensor
    gains: Tensor
    swaps: Tensor
    effects: Mapping[str, tuple[Any, ...]] = {}


def render(
    batch: StemBatch, names: Sequence[str] = SOURCES, augmentations: Mapping[str, Any] | None = None
) -> dict[str, Tensor]:
    """Augment the sources and form the mixture: name -> float32, (batch, channels, samples), with key `mixture`.

    Args:
        batch: stems and what was drawn for them.
        names: names of the sources.
        augmentations: by name; every `Effect` that `batch.effects` has values for.
    """
    sources = scaled(batch)
    for name, values in batch.effects.items():
        waveforms = (scaled(value) if isinstance(value, StemBatch) else value for value in values)
        sources = (augmentations or {})[name].apply(sources, *waveforms)
    mixture = sources.sum(dim=1)  # THE line that forms the mixture
    return {"mixture": mixture, **dict(zip(names, sources.unbind(dim=1), strict=True))}


def scaled(batch: StemBatch) -> Tensor:
    """Convert stems to float32 and apply gains and swaps, in one pass over memory."""
    num_samples, num_sources, num_channels, _ = batch.stems.shape
    device = batch.stems.device
    samples = torch.arange(num_samples, device=device)[:, None, None]
    positions = torch.arange(num_sources, device=device)[:, None]
    channels = torch.arange(num_channels, device=device)
    # Indexing with the swapped order takes one pass; torch.flip would take two.
    read = torch.where(batch.swaps[:, :, None], channels.flip(dims=[0]), channels)
    return batch.stems[samples, positions, read] * (batch.gains / INT16_FULL_SCALE)[:, :, None, None]


def to_float(samples: Tensor) -> Tensor:
    """Convert int16 of any shape to float32, full scale at 1."""
    return samples / INT16_FULL_SCALE
