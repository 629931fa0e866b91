"""Separation of whole tracks inside Lightning's test loop: by models, or by means of the true sources."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pytorch_lightning import LightningModule
from torch import Tensor
from torch.utils.data import DataLoader

from unmix.data.tracks import Track
from unmix.evaluation import oracle
from unmix.evaluation.estimates import Estimates, Sources
from unmix.evaluation.scoring import EvaluationFolder
from unmix.models.contract import Separator
from unmix.models.joined import join


class SeparationTest(LightningModule, ABC):
    """Lets Lightning's test loop separate whole tracks.

    Args:
        tracks: batches are positions in it.
        where: folder of the evaluation.
    """

    targets: tuple[str, ...]  # in the order of the estimates

    def __init__(self, tracks: Sequence[Track], where: EvaluationFolder) -> None:
        super().__init__()
        self.tracks = tracks
        self.where = where

    @abstractmethod
    def separate(self, track: Track) -> Iterator[Tensor]:
        """Estimates in blocks, (sources, channels, samples)."""

    def test_dataloader(self) -> DataLoader[int]:
        """One track a batch, the tracks shared out among ranks without padding."""
        shard = range(self.trainer.global_rank, len(self.tracks), self.trainer.world_size)
        return DataLoader(shard, batch_size=1)  # type: ignore[arg-type]

    def test_step(self, batch: Tensor, batch_idx: int) -> dict[str, Estimates]:
        """Estimates of a track, on disk."""
        track = self.tracks[int(batch)]
        estimates = Estimates(self.where.under_way(track.name), len(self.targets), track.num_channels)
        num_samples = estimates.write(self.separate(track))
        if num_samples != track.num_samples:
            raise ValueError(f"{track.name}: got estimates of {num_samples} samples, the track has {track.num_samples}")
        return {"estimates": estimates}


class ModelsTest(SeparationTest):
    """Separates tracks by trained models.

    Args:
        separator: see `models.joined.join`.
        tracks, where: see `SeparationTest`.
        exact_seconds: see `Separator.stream`.

    Raises:
        ValueError: when a track has another rate, or another number of channels, than the models were trained on.
    """

    def __init__(
        self, separator: Separator, tracks: Sequence[Track], where: EvaluationFolder, exact_seconds: float = 900.0
    ) -> None:
        super().__init__(tracks, where)
        for track in tracks:
            got, known = (track.sample_rate, track.num_channels), (separator.sample_rate, separator.num_channels)
            if got != known:
                raise ValueError(
                    f"data: {track.name} has {got[0]} Hz and {got[1]} channels, the models were trained on "
                    f"{known[0]} Hz and {known[1]}; name data like that (src/separate.py converts, this does not)"
                )
        self.separator: Any = separator  # a module of PyTorch's too, so that Lightning moves it to the device
        self.exact_seconds = exact_seconds
        self.targets = separator.targets

    def separate(self, track: Track) -> Iterator[Tensor]:
        mixture = Sources(track, ["mixture"])
        return self.separator.stream(
            lambda start, stop: mixture(start, stop)[0], track.num_samples, exact_seconds=self.exact_seconds
        )


class OracleTest(SeparationTest):
    """Separates tracks by means of the true sources; see `oracle.separate`."""

    def __init__(self, name: str, targets: Sequence[str], tracks: Sequence[Track], where: EvaluationFolder) -> None:
        super().__init__(tracks, where)
        self.oracle = name
        self.targets = tuple(targets)

    def separate(self, track: Track) -> Iterator[Tensor]:
        mixture, sources = Sources(track, ["mixture"]), Sources(track, self.targets)
        return oracle.separate(self.oracle, lambda start, stop: mixture(start, stop)[0], sources, track.num_samples)


def separator_of(module: Any, **settings: Any) -> Separator:
    """Make a separator of the model in training alone; settings as in `models.joined.join`."""
    separator: Any = join([module.model], **settings)
    return separator.to(module.device)


MakeTest = Callable[[Sequence[Track], EvaluationFolder], SeparationTest]
