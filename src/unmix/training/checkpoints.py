"""Checkpoints that survive: written whole or not at all, checked when read, with the one before kept.

Lightning's own callback is not used: it copies the best checkpoint as the last one when it keeps one, forgets the best
score when the folder moved, and writes in place.
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

from unmix.files import replacing
from unmix.processes import signals
from unmix.weights import checkpoint

log = logging.getLogger(__name__)

BEST, LAST, PREVIOUS = "best.ckpt", "last.ckpt", "previous.ckpt"


class SafeCheckpointIO(TorchCheckpointIO):
    """Writes to a temporary file, has it stored, and renames; the last checkpoint becomes `previous.ckpt`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.with_name(PREVIOUS) if path.name == LAST else None
        try:
            with replacing(path, is_durable=True, keep_as=before) as partial, partial.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError when the disk is full
            raise OSError(f"{path}: could not be written ({error}); the checkpoint before it is whole") from error


class Checkpoints(Checkpoint):
    """best.ckpt at the lowest `monitor`; last.ckpt every epoch, every so many minutes, and where a run is stopped.

    Args:
        dirpath: folder.
        monitor: metric to minimise.
        every_minutes: between two checkpoints within an epoch.

    Raises:
        Interrupted: when a signal came in, after last.ckpt was written.
        ArithmeticError: when a loss or a weight is no longer finite; nothing is written then.
        OSError: when the file cannot be written.
    """

    def __init__(self, dirpath: str | Path, *, monitor: str = "val/loss", every_minutes: float = 15.0) -> None:
        self.dirpath = Path(dirpath)
        self.monitor = monitor
        self.every_seconds = every_minutes * 60
        self.best_score: float | None = None
        self.stopped_early = False
        self.record: dict[str, Any] = {}  # of the run: its configuration, identity, data and code
        self.batch = 0  # of the epoch, that comes next

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_score = state_dict["best_score"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint_: dict[str, Any]) -> None:
        """Write the key `unmix`: all there is to know to use the weights, and to go on."""
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
        # Lightning has put its own over them after `on_fit_start`, which waits for other ranks from within a handler.
        signals.install()
        self.saved_at = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not is_within_epoch(trainer):
            return  # validation comes next, and only after it can an epoch be resumed
        is_stopped = _any_rank(trainer, signals.received() is not None)
        is_cut = _is_length_reached(trainer)
        if is_stopped or is_cut or _any_rank(trainer, time.monotonic() - self.saved_at > self.every_seconds):
            self.batch = batch_idx + 1
            self._save(trainer, pl_module, LAST)
        if is_cut:
            trainer.should_stop = True  # Lightning validates then, which it does not for `max_steps`
        if is_stopped:
            self._stop()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        losses = {name: float(trainer.callback_metrics[name]) for name in self._watched(trainer)}
        for name, value in losses.items():
            if not math.isfinite(value):
                raise ArithmeticError(_not_finite(f"{name} is {value}", trainer))
        is_whole = not is_within_epoch(trainer)
        if is_whole:
            self.batch, self.stopped_early = 0, _is_stopped_early(trainer)
        score = losses.get(self.monitor)
        if score is not None and (self.best_score is None or score < self.best_score):
            self.best_score = score
            self._save(trainer, pl_module, BEST)
        if is_whole:  # else last.ckpt is of before this validation, and goes on as if there had been none
            self._save(trainer, pl_module, LAST)
        if _any_rank(trainer, signals.received() is not None):
            self._stop()

    def _watched(self, trainer: Trainer) -> list[str]:
        return [name for name in ("train/loss", self.monitor) if name in trainer.callback_metrics]

    def _save(self, trainer: Trainer, module: LightningModule, name: str) -> None:
        if not all(bool(weight.isfinite().all()) for weight in module.parameters()):
            raise ArithmeticError(_not_finite("a weight is no number", trainer))
        trainer.save_checkpoint(self.dirpath / name)
        self.saved_at = time.monotonic()

    def _stop(self) -> None:
        signum = signals.received()
        raise signals.Interrupted(signals.HANDLED[1] if signum is None else signum)  # None: another rank's signal


def finished_epochs(trainer: Trainer) -> int:
    """Also right within the hooks of an epoch's end, where `current_epoch` still counts it as running."""
    processed: int = trainer.fit_loop.epoch_progress.current.processed  # type: ignore[attr-defined]
    return processed


def is_within_epoch(trainer: Trainer) -> bool:
    """Whether batches of the epoch are left; also at its end, when `max_steps` or `max_time` cut it."""
    return not trainer.fit_loop.epoch_loop._num_ready_batches_reached()


def _is_length_reached(trainer: Trainer) -> bool:
    loop = trainer.fit_loop
    return loop.epoch_loop._is_training_done or (trainer.should_stop and loop._can_stop_early)


def _is_stopped_early(trainer: Trainer) -> bool:
    """By early stopping; `max_time` stops a trainer too, but with more time the run goes on."""
    return trainer.should_stop and any(
        isinstance(one, EarlyStopping) and one.wait_count >= one.patience for one in trainer.early_stopping_callbacks
    )


def _any_rank(trainer: Trainer, decision: bool) -> bool:
    """Whether any rank says so; all must save together or none."""
    if trainer.world_size == 1:
        return decision
    return trainer.strategy.reduce_boolean_decision(decision, all=False)


def _not_finite(what: str, trainer: Trainer) -> str:
    return (
        f"{what} after step {trainer.global_step}, no checkpoint was written; "
        "lower optimizer.lr, set trainer.gradient_clip_val, or find the operation with debug=anomaly"
    )


def find_resumable(folder: Path) -> checkpoint.Checkpoint | None:
    """The newest whole checkpoint of a run; None when the run has none.

    Raises:
        ValueError: when there are files, but none of them is whole.
    """
    damaged: list[str] = []
    for path in (folder / LAST, folder / PREVIOUS):
        if not path.is_file():
            continue
        try:
            content = _read_whole(path)
        except (ValueError, OSError, zipfile.BadZipFile) as error:
            damaged.append(f"{path} is damaged ({error})")
            continue
        if damaged:
            log.warning("%s: going on from %s", damaged[0], path.name)
        return content
    if damaged:
        raise ValueError(f"{'; '.join(damaged)}: no checkpoint to go on from; fresh=true starts anew")
    return None


def _read_whole(path: Path) -> checkpoint.Checkpoint:
    """A checkpoint is a zip file: each of its records carries a checksum, and all of them are looked at."""
    with zipfile.ZipFile(path) as archive:
        if bad := archive.testzip():
            raise ValueError(f"checksum of {bad} is wrong")
    return checkpoint.read(path)
