"""What a training costs on this machine: work, memory and time, measured on noise in seconds, before it starts.

A step of one short sample comes first. From it follow memory and time of the batch; what is too large for either is not
run, but extrapolated from the largest part of the batch that is not.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import psutil
import torch
from lightning_fabric.utilities import move_data_to_device
from omegaconf import DictConfig
from torch import Tensor

from unmix.data.datasets import DrawBatch
from unmix.data.memory import keep_freed_memory
from unmix.data.mixing import render
from unmix.data.sampling import Recipe, draw
from unmix.dsp.stft import Stft
from unmix.errors import counted, human_size
from unmix.models.contract import chunk_samples
from unmix.runs.build import build_module, make, quiet_lightning
from unmix.training.costs import PeakMemory, bytes_of, forward_flops
from unmix.training.module import SeparationModule, sources_of, total
from unmix.training.trainer import GPU_ONLY_PRECISIONS

SECONDS = 3.0  # for the timed steps of a model
MOST_STEPS = 10
STATES = 4  # weights, their gradients, and two states of Adam
SHARE = 0.5  # of the free memory, the most that a measurement takes


@dataclass(frozen=True)
class Cost:
    """Cost of a training on one device.

    Args:
        flops: of a forward pass, per second of audio; None when nothing was run, for lack of memory.
        memory: bytes of all tensors at the peak of a step.
        free: bytes of memory that are free.
        step: seconds of a training step.
        validation: seconds of validation per second of audio.
        basis: what was timed.
    """

    memory: int
    free: int
    flops: float | None = None
    step: float | None = None
    validation: float = 0.0
    basis: str = ""

    @property
    def is_too_large(self) -> bool:
        """Whether a step needs more memory than there is."""
        return self.memory > self.free

    @property
    def memory_text(self) -> str:
        """Memory of a step, beside the memory that there is."""
        if self.is_too_large:
            return f"{human_size(self.memory)}, but only {human_size(self.free)} are free here: reduce data.batch_size"
        return f"{human_size(self.memory)} of tensors at the peak of a step, of {human_size(self.free)} free"


def device_here(arguments: Mapping[str, Any]) -> torch.device:
    """Device on this machine for a training with these device arguments of Lightning; the CPU when it has no GPU."""
    if arguments["accelerator"] != "gpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    devices = arguments["devices"]
    return torch.device("cuda", 0 if isinstance(devices, int) else devices[0] % torch.cuda.device_count())


def described(device: torch.device) -> str:
    """Name a device in the lines for the user: the GPU's name, or the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {counted(torch.get_num_threads(), 'thread')}"


def measure(cfg: DictConfig, recipe: Recipe | None, batch: int, device: torch.device, num_parameters: int) -> Cost:
    """Measure a training's cost; the state of torch's random number generator stays the same.

    Args:
        cfg: configuration of the training.
        recipe: draws of its data, with augmentations; None is segments without any.
        batch: samples per step on the device.
        device: where to measure.
        num_parameters: number of trainable parameters.
    """
    free = _free_bytes(device)
    if 4 * STATES * num_parameters > SHARE * free:
        return Cost(4 * STATES * num_parameters, free)
    segment = round(cfg.data.segment_seconds * cfg.data.sample_rate)
    chosen = recipe or Recipe(segment)
    keep_freed_memory()  # as a training does
    augmentations = {name: item for name, item in chosen.augmentations.items() if name != "activity"}
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        steps = Steps(cfg, replace(chosen, augmentations=augmentations, weights=None, starts=None), device)
        return _measure(steps, batch, segment, free)


def _measure(steps: "Steps", batch: int, segment: int, free: int) -> Cost:
    """Measure a step of one short sample, then of as many samples of the batch as time and memory allow."""
    windows = [part.fft_size for part in steps.module.modules() if isinstance(part, Stft)]
    short = min(segment, max(steps.rate, *windows))
    noise = steps.batch(1, max(short, steps.rate))["mixture"]
    with steps.precision.forward_context():
        flops = round(forward_flops(steps.module.model, noise) * steps.rate / noise.shape[-1])
    memory, seconds = steps.weighed(1, short)
    is_slow, count = seconds > SECONDS, 1
    if not is_slow:
        seconds = steps.timed(1, short)
    scale = segment / short
    most = min(batch, int(SECONDS / (seconds * scale)), int(SHARE * free / (memory.scaled * scale)))
    size, length = (most, segment) if most else (1, short)
    factor = batch * segment / (size * length)
    validation = steps.validated(short, seconds)
    if not is_slow:
        if size * length > short:
            memory, _ = steps.weighed(size, length)
        seconds, count = steps.repeated(size, length)
    basis = counted(count, "step is timed", "steps are timed")
    basis += "" if is_slow else ", after others that are left out"
    if factor > 1:
        basis += f", of {size} x {length / steps.rate:.3g} s in place of {batch} x {segment / steps.rate:.3g} s"
    return Cost(memory.of(factor), free, flops, seconds * factor, validation, basis)


