"""LightningModules that separate whole tracks in the test loop, by trained models or by oracles."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from unmix.data.tracks import Track
from unmix.errors import counted
from unmix.evaluation import oracle
from unmix.evaluation.estimates import Estimates, Sources
from unmix.evaluation.scenarios import ACCOMPANIMENT
from unmix.evaluation.scoring import EvaluationFolder
from unmix.models.contract import Separator
from unmix.models.joined import join


class SeparationTest(LightningModule, ABC):
    """Base class of modules that separate whole tracks in Lightning's test loop.

    Args:
        tracks: tracks to separate; a batch is an index into them.
        output: folder of the evaluation.
    """

    targets: tuple[str, ...]  # names of the estimates, in order

    def __init__(self, tracks: Sequence[Track], output: EvaluationFolder) -> None:
        super().__init__()
        self.tracks = tracks
        self.output = output

    @abstractmethod
    def separate(self, track: Track) -> Iterator[Tensor]:
        """Separate a track; yields the estimates in blocks, (sources, channels, samples)."""

    def test_dataloader(self) -> DataLoader[int]:
        """Loader of the indices of this rank's tracks, one per batch; no track is repeated to balance the ranks."""
        shard = range(self.trainer.global_rank, len(self.tracks), self.trainer.world_size)
        return DataLoader(shard, batch_size=1)  # type: ignore[arg-type]

    def test_step(self, batch: Tensor, batch_idx: int) -> dict[str, Estimates]:
        """Separate one track into a temporary file.

        Raises:
            ValueError: when the estimates and the track differ in length.
        """
        track = self.tracks[int(batch)]
        estimates = Estimates(self.output.under_way(track.name), len(self.targets), track.num_channels)
        num_samples = estimates.write(self.separate(track))
        if num_samples != track.num_samples:
            raise ValueError(f"{track.name}: got estimates of {num_samples} samples, the track has {track.num_samples}")
        return {"estimates": estimates}


def check_format(tracks: Sequence[Track], sample_rate: int, num_channels: int) -> None:
    """Check that tracks have the format that models were trained on.

    Raises:
        ValueError: when a track has another sample rate or number of channels.
    """
    for track in tracks:
        if (track.sample_rate, track.num_channels) != (sample_rate, num_channels):
            raise ValueError(
                f"data: {track.name} has {track.sample_rate} Hz and {counted(track.num_channels, 'channel')}, the "
                f"models were trained on {sample_rate} Hz and {num_channels}; name data of that format (only "
                "src/separate.py converts)"
            )


class ModelsTest(SeparationTest):
    """Test module that separates tracks with trained models.

    Args:
        separator: the joined models, see `models.joined.join`.
        tracks, output: see `SeparationTest`.
        exact_seconds: see `Separator.stream`.

    Raises:
        ValueError: as `check_format`.
    """

    def __init__(
        self, separator: Separator, tracks: Sequence[Track], output: EvaluationFolder, exact_seconds: float = 900.0
    ) -> None:
        super().__init__(tracks, output)
        check_format(tracks, separator.sample_rate, separator.num_channels)
        self.separator: Any = separator  # also an nn.Module, which Lightning moves to the device
        self.exact_seconds = exact_seconds
        self.targets = separator.targets

    def separate(self, track: Track) -> Iterator[Tensor]:
        mixture = Sources(track, ["mixture"])
        return self.separator.stream(
            lambda start, stop: mixture(start, stop)[0], track.num_samples, exact_seconds=self.exact_seconds
        )


class OracleTest(SeparationTest):
    """Test module that separates tracks with an oracle.

    Args:
        name: name of the oracle, see `oracle.separate`.
        targets: names of the sources to estimate.
        tracks, output: see `SeparationTest`.
    """

    def __init__(self, name: str, targets: Sequence[str], tracks: Sequence[Track], output: EvaluationFolder) -> None:
        super().__init__(tracks, output)
        self.oracle = name
        self.targets = tuple(targets)

    def separate(self, track: Track) -> Iterator[Tensor]:
        mixture, sources = Sources(track, ["mixture"]), Sources(track, self.targets)
        return oracle.separate(self.oracle, lambda start, stop: mixture(start, stop)[0], sources, track.num_samples)


def separator_of(module: Any, **settings: Any) -> Separator:
    """Make a separator from the model that a LightningModule trains, on its device; settings as for `joined.join`."""
    separator: Any = join([module.model], **settings)
    return separator.to(module.device)


MakeTest = Callable[[Sequence[Track], EvaluationFolder], SeparationTest]


class AccompaniedTest(SeparationTest):
    """Test module that keeps one estimate of another module, and sums up all its others to `accompaniment`.

    Args:
        test: the other module.
        source: name of the estimate that is kept.
    """

    def __init__(self, test: SeparationTest, source: str) -> None:
        super().__init__(test.tracks, test.output)
        self.test = test
        self.targets = (source, ACCOMPANIMENT)

    def separate(self, track: Track) -> Iterator[Tensor]:
        position = self.test.targets.index(self.targets[0])
        others = [i for i in range(len(self.test.targets)) if i != position]
        for block in self.test.separate(track):
            yield torch.stack([block[position], block[others].sum(dim=0)])


def in_scenario(make_test: MakeTest, source: str | None) -> MakeTest:
    """Make test modules that estimate a source and its accompaniment; every source when `source` is None."""
    return make_test if source is None else lambda *arguments: AccompaniedTest(make_test(*arguments), source)
