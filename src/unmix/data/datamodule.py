"""The LightningDataModule: random mixes to train on, whole tracks to validate and test on."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from unmix.data import sampling
from unmix.data.datasets import BatchKeys, RandomMixDataset, RepeatedKeys, TrackDataset
from unmix.data.mixing import StemBatch, render, to_float
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES, Splits, scan_musdb18hq


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
