"""Callbacks for everything but the optimisation itself: reseeding, metrics.csv, throughput, progress, status."""

import csv
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar
from torch.optim import Optimizer

from unmix import checks
from unmix.time_left import in_words, seconds_to_limit
from unmix.training.checkpoints import Checkpoints, finished_epochs, is_within_epoch

log = logging.getLogger(__name__)

TIMING = "time/"  # prefix of metrics that differ from rerun to rerun


class ReseedEveryStep(Callback):
    """Callback that seeds torch from (seed, step, rank) at every step, so that a resumed run draws the same dropout."""

    def __init__(self, seed: int) -> None:
        checks.integer("seed", seed, least=0)
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        # Odd multipliers keep seed, step and rank from coinciding; torch mixes the bits of its seed.
        torch.manual_seed((self.seed * 1_000_003 + trainer.global_step) * 1_009 + trainer.global_rank)


class MetricsCsv(Callback):
    """Callback that appends one row of metrics per epoch to a CSV file; a resumed run first removes later rows.

    Columns are those of the first epoch. Timings are left out, so that two runs of one command write identical files.

    Args:
        path: CSV file.
    Raises:
        ValueError: at the start of training, when the file is not a table of metrics or lacks a finished epoch.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero and self.path.exists():
            self._cut(finished_epochs(trainer))

    def _cut(self, epochs: int) -> None:
        """Remove the rows after the first `epochs` epochs, which an attempt wrote that was killed."""
        header, *rows = self.path.read_text().splitlines(keepends=True) or [""]
        if rows and not rows[-1].endswith("\n"):
            rows.pop()  # incomplete: the process was killed while writing it
        numbers = [row.partition(",")[0] for row in rows]
        first = int(numbers[0]) if numbers and numbers[0].isdecimal() else epochs
        kept = rows[: epochs - first]
        expected = [str(epoch) for epoch in range(first, epochs)]
        if not header.startswith("epoch,step,") or numbers[: len(kept)] != expected or (epochs and not kept):
            raise ValueError(
                f"{self.path}: damaged, it needs a row for each of the {epochs} finished epochs; "
                "remove it to go on without them, or fresh=true starts anew"
            )
        if not kept:
            self.path.unlink()
        elif len(header + "".join(kept)) < self.path.stat().st_size:
            self.path.write_text(header + "".join(kept))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if is_within_epoch(trainer) or not trainer.is_global_zero:
            return
        row: dict[str, Any] = {"epoch": finished_epochs(trainer) - 1, "step": trainer.global_step}
        for name, value in sorted(trainer.callback_metrics.items()):
            if not name.startswith(TIMING) and not name.endswith("_step"):
                row[name] = f"{float(value):.9g}"
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        columns = list(row) if is_new else self.path.read_text().splitlines()[0].split(",")
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())  # the checkpoint that follows must not outlive its row


class Throughput(Callback):
    """Callback that logs an epoch's duration, seconds of audio per second, and share of time waiting for data."""

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()  # a run resumed within an epoch skips `on_train_epoch_start`

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._reset()

    def _reset(self) -> None:
        self.started = self.step_ended = time.monotonic()
        self.samples, self.elapsed, self.waited = 0, 0.0, 0.0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.waited += time.monotonic() - self.step_ended

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batch_size, _, samples = batch["mixture"].shape
        self.samples += batch_size * samples * trainer.world_size
        self.step_ended = time.monotonic()
        self.elapsed = self.step_ended - self.started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        sample_rate = trainer.datamodule.sample_rate  # type: ignore[attr-defined]
        pl_module.log("time/epoch", time.monotonic() - self.started)
        if self.elapsed:
            pl_module.log("time/audio_seconds_per_second", self.samples / sample_rate / self.elapsed, prog_bar=True)
            pl_module.log("time/waiting_for_data", self.waited / self.elapsed)


class GradientNorm(Callback):
    """Callback that logs the 2-norm of all gradients before clipping, at the steps that loggers record."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        interval = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if trainer.loggers and (trainer.global_step + 1) % interval == 0:
            gradients = [weight.grad for weight in pl_module.parameters() if weight.grad is not None]
            pl_module.log("train/gradient_norm_step", torch.nn.utils.get_total_norm(gradients))


class EpochLines(Callback):
    """Callback that logs one line per epoch, and some within a long one: the progress bar for log files and pipes."""

    SECONDS = 300.0  # from one line to the next within an epoch

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.began = self.logged = time.monotonic()
        self.begun = _position(trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        number, num_batches = batch_idx + 1, trainer.num_training_batches
        if time.monotonic() - self.logged > self.SECONDS and number < num_batches:
            self._log(trainer, finished_epochs(trainer) + 1, f", batch {number} of {num_batches}")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        shown = (
            "train/loss",
            "val/loss",
            "val/sdr",
            "time/epoch",
            "time/audio_seconds_per_second",
            "time/waiting_for_data",
        )
        values = {name: trainer.callback_metrics[name] for name in shown if name in trainer.callback_metrics}
        text = "  ".join(f"{name} {float(value):.4g}" for name, value in values.items())
        self._log(trainer, finished_epochs(trainer), metrics=f"  {text}")

    def _log(self, trainer: Trainer, epoch: int, batch: str = "", metrics: str = "") -> None:
        self.logged = time.monotonic()
        limits = [None if limit in (None, -1) else limit for limit in (trainer.max_epochs, trainer.max_steps)]
        left = in_words(seconds_to_limit(self.logged - self.began, self.begun, _position(trainer), limits))
        of_total = "" if limits[0] is None else f" of {limits[0]}"
        if trainer.is_global_zero:
            log.info("epoch %d%s%s%s%s", epoch, of_total, batch, f", {left}" if left else "", metrics)


def _position(trainer: Trainer) -> tuple[float, int]:
    """Epochs, with the share of the one under way, and steps that are done."""
    batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    num_done, num_batches = batches.processed, trainer.num_training_batches
    share = num_done / num_batches if num_done < num_batches else 0.0  # of the last epoch, once it has ended
    return finished_epochs(trainer) + share, trainer.global_step


def progress() -> Callback:
    """Make the callback that shows progress: a bar on a terminal, one line per epoch elsewhere."""
    return TQDMProgressBar() if sys.stderr.isatty() else EpochLines()


class StatusUpdates(Callback):
    """Callback that reports the progress of a run, at most every two seconds within an epoch.

    Args:
        update: called with the keywords epoch, step, best and activity.
        checkpoints: callback that holds the best score.
    """

    SECONDS = 2.0

    def __init__(self, update: Callable[..., None], checkpoints: Checkpoints) -> None:
        self.update = update
        self.checkpoints = checkpoints
        self.updated = 0.0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if time.monotonic() - self.updated > self.SECONDS:
            self._report(trainer, f"batch {batch_idx + 1}/{trainer.num_training_batches}")

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer, "validating")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer, "")

    def _report(self, trainer: Trainer, activity: str) -> None:
        self.updated = time.monotonic()
        best = self.checkpoints.best_score
        self.update(epoch=finished_epochs(trainer), step=trainer.global_step, best=best, activity=activity)
