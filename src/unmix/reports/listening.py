"""Callback that logs audio clips and spectrograms of the model during training."""

from typing import Any, cast

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from unmix import checks
from unmix.evaluation import passages
from unmix.evaluation.estimates import Sources
from unmix.evaluation.passages import Passage
from unmix.evaluation.separation import separator_of
from unmix.reports import figures


class Listening(Callback):
    """Callback that logs audio clips of validation tracks every few epochs, to every logger that takes audio.

    A clip is the five seconds of a track in which the target is loudest. Mixture and reference are logged once; the
    estimate, and spectrograms of mixture, reference, estimate and error, every time.

    Args:
        every_n_epochs: number of epochs from one logging to the next, starting with the first epoch; 0 disables.
        num_clips: number of tracks to log, from the start of the validation set.

    Raises:
        ValueError: on negative numbers.
    """

    def __init__(self, every_n_epochs: int = 10, num_clips: int = 4) -> None:
        checks.integer("every_n_epochs", every_n_epochs, least=0)
        checks.integer("num_clips", num_clips, least=0)
        self.every_n_epochs = every_n_epochs
        self.num_clips = num_clips
        self.clips: dict[tuple[str, str], tuple[Tensor, Tensor, int]] = {}  # track, target -> mixture, reference, rate

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loggers: list[Any] = [logger for logger in trainer.loggers if hasattr(logger, "log_clip")]
        if not (loggers and trainer.is_global_zero and self.every_n_epochs):
            return
        if trainer.current_epoch % self.every_n_epochs:
            return
        targets, is_first = list(cast(Any, pl_module).targets), not self.clips
        if is_first:
            tracks = trainer.datamodule.splits.valid[: self.num_clips]  # type: ignore[attr-defined]
            self.clips = {(track.name, name): loudest(track, name) for track in tracks for name in targets}
        for (track, target), (mixture, reference, rate) in self.clips.items():
            estimate = separate(pl_module, mixture)[targets.index(target)]
            name = f"{track}/{target}" if len(targets) > 1 else track
            self._show(loggers, name, Passage(mixture, reference, estimate, rate), trainer.global_step, is_first)

    @staticmethod
    def _show(loggers: list[Any], name: str, passage: Passage, step: int, is_first: bool) -> None:
        picture = figures.png(figures.spectrograms(passage), dpi=80)
        for logger in loggers:
            for stem, waveform in passage.stems.items():
                if is_first or stem == "estimate":
                    logger.log_clip(f"listen/{name}/{stem}", waveform, passage.sample_rate, step)
            logger.log_picture(f"look/{name}", picture, step)


def loudest(track: Any, target: str) -> tuple[Tensor, Tensor, int]:
    """Read the clip of a track in which the target is loudest: mixture, target (channels, samples), sample rate."""
    length = min(track.num_samples, round(passages.SECONDS * track.sample_rate))
    reader = Sources(track, ["mixture", target])
    starts = range(0, track.num_samples - length + 1, length)
    start = max(starts, key=lambda start: float(reader(start, start + length)[1].square().sum()))
    mixture, reference = reader(start, start + length)
    return mixture, reference, track.sample_rate


@torch.no_grad()
def separate(module: LightningModule, mixture: Tensor) -> Tensor:
    """Separate a mixture with the model in training: (channels, samples) -> (targets, channels, samples)."""
    separator = separator_of(module, niter=0)
    return separator(mixture.unsqueeze(0).to(module.device))[0].cpu()
