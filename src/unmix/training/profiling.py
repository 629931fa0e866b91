"""Callbacks that measure a training step: where its time goes, and how large a batch fits."""

import logging
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from pytorch_lightning.callbacks import BatchSizeFinder
from torch.profiler import ProfilerActivity, profile, schedule

from unmix import checks
from unmix.errors import counted

log = logging.getLogger(__name__)


class Profile(Callback):
    """Callback that profiles a few steps of the first epoch; chrome://tracing and ui.perfetto.dev show the trace.

    Args:
        folder: folder for `trace.json` and `trace.txt` (a table of operations).
        skipped: number of steps before the recording, in which libraries choose algorithms and caches fill.
        recorded: number of steps to record.

    Raises:
        ValueError: on a number out of range.
    """

    def __init__(self, folder: str | Path, *, skipped: int = 5, recorded: int = 3) -> None:
        checks.integer("skipped", skipped, least=0)
        checks.counts(recorded=recorded)
        self.folder = Path(folder)
        self.recorded = recorded
        self.is_done = False
        activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
        self.profile = profile(
            activities=activities,
            schedule=schedule(wait=max(0, skipped - 1), warmup=1, active=recorded, repeat=1),
            on_trace_ready=self._write,
            record_shapes=True,
        )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.profile.start()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not self.is_done:
            self.profile.step()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not self.is_done:
            self.profile.stop()  # the epoch was short: this writes the steps recorded so far

    def _write(self, recorded: profile) -> None:
        self.is_done = True
        recorded.export_chrome_trace(str(self.folder / "trace.json"))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        table = recorded.key_averages().table(
            sort_by=f"self_{device}_time_total", row_limit=15, max_name_column_width=50
        )
        (self.folder / "trace.txt").write_text(table)
        log.info("%s by operation (trace: %s):\n%s", counted(self.recorded, "step"), self.folder / "trace.json", table)


class LargestBatch(BatchSizeFinder):
    """Lightning's BatchSizeFinder, which also logs the batch size it finds."""

    DEVICES = ("cuda",)  # a CPU's batches grow until the machine has no memory left for anything else

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find the size; raises ValueError without a GPU."""
        if (device := trainer.strategy.root_device.type) not in self.DEVICES:
            raise ValueError(f"debug=batch_size: got the device {device}, a GPU is needed, whose memory it measures")
        super().on_fit_start(trainer, pl_module)
        log.info("largest batch that fits: data.batch_size=%s", self.optimal_batch_size)
