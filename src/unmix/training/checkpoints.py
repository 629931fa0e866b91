"""Crash-safe checkpoints: written completely or not at all, verified when read, the previous one kept.

Lightning's ModelCheckpoint is not used: it writes in place, forgets the best score when the folder moves, and copies
the best checkpoint as the last one when it keeps only one.
"""

import logging
import math
import time
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io import TorchCheckpointIO
from pytorch_lightning import LightningModule, Trainer
from pytorch_lightning.callbacks import Checkpoint, EarlyStopping

from unmix import checks
from unmix.files import replacing
from unmix.processes import signals
from unmix.weights import checkpoint

log = logging.getLogger(__name__)

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


class SafeCheckpointIO(TorchCheckpointIO):
    """Checkpoint writer that flushes a temporary file and renames it; an existing last.ckpt becomes previous.ckpt."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        previous = path.with_name(PREVIOUS) if path.name == LAST else None
        try:
            with replacing(path, is_durable=True, keep_as=previous) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError when the disk is full
            raise OSError(f"{path}: cannot be written ({error}); the checkpoint before it is intact") from error


class Checkpoints(Checkpoint):
    """Callback that saves best.ckpt at the lowest `monitor`, and last.ckpt after epochs, on a timer and on a signal.

    Args:
        dirpath: folder of the checkpoints.
        monitor: metric to minimise.
        every_minutes: time between two checkpoints within an epoch.

    Raises:
        ValueError: when `every_minutes` is negative or not a number.
        Interrupted: after a signal, once last.ckpt is written.
        ArithmeticError: when a loss or a weight is NaN or infinite; no checkpoint is written.
        OSError: when a checkpoint cannot be written.
    """

    def __init__(self, dirpath: str | Path, *, monitor: str = "val/loss", every_minutes: float = 15.0) -> None:
        checks.number("every_minutes", every_minutes, least=0)
        self.dirpath = Path(dirpath)
        self.monitor = monitor
        self.every_seconds = every_minutes * 60
        self.best_score: float | None = None
        self.stopped_early = False
        self.record: dict[str, Any] = {}  # the run's configuration, identity, data and code
        self.batch = 0  # index of the epoch's next batch

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint_: dict[str, Any]) -> None:
        """Add the key `unmix`: everything needed to use the weights and to resume the run."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint_[checkpoint.KEY] = {
            "schema": checkpoint.SCHEMA,
            **self.record,
            "metrics": metrics,
            "step": trainer.global_step,
            "position": [finished_epochs(trainer), self.batch],
            "stopped_early": self.stopped_early,
            "best_score": self.best_score,
        }

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # After `on_fit_start`, Lightning installs its own handlers, which wait for other ranks: install ours again.
        signals.install()
        self.saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not is_within_epoch(trainer):
            return  # validation comes next; an epoch resumes only before or after it
        is_stopped = _any_rank(trainer, signals.received() is not None)
        is_cut = _is_length_reached(trainer)
        if is_stopped or is_cut or _any_rank(trainer, time.monotonic() - self.saved_at > self.every_seconds):
            self.batch = batch_idx + 1
            self._save(trainer, pl_module, LAST)
        if is_cut:
            trainer.should_stop = True  # makes Lightning validate, which it does not at `max_steps`
        if is_stopped:
            self._stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        losses = {name: float(trainer.callback_metrics[name]) for name in self._checked_losses(trainer)}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise ArithmeticError(_not_finite(f"{name} is {value}", trainer))
        is_complete = not is_within_epoch(trainer)
        if is_complete:
            self.batch, self.stopped_early = 0, _is_stopped_early(trainer)
        score = losses.get(self.monitor)
        if score is not None and (self.best_score is None or score < self.best_score):
            self.best_score = score
            self._save(trainer, pl_module, BEST)
        if is_complete:  # otherwise last.ckpt predates this validation, and the run resumes as if it had not happened
            self._save(trainer, pl_module, LAST)
        if _any_rank(trainer, signals.received() is not None):
            self._stop()

    def _checked_losses(self, trainer: Trainer) -> list[str]:
        return [name for name in ("train/loss", self.monitor) if name in trainer.callback_metrics]

    def _save(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
            raise ArithmeticError(_not_finite("a weight is NaN or infinite", trainer))
        trainer.save_checkpoint(self.dirpath / name)
        self.saved_at = time.monotonic()

    def _stop(self) -> None:
        signum = signals.received()
        raise signals.Interrupted(signals.HANDLED[1] if signum is None else signum)  # None: another rank received it


def finished_epochs(trainer: Trainer) -> int:
    """Count the finished epochs; in end-of-epoch hooks, unlike `current_epoch`, this includes the epoch that ends."""
    processed: int = trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
    return processed


def is_within_epoch(trainer: Trainer) -> bool:
    """Tell whether the epoch has batches left; true in end-of-epoch hooks if `max_steps` or `max_time` cut it short."""
    return not trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def _is_length_reached(trainer: Trainer) -> bool:
    """Tell whether Lightning ends the training after this batch, such as at `max_steps` or `max_time`."""
    loop = trainer.fit_loop
    return loop.epoch_loop._is_training_done or (trainer.should_stop and loop._can_stop_early)


def _is_stopped_early(trainer: Trainer) -> bool:
    """Tell whether early stopping ended the run; `max_time` does not count, as a later command may raise it."""
    return trainer.should_stop and any(
        isinstance(callback, EarlyStopping) and callback.wait_count >= callback.patience
        for callback in trainer.early_stopping_callbacks
    )


def _any_rank(trainer: Trainer, decision: bool) -> bool:
    """Tell whether a decision is true on any rank, so that all ranks save together."""
    if trainer.world_size == 1:
        return decision
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def _not_finite(problem: str, trainer: Trainer) -> str:
    return (
        f"{problem} after step {trainer.global_step}, no checkpoint was written; "
        "lower optimizer.lr, set trainer.gradient_clip_val, or find the operation with debug=anomaly"
    )


def find_resumable(folder: Path) -> checkpoint.Checkpoint | None:
    """Find the newest undamaged checkpoint of a run; None when the run has no checkpoints.

    Args:
        folder: the run's folder of checkpoints.
    Raises:
        ValueError: when all of its checkpoints are damaged.
    """
    damaged: list[str] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            content = _read_verified(path)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            damaged.append(f"{path} is damaged ({error})")
            continue
        if damaged:
            log.warning("%s: resuming from %s", damaged[0], path.name)
        return content
    if damaged:
        raise ValueError(f"{'; '.join(damaged)}: no checkpoint to resume from; fresh=true starts anew")
    return None


def _read_verified(path: Path) -> checkpoint.Checkpoint:
    """Read a checkpoint after verifying the checksum of every record in its zip file."""
    with zipfile.ZipFile(path) as archive:
        if damaged := archive.testzip():
            raise ValueError(f"checksum of {damaged} is wrong")
    return checkpoint.read(path)
