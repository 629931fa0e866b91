"""The LightningModule that trains a model: its objective, its optimiser and what it logs."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torchmetrics import MeanMetric, SumMetric
from torchmetrics.functional.audio import signal_noise_ratio

from unmix.models import contract
from unmix.training.checkpoints import is_within_epoch
from unmix.training.objectives import Losses, Validation
from unmix.training.schedules import migrated_state

Batch = dict[str, Tensor]


class SeparationModule(LightningModule):
    """LightningModule for any model and any objective.

    Args:
        model: see `contract.SourceSeparator`.
        objective: (model, mixture, sources) -> losses by name, see `objectives`.
        optimizer: parameters -> optimiser.
        scheduler: optimiser -> learning rate schedule, stepped once per epoch.

    Raises:
        ValueError: when `model` does not keep the contract, or the objective cannot train it.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Callable[..., Losses],
        *,
        optimizer: Callable[[Iterator[nn.Parameter]], Optimizer],
        scheduler: Callable[[Optimizer], LRScheduler],
    ) -> None:
        super().__init__()
        contract.check(model)
        if hasattr(objective, "check"):
            objective.check(model)
        self.model: Any = model
        self.objective = objective
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        # "disable": a NaN loss must show in the mean, not be left out of it.
        self.train_loss, self.val_loss, self.val_sdr = (MeanMetric(nan_strategy="disable") for _ in range(3))
        self.val_sdr_tracks = SumMetric()

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the sources that the model estimates."""
        return tuple(self.model.targets)

    @property
    def validation_sources(self) -> tuple[str, ...]:
        """Sources that validation reads: all, or the targets alone when the objective declares `needs_targets_only`."""
        if getattr(self.objective, "needs_targets_only", False):
            return self.targets
        return tuple(self.trainer.datamodule.sources)  # type: ignore[attr-defined]

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the targets: (batch, channels, samples) -> (batch, targets, channels, samples)."""
        return self.model(mixture)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        losses = self.objective(self.model, batch["mixture"], sources_of(batch))
        loss = total(losses)
        self.train_loss.update(loss.detach())
        self.log("train/loss_step", loss, on_step=True, on_epoch=False, prog_bar=True)
        self.log("train/loss", self.train_loss, on_step=False, on_epoch=True)
        if len(losses) > 1:
            self.log_dict({f"train/{name}_step": value.detach() for name, value in losses.items()})
        return loss

    def on_validation_start(self) -> None:
        """Copy the first rank's BatchNorm statistics, which checkpoints hold, to every rank."""
        if self.trainer.world_size > 1:
            for buffer in self.model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add a track's loss, and the SDR of each target that is not silent in it, to the epoch's means."""
        sources = sources_of(batch)
        losses, estimates, start = self._validate(batch["mixture"], sources)
        self.val_loss.update(total(losses))
        for position, target in enumerate(self.targets):
            reference = sources[target][..., start : start + estimates.shape[-1]]
            if reference.abs().max() > 0:  # the SDR of silence is undefined
                self.val_sdr.update(signal_noise_ratio(estimates[:, position].flatten(), reference.flatten()))
                self.val_sdr_tracks.update(1)

    def _validate(self, mixture: Tensor, sources: Batch) -> Validation:
        """Validate one track: by the objective's `validate` if it has one, else in pieces, to bound the memory."""
        if hasattr(self.objective, "validate"):
            return self.objective.validate(self.model, mixture, sources)
        num_samples, piece = mixture.shape[-1], contract.chunk_samples(self.model)
        starts = [piece * index for index in range(max(1, num_samples // piece))]  # the last piece takes the rest
        estimates, losses, weights = [], [], []
        for start, end in zip(starts, [*starts[1:], num_samples], strict=True):
            part = {name: samples[..., start:end] for name, samples in sources.items()}
            losses.append(total(self.objective(self.model, mixture[..., start:end], part)))
            estimates.append(contract.estimate(self.model, mixture[..., start:end]))
            weights.append((end - start) / num_samples)
        mean = reduce(torch.add, [loss * weight for loss, weight in zip(losses, weights, strict=True)])
        return Validation({"loss": mean}, torch.cat(estimates, dim=-1), 0)

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
        """Do nothing: `on_train_epoch_end` steps the scheduler, so that the epoch's checkpoint contains that step."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the mean loss of the epoch so far, over all ranks, so that a run can resume within the epoch."""
        with self.train_loss.sync_context():
            checkpoint["train_loss"] = [self.train_loss.mean_value.item(), self.train_loss.weight.item()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        states = checkpoint.get("lr_schedulers", [])
        checkpoint["lr_schedulers"] = [migrated_state(state, self.make_scheduler) for state in states]
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


def sources_of(batch: Batch) -> Batch:
    """Select the sources of a batch: everything but the mixture, by name."""
    return {name: samples for name, samples in batch.items() if name != "mixture"}


def total(losses: Losses) -> Tensor:
    """Add up all losses of an objective."""
    return reduce(torch.add, losses.values())
