"""What a loader iterates: whole training batches by key, and whole tracks."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from unmix.data import pcm, sampling
from unmix.data.mixing import StemBatch
from unmix.data.tracks import SOURCES, Track

BatchKey = tuple[int, list[int]]  # epoch, indices of the samples in it


class RandomMixDataset(Dataset[StemBatch]):
    """Whole training batches by key; the key alone says what is in them."""

    def __init__(
        self, tracks: Sequence[Track], recipe: sampling.Recipe, seed: int, sources: Sequence[str] = SOURCES
    ) -> None:
        self.tracks = tracks
        self.sources = sources
        self.recipe = recipe
        self.seed = seed
        self.lengths = np.array([track.num_samples for track in tracks])

    def __getitem__(self, key: BatchKey) -> StemBatch:
        epoch, indices = key
        draws = sampling.draw(
            self.seed,
            epoch,
            indices,
            track_lengths=self.lengths,
            num_sources=len(self.sources),
            recipe=self.recipe,
        )
        stems = [[self._segment(draws, b, s) for s in range(len(self.sources))] for b in range(len(indices))]
        return StemBatch(
            torch.from_numpy(np.array(stems)), torch.from_numpy(draws.gains), torch.from_numpy(draws.swaps)
        )

    def _segment(self, draws: sampling.Draws, sample: int, source: int) -> np.ndarray:
        track = self.tracks[draws.tracks[sample, source]]
        start = int(draws.starts[sample, source])
        return pcm.read_int16(track.path(self.sources[source]), start=start, num_samples=self.recipe.segment)


class BatchKeys(Sampler[BatchKey]):
    """Keys of this rank's share of every global batch of an epoch.

    An epoch is rounded up to whole batches: every index is a fresh draw, so nothing is seen twice.

    Args:
        num_samples: of an epoch.
        batch_size: over all ranks.
        rank, world_size: which share of every batch.
        start: (epoch, batch) that the first iteration begins with; later ones begin with batch 0.
    """

    def __init__(
        self, num_samples: int, batch_size: int, *, rank: int, world_size: int, start: tuple[int, int] = (0, 0)
    ) -> None:
        self.num_batches = -(-num_samples // batch_size)
        self.batch_size = batch_size
        self.share = range(rank * batch_size // world_size, (rank + 1) * batch_size // world_size)
        self.epoch, self.first_batch = start

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this at the start of every epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[BatchKey]:
        # Lightning may tell the epoch after the iteration has begun: it is read at the beginning, once.
        epoch, first_batch, self.first_batch = self.epoch, self.first_batch, 0
        return iter(
            [(epoch, [b * self.batch_size + i for i in self.share]) for b in range(first_batch, self.num_batches)]
        )

    def __len__(self) -> int:
        return self.num_batches


class RepeatedKeys(BatchKeys):
    """The keys of the first epoch, in every epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Stay in the first."""

    def __iter__(self) -> Iterator[BatchKey]:
        self.epoch = 0
        return super().__iter__()


class TrackDataset(Dataset[dict[str, Tensor]]):
    """Whole tracks by position: the named stems as int16, (channels, samples) each."""

    def __init__(self, tracks: Sequence[Track], stems: Sequence[str]) -> None:
        self.tracks = tracks
        self.stems = stems

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        track = self.tracks[position]
        return {stem: torch.from_numpy(pcm.read_int16(track.path(stem))) for stem in self.stems}

    def __len__(self) -> int:
        return len(self.tracks)
