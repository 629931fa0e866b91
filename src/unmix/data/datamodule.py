"""The LightningDataModule: random mixes to train on, whole tracks to validate and test on."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from unmix.data import pcm, sampling
from unmix.data.mixing import StemBatch, render, to_float
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES, Splits, Track, scan_musdb18hq

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


class SeparationDataModule(LightningDataModule):
    """MUSDB18-HQ, or any tree of its shape.

    Args:
        root: folder with `train` and `test`.
        name: of the data set; part of an experiment's identity, which `root` is not.
        target: the source that validation compares with.
        sources: stems of every track beside `mixture`, in the order of the axis `sources`.
        prepare: makes the tree at `root` when it is not there yet.
        validation_tracks: names of folders of `train` to hold out; None is musdb's 14.
        sample_rate: Hz, of every file.
        segment_seconds: length of a training sample.
        samples_per_track: training samples per epoch and track.
        batch_size: over all ranks together; must divide by their number.
        random_mix, gain, swap_probability: see `sampling.Recipe`.
        num_workers: loader processes per rank; changes no sample.
        repeat_epoch: every epoch draws what the first one does; to see whether a network can learn by heart.
        seed: of the draws.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        name: str,
        target: str,
        sources: Sequence[str] = SOURCES,
        prepare: Callable[[Path], None] | None = None,
        validation_tracks: Sequence[str] | None = None,
        sample_rate: int = 44100,
        segment_seconds: float = 6.0,
        samples_per_track: int = 64,
        batch_size: int = 16,
        random_mix: bool = True,
        gain: Sequence[float] = (0.25, 1.25),
        swap_probability: float = 0.5,
        num_workers: int = 0,
        repeat_epoch: bool = False,
        seed: int = 42,
    ) -> None:
        super().__init__()
        self.root, self.name, self.target = Path(root), name, target
        self.sources = tuple(sources)
        self.prepare = prepare
        self.validation_tracks = MUSDB_VALIDATION_TRACKS if validation_tracks is None else tuple(validation_tracks)
        self.sample_rate = sample_rate
        self.recipe = sampling.Recipe(
            segment=round(segment_seconds * sample_rate),
            random_mix=random_mix,
            gain=(gain[0], gain[1]),
            swap_probability=swap_probability,
        )
        self.samples_per_track, self.batch_size = samples_per_track, batch_size
        self.num_workers = num_workers
        self.repeat_epoch = repeat_epoch
        self.seed = seed
        self._start = (0, 0)
        self._splits: Splits | None = None

    def start_at(self, epoch: int, batch: int) -> None:
        """Begin with this batch of this epoch, as a run that goes on does."""
        self._start = (epoch, batch)

    def prepare_data(self) -> None:
        """Make the data if it can be made and is not there."""
        if self.prepare is not None and not self.root.exists():
            self.prepare(self.root)

    @property
    def splits(self) -> Splits:
        """The tracks; scanned once."""
        if self._splits is None:
            self._splits = scan_musdb18hq(
                self.root,
                validation_tracks=self.validation_tracks,
                sample_rate=self.sample_rate,
                sources=self.sources,
            )
        return self._splits

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.splits.train) * self.samples_per_track // self.batch_size)

    def check_training(self) -> None:
        """Refuse what would train nothing or a wrong model.

        Raises:
            FileNotFoundError, ValueError: as `scan_musdb18hq`; and on no track to train on, or tracks too short.
        """
        if not self.splits.train:
            raise ValueError(f"data.root: {self.root / 'train'} holds no track to train on")
        shortest = min(self.splits.train, key=lambda track: track.num_samples)
        if shortest.num_samples < self.recipe.segment:
            raise ValueError(
                f"data.segment_seconds: got {self.recipe.segment / self.sample_rate:g} s, but {shortest.folder} has "
                f"{shortest.num_samples / self.sample_rate:.2f} s: take shorter segments or remove the track"
            )

    @property
    def _ranks(self) -> tuple[int, int]:
        """This rank, and how many there are."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def check_ranks(self, world_size: int) -> None:
        """Refuse a number of ranks that would see other batches than one, or have nothing to do.

        Raises:
            ValueError: naming what must divide or be enough.
        """
        self._check_batch(world_size)
        if world_size > len(self.splits.valid) > 0:
            raise ValueError(
                f"trainer.gpus: got {world_size} ranks, but only {len(self.splits.valid)} tracks to validate on: "
                "take fewer ranks"
            )

    def _check_batch(self, world_size: int) -> None:
        if self.batch_size % world_size:
            raise ValueError(
                f"data.batch_size: got {self.batch_size}, which does not divide by the {world_size} ranks "
                "that share each batch: take a multiple"
            )

    def train_dataloader(self) -> DataLoader[StemBatch]:
        rank, world_size = self._ranks
        self._check_batch(world_size)
        num_samples = len(self.splits.train) * self.samples_per_track
        kind = RepeatedKeys if self.repeat_epoch else BatchKeys
        keys = kind(num_samples, self.batch_size, rank=rank, world_size=world_size, start=self._start)
        dataset = RandomMixDataset(self.splits.train, self.recipe, self.seed, self.sources)
        return DataLoader(
            dataset,
            sampler=keys,
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The real mixture file and the target, whole, one track at a time, as in UMX; each on one rank."""
        rank, world_size = self._ranks
        return DataLoader(TrackDataset(self.splits.valid[rank::world_size], ("mixture", self.target)), batch_size=1)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> dict[str, Tensor]:
        """Make float waveforms by name, (batch, channels, samples), on the device."""
        if isinstance(batch, StemBatch):
            return render(batch, self.sources)
        return {stem: to_float(samples) for stem, samples in batch.items()}
