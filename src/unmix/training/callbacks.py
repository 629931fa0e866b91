"""What happens beside the optimisation: reseeding, metrics.csv, throughput, progress, provenance."""

import csv
import logging
import sys
import time
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import TQDMProgressBar

from unmix.models import checkpoint

log = logging.getLogger(__name__)

TIMING = "time/"  # metrics that no rerun repeats


class ReseedEveryStep(Callback):
    """Dropout as a pure function of (seed, step, rank), so that a run resumed within an epoch draws the same."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        # Odd multipliers keep the three apart; torch mixes the bits of what it gets.
        torch.manual_seed((self.seed * 1_000_003 + trainer.global_step) * 1_009 + trainer.global_rank)


class MetricsCsv(Callback):
    """One row of metrics an epoch, appended to a file that a resumed run goes on with.

    Columns are those of the first epoch. Times are left out: two runs of one command write the same bytes.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        row: dict[str, Any] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        for name, value in sorted(trainer.callback_metrics.items()):
            if not name.startswith(TIMING) and not name.endswith("_step"):
                row[name.removesuffix("_epoch")] = f"{float(value):.9g}"
        is_new = not self.path.exists()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        columns = list(row) if is_new else self.path.read_text().splitlines()[0].split(",")
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
            if is_new:
                writer.writeheader()
            writer.writerow(row)


class Throughput(Callback):
    """Seconds of training audio per second of an epoch, and the time the epoch took."""

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started, self.samples = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        batch_size, _, samples = batch["mixture"].shape
        self.samples += batch_size * samples * trainer.world_size
        self.elapsed = time.monotonic() - self.started

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        sample_rate = trainer.datamodule.sample_rate  # type: ignore[attr-defined]
        pl_module.log("time/epoch", time.monotonic() - self.started)
        pl_module.log("time/audio_seconds_per_second", self.samples / sample_rate / self.elapsed, prog_bar=True)


class EpochLines(Callback):
    """A line per epoch, for logs and pipes, where a progress bar is noise."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        shown = ("train/loss_epoch", "val/loss", "val/sdr", "time/epoch", "time/audio_seconds_per_second")
        values = {name: trainer.callback_metrics[name] for name in shown if name in trainer.callback_metrics}
        text = "  ".join(f"{name.removesuffix('_epoch')} {float(value):.4g}" for name, value in values.items())
        last = "" if trainer.max_epochs in (None, -1) else f"/{trainer.max_epochs}"
        log.info("epoch %d%s  %s", trainer.current_epoch + 1, last, text)


def progress() -> Callback:
    """A progress bar on a terminal, lines elsewhere."""
    return TQDMProgressBar() if sys.stderr.isatty() else EpochLines()


class Provenance(Callback):
    """Writes the key `unmix` into every checkpoint, so that using one needs no training override again."""

    def __init__(self, record: dict[str, Any]) -> None:
        self.record = record

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint_: dict[str, Any]) -> None:
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        checkpoint_[checkpoint.KEY] = {"schema": checkpoint.SCHEMA, **self.record, "metrics": metrics}
