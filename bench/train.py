"""Speed of our training step compared with openunmix's, with the same weights and batch: `make bench-train`.

16 x 6 s, stereo, hidden size 512; STFT, network, loss, backward pass and Adam, no data loading. Ours runs under
Lightning's Trainer, the reference in the bare loop of open-unmix-pytorch v1.3.0 (scripts/train.py). Each runs in its
own process with the settings of its command: ours keeps freed memory (data/memory.py), and an extra row gives that to
the reference. They take turns, and the table has medians. Lightning's overhead is a step of a module that does nothing.
"""

import multiprocessing
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import Any

import torch
from openunmix import model as theirs
from openunmix.transforms import ComplexNorm, make_filterbanks
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unmix.data.memory import keep_freed_memory
from unmix.dsp.stft import Stft
from unmix.models.open_unmix import UMX
from unmix.training.module import SeparationModule
from unmix.training.objectives import MagnitudeMse

BATCH, SAMPLES, TARGET, TURNS, STEPS = 16, 6 * 44100, "vocals", 3, 4
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
QUIET: dict[str, Any] = {
    "accelerator": DEVICE,
    "devices": 1,
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def now() -> float:
    """Time in seconds, once the device has finished its work."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


class Times(Callback):
    """Callback that records the time at the end of every step."""

    def __init__(self) -> None:
        self.stamps: list[float] = []

    def on_train_batch_end(self, *_: Any) -> None:
        self.stamps.append(now())


def ours(model: UMX, batch: dict[str, Tensor]) -> list[float]:
    """Measure the seconds of our training steps, after the first."""
    module = SeparationModule(
        model,
        MagnitudeMse(),
        optimizer=partial(torch.optim.Adam, lr=1e-3, weight_decay=1e-5),
        scheduler=partial(torch.optim.lr_scheduler.ConstantLR, factor=1.0),
    )
    times = Times()
    loader = DataLoader([batch] * (STEPS + 1), batch_size=None)  # type: ignore[arg-type]
    Trainer(max_epochs=1, callbacks=[times], **QUIET).fit(module, loader)
    return [b - a for a, b in zip(times.stamps, times.stamps[1:], strict=False)]


def reference(model: nn.Module, batch: dict[str, Tensor]) -> list[float]:
    """Measure the seconds of the reference's training steps, after the first."""
    stft, _ = make_filterbanks(n_fft=4096, n_hop=1024, center=False)
    encoder = nn.Sequential(stft, ComplexNorm(mono=False)).to(DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    model.train()
    seconds = []
    for _ in range(STEPS + 1):
        started = now()
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(encoder(batch["mixture"])), encoder(batch[TARGET]))
        loss.backward()
        optimizer.step()
        loss.item()  # as in its script, for a running mean
        seconds.append(now() - started)
    return seconds[1:]


class EmptyModule(LightningModule):
    """Module whose training step does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.weight * 0

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def lightning_overhead(num_steps: int = 2000) -> float:
    """Measure Lightning's overhead in milliseconds per step."""
    loader = DataLoader([torch.zeros(())] * num_steps, batch_size=None)  # type: ignore[arg-type]
    started = now()
    Trainer(max_epochs=1, barebones=True, accelerator=DEVICE, devices=1).fit(EmptyModule(), loader)
    return (now() - started) / num_steps * 1000


def steps(name: str) -> list[float]:
    """Measure the seconds of training steps of one implementation, with weights and batch that are the same for all."""
    if name != "openunmix":
        keep_freed_memory()
    torch.manual_seed(0)
    stems = 0.1 * torch.randn(2, BATCH, 2, SAMPLES, device=DEVICE)
    batch = {"mixture": stems.sum(dim=0), TARGET: stems[0]}
    model = UMX((TARGET,), Stft()).to(DEVICE)
    if name == "unmix":
        return ours(model, batch)
    peer = theirs.OpenUnmix(2049, 2, hidden_size=512, max_bin=model.network.num_input_bins).to(DEVICE)
    peer.load_state_dict(model.network.state_dict())
    return reference(peer, batch)


def steps_in_process(name: str) -> list[float]:
    """Run `steps` in its own process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(steps, name).result()


def main() -> None:
    """Print the table."""
    machine = torch.cuda.get_device_name() if DEVICE == "cuda" else platform.processor() or platform.machine()
    print(f"machine: {machine}, {torch.get_num_threads()} threads, torch {torch.__version__}, ", end="")
    print(f"openunmix {version('openunmix')}, Lightning {version('pytorch-lightning')}\n")
    seconds: dict[str, list[float]] = {"openunmix": [], "openunmix, keeping memory": [], "unmix": []}
    for _ in range(TURNS):
        for name in seconds:
            seconds[name] += steps_in_process(name)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    print("| step of 16 x 6 s | seconds | relative to openunmix |\n|---|---|---|")
    for name, value in medians.items():
        print(f"| {name} | {value:.4f} | {value / medians['openunmix']:.2f} |")
    print(f"\nLightning's overhead: {lightning_overhead():.2f} ms per step")


if __name__ == "__main__":
    main()
