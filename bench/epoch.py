"""An epoch of `experiment=umxhq`, data and validation included, as train.py runs it: `make bench-epoch`.

On a GPU the published recipe: 86 tracks to train on, 344 steps of 16 x 6 s, and 14 of four minutes to validate on, all
of noise (tracks to train on are short: what a step costs does not depend on their length). On a CPU a small part of it,
to see that it runs. The first epoch is left out. Published for UMX: 80 s an epoch on an RTX 2080.
"""

import json
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch.profiler import ProfilerActivity, profile

from unmix.composition import compose
from unmix.data.memory import keep_freed_memory
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES
from unmix.runs.build import make_datamodule, make_module
from unmix.training.callbacks import Throughput
from unmix.training.trainer import make_trainer

CUDA = torch.cuda.is_available()
TRAINED_ON, VALIDATED_ON, VALIDATION_SECONDS = (86, 14, 240) if CUDA else (4, 2, 30)
STEPS: int | None = None if CUDA else 4
RATE, EPOCHS = 44100, 3
SETTINGS = {
    "as published": [],
    "TF32": ["trainer.matmul_precision=high"],
    "bf16-mixed": ["trainer.precision=bf16-mixed"],
    "bf16-mixed, fused Adam": ["trainer.precision=bf16-mixed", "optimizer.fused=true"],
}


class Stamps(Callback):
    """Seconds of steps and of validation, by epoch; the GPU's share of the last epoch's steps."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation: list[float] = []
        self.busy = float("nan")

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = now()
        self.profile = (
            profile(activities=[ProfilerActivity.CUDA]) if CUDA and trainer.current_epoch == EPOCHS - 1 else None
        )
        if self.profile is not None:
            self.profile.start()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.steps.append(now() - self.started)
        if self.profile is not None:
            self.profile.stop()
            kernels = sum(event.self_device_time_total for event in self.profile.key_averages())
            self.busy = kernels / 1e6 / self.steps.pop()  # of the epoch that was slowed by watching it
        self.started = now()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validation.append(now() - self.started)


def now() -> float:
    """Seconds, after what the device still had to do."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def write_tree(root: Path) -> None:
    """Noise, in the shape of MUSDB18-HQ."""
    generator = np.random.default_rng(0)
    names = {f"Track {i}": 20 for i in range(TRAINED_ON)}
    names |= dict.fromkeys(MUSDB_VALIDATION_TRACKS[:VALIDATED_ON], VALIDATION_SECONDS)
    for name, seconds in names.items():
        (root / "train" / name).mkdir(parents=True)
        noise = generator.integers(-3000, 3000, (seconds * RATE, 2)).astype(np.int16)
        for i, stem in enumerate((*SOURCES, "mixture")):
            soundfile.write(root / "train" / name / f"{stem}.wav", np.roll(noise, i), RATE, subtype="PCM_16")


def run(root: Path, overrides: list[str]) -> Stamps:
    """Some epochs of training."""
    held_out = json.dumps(MUSDB_VALIDATION_TRACKS[:VALIDATED_ON])  # quoted, as a title has an ampersand
    data = [f"data.root={root}", f"data.cache={root / 'cache'}", f"data.validation_tracks={held_out}"]
    cfg = compose("train", ["experiment=umxhq", *data, f"trainer.max_epochs={EPOCHS}", *overrides])
    datamodule = make_datamodule(cfg.data)
    datamodule.prepare_data()
    module = make_module(cfg, datamodule)
    stamps = Stamps()
    options: dict[str, Any] = {name: value for name, value in cfg.trainer.items() if name != "_target_"}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_checkpointing": False}
    options |= {"limit_train_batches": STEPS, **quiet}
    make_trainer(callbacks=[stamps, Throughput()], **options).fit(module, datamodule=datamodule)
    return stamps


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    machine = torch.cuda.get_device_name() if CUDA else platform.processor() or platform.machine()
    print(f"machine: {machine}, {torch.get_num_threads()} threads, torch {torch.__version__}; ", end="")
    print(f"{STEPS or 344} steps of 16 x 6 s, {VALIDATED_ON} tracks of {VALIDATION_SECONDS} s\n")
    print("| | steps, s | validation, s | GPU busy | peak GPU memory, GB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        write_tree(Path(folder))
        for name, overrides in SETTINGS.items() if CUDA else list(SETTINGS.items())[:1]:
            found = run(Path(folder), overrides)
            peak = torch.cuda.max_memory_allocated() / 1e9 if CUDA else float("nan")
            steps, validation = statistics.median(found.steps[1:]), statistics.median(found.validation[1:])
            print(f"| {name} | {steps:.2f} | {validation:.2f} | {found.busy:.2f} | {peak:.1f} |", flush=True)


if __name__ == "__main__":
    main()
