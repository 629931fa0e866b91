"""Datasets and samplers: training batches, addressed by `BatchKey`, and complete tracks."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from unmix.data import pcm, sampling
from unmix.data.mixing import StemBatch
from unmix.data.sampling import Draws
from unmix.data.store import Store
from unmix.data.tracks import Track


class BatchKey(NamedTuple):
    """Address of a batch: `num_samples` samples of an epoch, starting at index `first`."""

    epoch: int
    first: int
    num_samples: int


class DrawBatch(NamedTuple):
    """Draws of a batch as tensors, before its segments are read, see `sampling.Draws`."""

    tracks: Tensor
    starts: Tensor
    gains: Tensor
    swaps: Tensor
    num_samples: int
    effects: Mapping[str, tuple[Any, ...]]

    @classmethod
    def of(cls, draws: Draws) -> Self:
        """Convert draws, and those within them, to tensors; numbers become as precise as the waveforms."""

        def converted(value: Any) -> Any:
            if isinstance(value, Draws):
                return cls.of(value)
            return torch.from_numpy(value.astype(np.float32) if value.dtype == np.float64 else value)

        tracks, starts, gains, swaps = map(converted, (draws.tracks, draws.starts, draws.gains, draws.swaps))
        effects = {name: tuple(map(converted, values)) for name, values in draws.effects.items()}
        return cls(tracks, starts, gains, swaps, draws.num_samples, effects)

    def gather(self, store: Store) -> StemBatch:
        """Read the drawn segments from a store."""

        def read(value: Any) -> Any:
            return value.gather(store) if isinstance(value, DrawBatch) else value

        stems = store.gather(self.tracks, self.starts, self.num_samples)
        effects = {name: tuple(map(read, values)) for name, values in self.effects.items()}
        return StemBatch(stems, self.gains, self.swaps, effects)


class DrawDataset(Dataset[DrawBatch]):
    """Map-style dataset of draws, `BatchKey` -> `DrawBatch`: what a batch consists of, before any audio is read."""

    def __init__(self, tracks: Sequence[Track], recipe: sampling.Recipe, seed: int, sources: Sequence[str]) -> None:
        self.recipe = recipe
        self.seed = seed
        self.lengths = [
            np.array([track.num_samples for track in tracks if source in track.files]) for source in sources
        ]

    def __getitem__(self, key: BatchKey) -> DrawBatch:
        draws = sampling.draw(self.seed, *key, track_lengths=self.lengths, recipe=self.recipe)
        return DrawBatch.of(draws)


class StemDataset(Dataset[StemBatch]):
    """Map-style dataset of training batches, read from a store in CPU memory: `BatchKey` -> `StemBatch`."""

    def __init__(self, draws: DrawDataset, store: Store) -> None:
        self.draws = draws
        self.store = store

    def __getitem__(self, key: BatchKey) -> StemBatch:
        return self.draws[key].gather(self.store)


class BatchKeys(Sampler[BatchKey]):
    """Sampler that yields the key of this rank's share of every global batch of an epoch.

    An epoch is rounded up to complete batches. Every index is a new draw, so no sample is repeated.

    Args:
        num_samples: samples per epoch.
        batch_size: samples per batch, over all ranks together.
        rank, world_size: select the share of every batch.
        start: (epoch, batch) at which the first iteration starts; later iterations start at batch 0.
    """

    def __init__(
        self, num_samples: int, batch_size: int, *, rank: int, world_size: int, start: tuple[int, int] = (0, 0)
    ) -> None:
        self.num_batches = -(-num_samples // batch_size)
        self.batch_size = batch_size
        self.share = range(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self.epoch, self.first_batch = start

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; called by Lightning."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[BatchKey]:
        # Lightning may set the next epoch while this iteration still runs: read it once, now.
        epoch, first_batch, self.first_batch = self.epoch, self.first_batch, 0
        return iter(
            [
                BatchKey(epoch, batch * self.batch_size + self.share.start, len(self.share))
                for batch in range(first_batch, self.num_batches)
            ]
        )

    def __len__(self) -> int:
        return self.num_batches


class RepeatedKeys(BatchKeys):
    """Sampler that yields the keys of epoch 0 in every epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: every epoch is epoch 0."""

    def __iter__(self) -> Iterator[BatchKey]:
        self.epoch = 0
        return super().__iter__()


class TrackDataset(Dataset[dict[str, Tensor]]):
    """Map-style dataset of complete tracks: index -> stem name -> int16, (channels, samples)."""

    def __init__(self, tracks: Sequence[Track], stems: Sequence[str]) -> None:
        self.tracks = tracks
        self.stems = stems

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        track = self.tracks[position]
        return {stem: torch.from_numpy(pcm.read_int16(track.path(stem))) for stem in self.stems}

    def __len__(self) -> int:
        return len(self.tracks)
