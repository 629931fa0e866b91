"""museval's ratios while a network learns, beside its loss."""

import tempfile
from pathlib import Path

import torch
from pytorch_lightning import Callback, LightningModule, Trainer

from unmix.evaluation import scores
from unmix.evaluation.estimates import RESIDUAL, Estimates, Sources
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import NetworksTest, separator_of
from unmix.evaluation.table import METRICS


class MusevalInTraining(Callback):
    """Scores the network every few epochs on validation tracks, with what its estimate leaves of the mixture.

    BSS Eval needs all sources; the others are one here, so that these scores are not those of four networks: they tell
    epochs apart. Medians over windows, then tracks, are logged as `museval/sdr`, `museval/sir`, ...

    Args:
        every_n_epochs: the first, and every so many; 0 is never.
        num_tracks: the first ones of the validation set.

    Raises:
        ValueError: on numbers that are too small.
    """

    def __init__(self, every_n_epochs: int = 0, num_tracks: int = 4) -> None:
        if every_n_epochs < 0:
            raise ValueError(f"callbacks.museval.every_n_epochs: got {every_n_epochs}, allowed 0 (never) or more")
        if num_tracks < 1:
            raise ValueError(f"callbacks.museval.num_tracks: got {num_tracks}, at least 1 is needed")
        self.every_n_epochs = every_n_epochs
        self.num_tracks = num_tracks

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        names = [f"museval/{metric.lower()}" for metric in METRICS]
        for name in names:
            trainer.callback_metrics.pop(name, None)  # of an earlier epoch
        if not self.every_n_epochs or trainer.current_epoch % self.every_n_epochs:
            return
        if trainer.is_global_zero:
            found = self._score(trainer, pl_module)
            for name, metric in zip(names, METRICS, strict=True):
                pl_module.log(name, found[metric], rank_zero_only=True)
        trainer.strategy.barrier()

    @torch.no_grad()
    def _score(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, float]:
        """Metric -> dB."""
        tracks = trainer.datamodule.splits.valid[: self.num_tracks]  # type: ignore[attr-defined]
        target, separator = str(pl_module.target), separator_of(pl_module, tracks[0].sample_rate, residual=True)
        rows = []
        with tempfile.TemporaryDirectory(prefix="unmix-") as folder:
            test = NetworksTest(separator, tracks, EvaluationFolder(Path(folder)))
            for track in tracks:
                estimates = Estimates(test.where.under_way(track.name), 2, track.num_channels)
                estimates.write(test.separate(track))
                store = scores.score_track(
                    track.name,
                    test.targets,
                    Sources(track, [target, RESIDUAL]),
                    estimates,
                    track.num_samples,
                    sample_rate=track.sample_rate,
                    device=pl_module.device,
                )
                rows += [row for row in scores.medians("", track.name, store) if row.target == target]
        return scores.summarize(rows)[""][target]
