"""One Open-Unmix per target, its loss and its optimisation, as a LightningModule."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric, SumMetric
from torchmetrics.functional.audio import signal_noise_ratio

from unmix.dsp.stft import Stft
from unmix.dsp.wiener import mixture_phase
from unmix.training.checkpoints import is_within_epoch


class SeparationModule(LightningModule):
    """Learns the magnitude spectrogram of one target from the mixture's.

    Args:
        model: magnitude (batch, channels, bins, frames) -> the target's magnitude.
        stft: uncentred, as in UMX.
        target: name of the source to learn.
        optimizer: parameters -> optimiser.
        scheduler: optimiser -> learning rate schedule, stepped once an epoch.

    Raises:
        ValueError: when model and STFT disagree in the number of bins.
    """

    def __init__(
        self,
        model: nn.Module,
        stft: Stft,
        *,
        target: str,
        optimizer: Callable[[Iterator[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
    ) -> None:
        super().__init__()
        num_bins = getattr(model, "num_bins", stft.num_bins)
        if num_bins != stft.num_bins:
            raise ValueError(
                f"model.num_bins: got {num_bins}, stft.fft_size={stft.fft_size} has {stft.num_bins} bins: set both"
            )
        self.model = model
        self.stft = stft
        self.target = target
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        # "disable": a loss that is no number must be seen, not left out of the mean.
        self.train_loss, self.val_loss, self.val_sdr = (MeanMetric(nan_strategy="disable") for _ in range(3))
        self.val_sdr_tracks = SumMetric()

    def forward(self, mixture: Tensor) -> Tensor:
        """Magnitude of the target: (batch, channels, samples) -> (batch, channels, bins, frames)."""
        return self.model(self.stft(mixture).abs())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        estimate = self(batch["mixture"])
        loss = mse_loss(estimate, self.stft(batch[self.target]).abs())
        self.train_loss.update(loss.detach())
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        return loss

    def on_validation_start(self) -> None:
        """Every rank validates with the BatchNorm statistics of the first, which are the ones that are saved."""
        if self.trainer.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """One whole track: UMX's loss, and the SDR of the estimate with the mixture's phase."""
        reference = batch[self.target]
        mixture = self.stft(batch["mixture"])
        estimate = self.model(mixture.abs())
        self.val_loss.update(mse_loss(estimate, self.stft(reference).abs()))
        waveform = self.stft.inverse_inner(mixture_phase(estimate.unsqueeze(1), mixture).squeeze(1))
        start = self.stft.fft_size
        inner = reference[..., start : start + waveform.shape[-1]]
        if inner.abs().max() > 0:  # the SDR of silence is not defined
            self.val_sdr.update(signal_noise_ratio(waveform.flatten(), inner.flatten()))
            self.val_sdr_tracks.update(1)

    def on_validation_epoch_end(self) -> None:
        values, num_tracks = {"val/loss": self.val_loss.compute()}, self.val_sdr_tracks.compute()
        if num_tracks > 0:
            values["val/sdr"] = self.val_sdr.compute()
        self.log_dict(values, prog_bar=True)
        self.log("val/sdr_tracks", num_tracks)
        for metric in (self.val_loss, self.val_sdr, self.val_sdr_tracks):
            metric.reset()

    def configure_optimizers(self) -> Any:
        optimizer = self.make_optimizer(self.parameters())
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.make_scheduler(optimizer), "monitor": "val/loss"},
        }

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Nothing: Lightning would step after the epoch's checkpoint, and a resumed run would lose the step."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Within an epoch, also its mean loss so far, of all ranks."""
        with self.train_loss.sync_context():
            checkpoint["train_loss"] = [self.train_loss.mean_value.item(), self.train_loss.weight.item()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        _, batch = checkpoint["unmix"]["position"]
        if batch > 0 and self.global_rank == 0:
            mean, weight = checkpoint["train_loss"]
            self.train_loss.mean_value.fill_(mean)
            self.train_loss.weight.fill_(weight)
            self.train_loss._update_count = 1

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self.log("lr", self.trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_epoch_end(self) -> None:
        if is_within_epoch(self.trainer):
            return
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics["val/loss"])
        elif isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler):
            scheduler.step()
