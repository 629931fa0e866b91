"""Evaluation, track by track, inside Lightning's test loop."""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from unmix.data import pcm
from unmix.data.datasets import TrackDataset
from unmix.data.mixing import to_float
from unmix.data.tracks import Track
from unmix.evaluation import report, scores
from unmix.experiments import folder
from unmix.models import streaming
from unmix.models.separator import Separator

log = logging.getLogger(__name__)

MIXTURE = "mixture"  # the method that must be beaten: the mixture divided by the number of sources


@dataclass(frozen=True)
class EvaluationFolder:
    """Where an evaluation's files lie."""

    path: Path

    def store(self, method: str, track: str) -> Path:
        """museval's JSON of a track; `method` is ours or `mixture`."""
        return self.path / (MIXTURE if method == MIXTURE else "tracks") / f"{track}.json"

    def estimate(self, track: str, target: str) -> Path:
        return self.path / "estimates" / track / f"{target}.wav"


class SeparationTest(LightningModule):
    """Lets Lightning's test loop run a separator over whole tracks."""

    def __init__(self, separator: Separator, exact_seconds: float = 900.0) -> None:
        super().__init__()
        self.separator = separator
        self.exact_seconds = exact_seconds

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Estimates (1, sources, channels, samples) of a track; stems arrive as int16."""
        mixture = to_float(batch["mixture"])[0]
        blocks = streaming.separate(
            self.separator, lambda a, b: mixture[:, a:b], mixture.shape[-1], exact_seconds=self.exact_seconds
        )
        return torch.cat([block.cpu() for block in blocks], dim=-1)[None]


class Museval(Callback):
    """Scores every track as soon as it is separated, and the whole when all are done.

    Args:
        tracks: all tracks of the evaluation, also those scored before.
        where: folder of the evaluation; a track whose scores are there already is not separated again.
        method: name of what is evaluated, in tables.
        settings: what reproduces the scores; goes into summary and report.
        save_estimates: also write the estimates as WAV files.
        tell: is told how far it is.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        where: EvaluationFolder,
        *,
        method: str,
        settings: dict[str, Any],
        save_estimates: bool = False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.tracks = tracks
        self.where = where
        self.method = method
        self.settings = settings
        self.save_estimates = save_estimates
        self.tell = tell
        self.unscored = [track for track in tracks if not self._is_scored(track)]

    def dataloader(self, sources: Sequence[str]) -> DataLoader[dict[str, Tensor]]:
        """The tracks that are still to be scored, one a batch."""
        return DataLoader(TrackDataset(self.unscored, ("mixture", *sources)), batch_size=1)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.monotonic()

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: dict[str, Tensor],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        assert isinstance(pl_module, SeparationTest)
        track = self.unscored[batch_idx]
        estimates = _named(outputs[0], pl_module.separator.targets)
        references = {name: to_float(batch[name][0]).cpu().numpy() for name in estimates}
        scaled_mixture = to_float(batch["mixture"][0]).cpu().numpy() / len(estimates)
        methods = {self.method: estimates, MIXTURE: dict.fromkeys(estimates, scaled_mixture)}
        score = partial(scores.score_track, track.name, references, sample_rate=track.sample_rate)
        with ThreadPoolExecutor(len(methods)) as threads:  # museval leaves the interpreter for most of its time
            stores = dict(zip(methods, threads.map(score, methods.values()), strict=True))
        for method, store in stores.items():
            folder.write_atomically(self.where.store(method, track.name), store)
        self._log_track(track, stores[self.method], batch_idx + 1)
        if self.save_estimates:
            for name, estimate in estimates.items():
                path = self.where.estimate(track.name, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                pcm.write(path, estimate, track.sample_rate)

    def finish(self) -> report.Summary:
        """Put the scores of all tracks together: scores.csv, summary.json, boxplot.png, report.html."""
        rows = [
            score
            for method in (self.method, MIXTURE)
            for track in self.tracks
            for score in scores.medians(method, track.name, self.where.store(method, track.name).read_text())
        ]
        summary = report.Summary(self.method, MIXTURE, rows, self.settings)
        report.write(summary, self.where.path)
        return summary

    def _is_scored(self, track: Track) -> bool:
        return all(self.where.store(method, track.name).is_file() for method in (self.method, MIXTURE))

    def _log_track(self, track: Track, store: str, num_done: int) -> None:
        self.tell(f"evaluating, {len(self.tracks) - len(self.unscored) + num_done}/{len(self.tracks)} tracks")
        sdr = "  ".join(f"{row.target} {row.metrics['SDR']:.2f}" for row in scores.medians("", track.name, store))
        remaining = (time.monotonic() - self.started) / num_done * (len(self.unscored) - num_done)
        log.info("[%d/%d] %s: SDR %s (%.0f s to go)", num_done, len(self.unscored), track.name, sdr, remaining)


def evaluate(test: SeparationTest, scorer: Museval, trainer: Trainer) -> report.Summary:
    """Separate and score what is not scored yet, then summarise; `trainer` must have `scorer` among its callbacks."""
    if scorer.unscored:
        log.info("evaluating %d of %d tracks in %s", len(scorer.unscored), len(scorer.tracks), scorer.where.path)
        trainer.test(test, scorer.dataloader(test.separator.targets), verbose=False)
    return scorer.finish()


def _named(estimates: Tensor, targets: Sequence[str]) -> dict[str, npt.NDArray[np.float32]]:
    return dict(zip(targets, estimates.cpu().numpy(), strict=True))
