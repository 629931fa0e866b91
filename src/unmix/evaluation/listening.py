"""Clips and spectrograms of a network that learns, for whoever watches."""

from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from unmix.evaluation import figures, passages
from unmix.evaluation.estimates import Sources
from unmix.evaluation.passages import Passage
from unmix.evaluation.separation import separator_of


class Listening(Callback):
    """Every few epochs, to every logger that shows them: a few seconds of validation tracks.

    Of each track the five seconds in which the target is loudest; mixture and reference once, the estimate (magnitude
    of the network, phase of the mixture) and the picture of all three and the error every time.

    Args:
        every_n_epochs: the first, and every so many; 0 is never.
        num_clips: the first tracks of the validation set.

    Raises:
        ValueError: on negative numbers.
    """

    def __init__(self, every_n_epochs: int = 10, num_clips: int = 4) -> None:
        for name, value in (("every_n_epochs", every_n_epochs), ("num_clips", num_clips)):
            if value < 0:
                raise ValueError(f"callbacks.listening.{name}: got {value}, allowed 0 or more")
        self.every_n_epochs = every_n_epochs
        self.num_clips = num_clips
        self.clips: dict[str, tuple[Tensor, Tensor, int]] = {}  # track -> mixture, reference, rate

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        boards: list[Any] = [one for one in trainer.loggers if hasattr(one, "log_clip")]
        if not (boards and trainer.is_global_zero and self.every_n_epochs):
            return
        if trainer.current_epoch % self.every_n_epochs:
            return
        is_first = not self.clips
        if is_first:
            tracks = trainer.datamodule.splits.valid[: self.num_clips]  # type: ignore[attr-defined]
            self.clips = {track.name: loudest(track, str(pl_module.target)) for track in tracks}
        step = trainer.global_step
        for name, (mixture, reference, rate) in self.clips.items():
            passage = Passage(mixture, reference, separate(pl_module, mixture, rate), rate)
            picture = figures.png(figures.spectrograms(passage), dpi=80)
            for board in boards:
                for stem, waveform in passage.stems.items():
                    if is_first or stem == "estimate":
                        board.log_clip(f"listen/{name}/{stem}", waveform, rate, step)
                board.log_picture(f"look/{name}", picture, step)


def loudest(track: Any, target: str) -> tuple[Tensor, Tensor, int]:
    """Mixture and target where the target is loudest, `passages.SECONDS` long; and the rate."""
    length = min(track.num_samples, round(passages.SECONDS * track.sample_rate))
    reader = Sources(track, ["mixture", target])
    starts = range(0, track.num_samples - length + 1, length)
    start = max(starts, key=lambda one: float(reader(one, one + length)[1].square().sum()))
    mixture, reference = reader(start, start + length)
    return mixture, reference, track.sample_rate


@torch.no_grad()
def separate(module: LightningModule, mixture: Tensor, sample_rate: int) -> Tensor:
    """The target's estimate, (channels, samples) as the mixture."""
    separator = separator_of(module, sample_rate, niter=0)
    return separator(mixture.unsqueeze(0).to(module.device))[0, 0].cpu()
