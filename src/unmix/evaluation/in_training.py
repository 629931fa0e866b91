"""Callback that logs BSS Eval scores of the model during training."""

import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from unmix import checks
from unmix.evaluation import scores, track_scoring
from unmix.evaluation.engines import BssEval
from unmix.evaluation.estimates import RESIDUAL, Estimates, Sources
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import ModelsTest, separator_of


class MusevalInTraining(Callback):
    """Scores the model on validation tracks every few epochs.

    BSS Eval needs all sources. Those that the model does not estimate are summed to one source, whose estimate is the
    mixture minus the model's estimates, so the scores can compare epochs but not separators. Logged as `museval/sdr`,
    `museval/sir`, ...: the median over windows, then the median over tracks, then the mean over targets; with several
    targets also `museval/<target>/sdr`, ...

    Args:
        every_n_epochs: number of epochs from one scoring to the next, starting with the first epoch; 0 disables.
        num_tracks: number of tracks to score, from the start of the validation set.

    Raises:
        ValueError: on a negative `every_n_epochs` or `num_tracks` below 1.
    """

    def __init__(self, every_n_epochs: int = 0, num_tracks: int = 4) -> None:
        checks.integer("every_n_epochs", every_n_epochs, least=0)
        checks.counts(num_tracks=num_tracks)
        self.every_n_epochs = every_n_epochs
        self.num_tracks = num_tracks

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for name in [name for name in trainer.callback_metrics if name.startswith("museval/")]:
            del trainer.callback_metrics[name]  # scores of an earlier epoch
        if not self.every_n_epochs or trainer.current_epoch % self.every_n_epochs:
            return
        if trainer.is_global_zero:
            scores_by_target = self._score(trainer, pl_module)
            for metric in METRICS:
                values = {target: values[metric] for target, values in scores_by_target.items()}
                pl_module.log(f"museval/{metric.lower()}", fmean(values.values()), rank_zero_only=True)
                for target, value in values.items() if len(values) > 1 else ():
                    pl_module.log(f"museval/{target}/{metric.lower()}", value, rank_zero_only=True)
        trainer.strategy.barrier()

    @torch.no_grad()
    def _score(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, dict[str, float]]:
        """Separate and score the validation tracks: target -> metric -> dB."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        targets = list(cast(Any, pl_module).targets)
        has_residual = len(targets) < len(data.sources)
        tracks = data.splits.valid[: self.num_tracks]
        separator, rows = separator_of(pl_module, residual=has_residual), []
        with tempfile.TemporaryDirectory(prefix="unmix-") as folder:
            test = ModelsTest(separator, tracks, EvaluationFolder(Path(folder)))
            for track in tracks:
                estimates = Estimates(test.output.under_way(track.name), len(test.targets), track.num_channels)
                estimates.write(test.separate(track))
                (store,) = track_scoring.score_track(
                    track.name,
                    test.targets,
                    Sources(track, [*targets, RESIDUAL] if has_residual else targets),
                    [estimates],
                    track.num_samples,
                    sample_rate=track.sample_rate,
                    chosen=[BssEval()],
                    device=pl_module.device,
                )
                rows += [row for row in scores.of_track("", track.name, store) if row.target in targets]
        return scores.summarize(rows)[""]
