"""The LightningDataModule: random mixes for training, complete tracks for validation and tests."""

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from unmix import settings
from unmix.data import library, statistics, training_set
from unmix.data.augmentations import registry
from unmix.data.cache import default_folder
from unmix.data.datasets import BatchKeys, DrawBatch, DrawDataset, RepeatedKeys, StemDataset, TrackDataset
from unmix.data.mixing import StemBatch, render, to_float
from unmix.data.sampling import Recipe
from unmix.data.scan import Scan, partial_errors
from unmix.data.store import DeviceStore, open_store, to_int16
from unmix.data.tracks import SOURCES, Splits
from unmix.dsp.stft import Stft
from unmix.errors import counted

log = logging.getLogger(__name__)


class SeparationDataModule(LightningDataModule):
    """LightningDataModule of MUSDB18-HQ, MUSDB18, or any data set in one of the layouts.

    Args:
        root: folder of the data set, or a table of its files.
        name: name of the data set; part of an experiment's identity, unlike `root`.
        sources: stems of every track beside `mixture`, in the order of the axis `sources`.
        layout: one of `settings.LAYOUTS`.
        rename, other, absent: which files belong to which source, see `naming.Naming`.
        prepare: creates the tree at `root` when it does not exist.
        download: whether to fetch the data set of this `name` when there is nothing at `root`; without `root`, it is
            the folder `name` in `cache`.
        validation_tracks, validation_share: training tracks to hold out for validation, see `splits.HoldOut`.
        sample_rate: Hz; required of every file.
        segment_seconds: length of a training sample.
        samples_per_track: training samples per epoch and track.
        batch_size: over all ranks together; a multiple of their number.
        random_mix: see `sampling.Recipe`.
        augmentations: names, mappings of a name to settings, or objects: see `registry.make_recipe`.
        gain, swap_probability: settings of the augmentations `gain` and `swap`.
        track_weights: how often each track is drawn, see `augmentation_settings.check_track_weights`.
        num_workers: loader processes per rank; changes no sample.
        storage: where training segments come from, see `settings.STORAGES`; changes no sample.
        cache: folder of files made from the data set; None is `cache.default_folder()`.
        allow_changed: whether a run may continue with other data than it was started with.
        repeat_epoch: whether every epoch has the samples of the first, to see whether a network can overfit them.
        seed: seed of the draws.

    Raises:
        ValueError: when `root` is None without `download`, when no data set of this name can be fetched, or on a value
            of the wrong type or out of range, naming `data.<key>`.
    """

    _device_store: DeviceStore | None = None  # what `train_dataloader` opened, if its draws are gathered on the device

    def __init__(
        self,
        root: str | Path | None,
        *,
        name: str,
        sources: Sequence[str] = SOURCES,
        layout: str = "musdb",
        rename: Mapping[str, Sequence[str]] | None = None,
        other: str | None = None,
        absent: str | None = None,
        prepare: Callable[[Path], object] | None = None,
        download: bool = False,
        validation_tracks: Sequence[str] | None = None,
        validation_share: float | None = None,
        sample_rate: int = 44100,
        segment_seconds: float = 6.0,
        samples_per_track: int = 64,
        batch_size: int = 16,
        random_mix: bool = True,
        gain: Sequence[float] = (0.25, 1.25),
        swap_probability: float = 0.5,
        augmentations: Sequence[Any] = ("gain", "swap"),
        track_weights: training_set.TrackWeights = "uniform",
        num_workers: int = 0,
        storage: str = "auto",
        cache: str | Path | None = None,
        allow_changed: bool = False,
        repeat_epoch: bool = False,
        seed: int = 42,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in ("self", "__class__")}
        settings.check("data", given)
        super().__init__()
        folder = default_folder() if cache is None else Path(cache).expanduser()
        self.library = library.from_settings(given, folder, prepare)
        self.recipe, self.track_weights = registry.make_recipe(given), track_weights
        self.name, self.num_workers, self.storage = name, num_workers, storage
        self.samples_per_track, self.batch_size = samples_per_track, batch_size
        self.allow_changed, self.repeat_epoch, self.seed = allow_changed, repeat_epoch, seed
        self._start = (0, 0)

    def start_at(self, epoch: int, batch: int) -> None:
        """Make the training data start at a batch within an epoch, for a run that resumes."""
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
        """Tracks without errors, by split; the data set is scanned on first use."""
        return self.library.scan.splits

    def prepare_data(self) -> None:
        """Create, decode and convert the data set where needed; raises as `Library.make_ready`."""
        self.library.make_ready()

    @property
    def samples_per_epoch(self) -> int:
        """Number of draws: `samples_per_track` for each track, or of loose files for each of the commonest source."""
        counts = [sum(source in track.files for track in self.splits.train) for source in self.sources]
        return max(counts) * self.samples_per_track

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.samples_per_epoch // self.batch_size)

    def training_errors(self) -> list[str]:
        """List all problems that would make training fail or train a wrong model, one line each."""
        found = list(self.library.scan.errors)
        if not self.splits.train and not found:
            found.append(f"data.root: {self.root / 'train'} holds no track to train on")
        found += partial_errors(self.splits.train, self.sources, random_mix=self.recipe.random_mix)
        found += training_set.find_errors(self.splits.train, self.sources, self.recipe, self.track_weights)
        return found

    def check_training(self) -> None:
        """Check that there are no `training_errors`.

        Raises:
            ValueError: with the first error, and the number of others.
        """
        Scan(self.splits, tuple(self.training_errors())).check()

    @property
    def _ranks(self) -> tuple[int, int]:
        """Global rank of this process, and the number of ranks."""
        return (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)

    def check_ranks(self, world_size: int, key: str) -> None:
        """Refuse a number of ranks that does not divide the batch, or that leaves a rank without a validation track.

        Args:
            world_size: number of ranks.
            key: setting that their number comes from.
        Raises:
            ValueError: naming the setting to change.
        """
        self._check_batch(world_size)
        if world_size > len(self.splits.valid) > 0:
            tracks = counted(len(self.splits.valid), "track")
            raise ValueError(f"{key}: got {world_size} ranks, but only {tracks} to validate on: take fewer ranks")

    def _check_batch(self, world_size: int) -> None:
        if self.batch_size % world_size:
            raise ValueError(
                f"data.batch_size: got {self.batch_size}, which does not divide by the {world_size} ranks "
                "that share each batch: take a multiple"
            )

    def train_dataloader(self) -> DataLoader[Any]:
        """Loader of training batches: stems, or only the draws if a `DeviceStore` holds the stems."""
        rank, world_size = self._ranks
        self._check_batch(world_size)
        kind = RepeatedKeys if self.repeat_epoch else BatchKeys
        keys = kind(self.samples_per_epoch, self.batch_size, rank=rank, world_size=world_size, start=self._start)
        tracks = self.splits.train
        draws = DrawDataset(tracks, self._completed_recipe(), self.seed, self.sources)
        store = open_store(
            to_int16(tracks, self.library.cache),
            self.sources,
            self.storage,
            torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device,
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

    def _completed_recipe(self) -> Recipe:
        tracks, cache = self.splits.train, self.library.cache
        return training_set.completed(self.recipe, self.track_weights, tracks, self.sources, cache)

    def check_levels(self) -> None:
        """Check that every source sounds somewhere, if draws depend on it; raises as `training_set.completed`."""
        if training_set.needs_levels(self.recipe, self.track_weights):
            self.prepare_data()
            self._completed_recipe()

    def val_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Loader of complete validation tracks, one at a time, as in UMX; ranks share the tracks.

        A track is the mixture file and all sources, or only the `validation_sources` if the LightningModule has them.
        """
        rank, world_size = self._ranks
        module = None if self.trainer is None else self.trainer.lightning_module
        sources = getattr(module, "validation_sources", self.sources)
        return DataLoader(TrackDataset(self.splits.valid[rank::world_size], ("mixture", *sources)), batch_size=1)

    def magnitude_statistics(self, stft: Stft, device: torch.device) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each bin over the training mixtures, cached; see `statistics.compute`."""
        tracks = statistics.mixtures(self.splits.train, self.sources)
        return statistics.load_or_compute(tracks, stft, self.library.cache / "statistics", device)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> dict[str, Tensor]:
        """Turn a batch into float waveforms by name, (batch, channels, samples), on the device.

        Args:
            batch: for training, a `DrawBatch` or `StemBatch`, whose mixture is formed here; otherwise int16 by name.
        """
        if isinstance(batch, DrawBatch):
            assert self._device_store is not None  # only the loader of a device store yields DrawBatch
            batch = batch.gather(self._device_store)
        if isinstance(batch, StemBatch):
            waveforms = render(batch, self.sources, self.recipe.augmentations)
        else:
            waveforms = {stem: to_float(samples) for stem, samples in batch.items()}
        # Lightning converted the batch before it had waveforms; `trainer.precision=64-true` needs them in double.
        return waveforms if self.trainer is None else self.trainer.precision_plugin.convert_input(waveforms)
