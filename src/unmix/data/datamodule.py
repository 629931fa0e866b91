"""The LightningDataModule: random mixes to train on, whole tracks to validate and test on."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from unmix import errors
from unmix.data import conversion, sampling, statistics
from unmix.data.cache import default_folder
from unmix.data.datasets import BatchKeys, DrawBatch, DrawDataset, RepeatedKeys, StemDataset, TrackDataset
from unmix.data.library import Library
from unmix.data.mixing import StemBatch, render, to_float
from unmix.data.scan import Scan
from unmix.data.store import STORAGES, DeviceStore, open_store
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES, Splits
from unmix.dsp.stft import Stft

log = logging.getLogger(__name__)


class SeparationDataModule(LightningDataModule):
    """MUSDB18-HQ, MUSDB18, or any tree of their shape.

    Args:
        root: folder with `train` and `test`.
        name: of the data set; part of an experiment's identity, which `root` is not.
        sources: stems of every track beside `mixture`, in the order of the axis `sources`.
        layout: `folders` of audio files, or `stems` (`.stem.mp4`).
        prepare: makes the tree at `root` when it is not there yet.
        validation_tracks: names of tracks of `train` to hold out; None is musdb's 14.
        sample_rate: Hz, of every file.
        segment_seconds: length of a training sample.
        samples_per_track: training samples per epoch and track.
        batch_size: over all ranks together; must divide by their number.
        random_mix, gain, swap_probability: see `sampling.Recipe`.
        num_workers: loader processes per rank; changes no sample.
        storage: where training segments come from, `disk`, `ram`, `gpu` or `auto`; changes no sample.
        cache: folder for what is made of the files; None is `cache.default_folder()`.
        allow_changed: let a run go on with other data than it was begun with.
        repeat_epoch: every epoch draws what the first one does; to see whether a network can learn by heart.
        seed: of the draws.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        name: str,
        sources: Sequence[str] = SOURCES,
        layout: str = "folders",
        prepare: Callable[[Path], object] | None = None,
        validation_tracks: Sequence[str] | None = None,
        sample_rate: int = 44100,
        segment_seconds: float = 6.0,
        samples_per_track: int = 64,
        batch_size: int = 16,
        random_mix: bool = True,
        gain: Sequence[float] = (0.25, 1.25),
        swap_probability: float = 0.5,
        num_workers: int = 0,
        storage: str = "auto",
        cache: str | Path | None = None,
        allow_changed: bool = False,
        repeat_epoch: bool = False,
        seed: int = 42,
    ) -> None:
        super().__init__()
        if storage not in STORAGES:
            raise ValueError(errors.unknown("data.storage", storage, STORAGES))
        held_out = MUSDB_VALIDATION_TRACKS if validation_tracks is None else tuple(validation_tracks)
        folder = default_folder() if cache is None else Path(cache).expanduser()
        self.library = Library(Path(root), layout, tuple(sources), held_out, sample_rate, folder, prepare)
        segment, gains = round(segment_seconds * sample_rate), (gain[0], gain[1])
        self.recipe = sampling.Recipe(segment, random_mix, gains, swap_probability)
        self.name = name
        self.samples_per_track, self.batch_size = samples_per_track, batch_size
        self.num_workers, self.storage = num_workers, storage
        self.allow_changed = allow_changed
        self.repeat_epoch = repeat_epoch
        self.seed = seed
        self._start = (0, 0)
        self._device_store: DeviceStore | None = None

    def start_at(self, epoch: int, batch: int) -> None:
        """Begin with this batch of this epoch, as a run that goes on does."""
        self._start = (epoch, batch)

    @property
    def root(self) -> Path:
        return self.library.root

    @property
    def sources(self) -> tuple[str, ...]:
        return self.library.sources

    @property
    def sample_rate(self) -> int:
        return self.library.sample_rate

    @property
    def splits(self) -> Splits:
        """The tracks that are sound; scanned once."""
        return self.library.scan.splits

    def prepare_data(self) -> None:
        """Make, decode or convert what is not there yet; quick when all is. Raises what `Library.make_ready` does."""
        self.library.make_ready()

    @property
    def steps_per_epoch(self) -> int:
        return -(-len(self.splits.train) * self.samples_per_track // self.batch_size)

    def training_errors(self) -> list[str]:
        """All that would train a wrong model, or none; one line each."""
        found = list(self.library.scan.errors)
        if not self.splits.train and not found:
            found.append(f"data.root: {self.root / 'train'} holds no track to train on")
        short = [track for track in self.splits.train if track.num_samples < self.recipe.segment]
        if short:
            shortest = min(short, key=lambda track: track.num_samples)
            found.append(
                f"data.segment_seconds: got {self.recipe.segment / self.sample_rate:g} s, but {len(short)} of "
                f"{len(self.splits.train)} tracks are shorter, {shortest.folder} has "
                f"{shortest.num_samples / self.sample_rate:.2f} s: take shorter segments or remove them"
            )
        return found

    def check_training(self) -> None:
        """Refuse what would train nothing or a wrong model.

        Raises:
            ValueError: with the first of `training_errors`, and how many more there are.
        """
        Scan(self.splits, tuple(self.training_errors())).check()

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

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches of stems; of draws alone where the stems are on the device already."""
        rank, world_size = self._ranks
        self._check_batch(world_size)
        num_samples = len(self.splits.train) * self.samples_per_track
        kind = RepeatedKeys if self.repeat_epoch else BatchKeys
        keys = kind(num_samples, self.batch_size, rank=rank, world_size=world_size, start=self._start)
        draws = DrawDataset(self.splits.train, self.recipe, self.seed, len(self.sources))
        store = open_store(
            conversion.to_int16(self.splits.train, self.library.cache),
            self.sources,
            self.storage,
            torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device,
            self.library.cache,
        )
        if isinstance(store, DeviceStore):
            self._device_store = store
            return DataLoader(draws, sampler=keys, batch_size=None)
        return DataLoader(
            StemDataset(draws, store),
            sampler=keys,
            batch_size=None,
            num_workers=self.num_workers,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=self.num_workers > 0,
        )

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """The real mixture file and the sources, whole, one track at a time, as in UMX; each on one rank.

        What is trained may name the sources that its validation looks at: the others need not be read then.
        """
        rank, world_size = self._ranks
        module = None if self.trainer is None else self.trainer.lightning_module
        sources = getattr(module, "validation_sources", self.sources)
        return DataLoader(TrackDataset(self.splits.valid[rank::world_size], ("mixture", *sources)), batch_size=1)

    def magnitude_statistics(self, stft: Stft, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each bin over the training mixtures; see `statistics.compute`."""
        return statistics.load_or_compute(self.splits.train, stft, self.library.cache / "statistics", device)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> dict[str, Tensor]:
        """Make float waveforms by name, (batch, channels, samples), on the device."""
        if isinstance(batch, DrawBatch):
            assert self._device_store is not None  # only its loader makes them
            batch = batch.gather(self._device_store, self.recipe.segment)
        if isinstance(batch, StemBatch):
            return render(batch, self.sources)
        return {stem: to_float(samples) for stem, samples in batch.items()}