@dataclass(frozen=True)
class Memory:
    """Memory of a training step, in bytes.

    Args:
        fixed: weights, gradients and the optimiser's states.
        scaled: what a forward and backward pass adds at its peak, in proportion to the batch.
        update: what the optimiser adds for a moment, whatever the batch.
    """

    fixed: int
    scaled: int
    update: int

    def of(self, factor: float) -> int:
        """Memory of a batch that is larger by a factor."""
        return self.fixed + max(round(self.scaled * factor), self.update)


class Steps:
    """Training steps and validation of a configuration, on noise.

    Args:
        cfg: configuration of the training.
        recipe: draws of its data.
        device: where to run.
    """

    def __init__(self, cfg: DictConfig, recipe: Recipe, device: torch.device) -> None:
        quiet_lightning()
        gpus = 0 if device.type == "cpu" else [device.index]
        alone: dict[str, Any] = {"gpus": gpus, "num_nodes": 1, "cpu_processes": 1, "logger": False}
        if device.type == "cpu" and str(cfg.trainer.get("precision")) in GPU_ONLY_PRECISIONS:
            alone["precision"] = "32-true"  # the training runs elsewhere
        self.precision = make(cfg.trainer, "trainer", enable_progress_bar=False, **alone).precision_plugin
        self.module: SeparationModule = self.precision.convert_module(build_module(cfg)).to(device).train()
        self.optimizer = self.module.make_optimizer(self.module.parameters())
        self.recipe, self.device = recipe, device
        self.sources, self.rate = list(cfg.data.sources), int(cfg.data.sample_rate)

    def batch(self, size: int, length: int) -> dict[str, Tensor]:
        """Draw, augment and mix noise: name -> (size, channels, length)."""
        recipe = replace(self.recipe, segment=length)
        lengths = [np.array([recipe.longest])] * len(self.sources)
        stems = DrawBatch.of(draw(0, 0, 0, size, track_lengths=lengths, recipe=recipe)).gather(self)
        batch = render(move_data_to_device(stems, self.device), self.sources, recipe.augmentations)
        converted: dict[str, Tensor] = self.precision.convert_input(batch)
        return converted

    def gather(self, tracks: Tensor, starts: Tensor, num_samples: int) -> Tensor:
        """Make noise where a `Store` reads segments."""
        shape = (*tracks.shape, int(self.module.model.num_channels), num_samples)
        return torch.randint(-8192, 8192, shape, dtype=torch.int16)

    def timed(self, size: int, length: int) -> float:
        """Seconds of a step, from draws to new weights."""
        started = self._now()
        self._gradients(size, length)
        self.optimizer.step()
        return self._now() - started

    def repeated(self, size: int, length: int) -> tuple[float, int]:
        """Median of the seconds of steps, and their number: as many as `SECONDS` allows; one before is left out."""
        self.timed(size, length)
        times = [self.timed(size, length)]
        while len(times) < MOST_STEPS and sum(times) + times[0] < SECONDS:
            times.append(self.timed(size, length))
        return median(times), len(times)

    def weighed(self, size: int, length: int) -> tuple[Memory, float]:
        """Memory of a step, and its seconds, which counting makes a little longer."""
        started = self._now()
        self.optimizer.zero_grad()
        with PeakMemory() as memory:
            self._gradients(size, length)
            gradients, peak = bytes_of(weight.grad for weight in self.module.parameters()), memory.peak
        with PeakMemory() as memory:
            self.optimizer.step()
        seconds = self._now() - started
        states = bytes_of(value for state in self.optimizer.state.values() for value in state.values())
        fixed = bytes_of((*self.module.parameters(), *self.module.buffers())) + gradients + states
        return Memory(fixed, max(0, peak - gradients), max(0, memory.peak - memory.now)), seconds

    @torch.no_grad()
    def validated(self, length: int, seconds: float) -> float:
        """Seconds of validation per second of audio, given those of a step of one sample of this length."""
        length = max(length, min(chunk_samples(self.module.model), round(length * SECONDS / seconds)))
        batch = self.batch(1, length)
        self.module.eval()
        started = self._now()
        with self.precision.forward_context():
            self.module.validation_step(batch, 0)
        self.module.train()
        return (self._now() - started) * self.rate / length

    def _gradients(self, size: int, length: int) -> None:
        self.optimizer.zero_grad()
        batch = self.batch(size, length)
        with self.precision.forward_context():
            loss = total(self.module.objective(self.module.model, batch["mixture"], sources_of(batch)))
        loss.backward()

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


def _free_bytes(device: torch.device) -> int:
    return int(torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available)
