"""Speed and memory of separation compared with openunmix's Separator, with the same weights: `make bench-separate`.

Four targets, hidden size 512, random weights, stereo noise at 44.1 kHz. Memory is measured in separate processes.
"""

import platform
import re
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from openunmix import model as theirs
from torch import nn

from unmix.data.memory import keep_freed_memory
from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix, streaming
from unmix.models.open_unmix.separator import Separator

TARGETS, RATE = ("vocals", "drums", "bass", "other"), 44100
CONTENDERS, ROUNDS = ("openunmix", "whole", "blocks"), 5
NOISE = 0.1 * torch.randn(2, 30 * RATE, generator=torch.Generator().manual_seed(0))


def read(start: int, stop: int) -> torch.Tensor:
    """Read samples of a track of any length, which repeats the noise."""
    return NOISE[:, torch.arange(start, stop) % NOISE.shape[1]]


def make(name: str, niter: int) -> nn.Module:
    """Make openunmix's separator (`openunmix`) or ours (any other name), with the same weights."""
    torch.manual_seed(0)
    networks: dict[str, nn.Module] = {target: OpenUnmix(512).eval() for target in TARGETS}
    if name != "openunmix":
        return Separator(networks, Stft(center=True), sample_rate=RATE, niter=niter).eval()
    for target, network in networks.items():
        networks[target] = theirs.OpenUnmix(2049, 2, hidden_size=512, max_bin=network.num_input_bins).eval()
        networks[target].load_state_dict(network.state_dict())
    return theirs.Separator(networks, niter=niter, wiener_win_len=300).eval()


@torch.no_grad()
def separate(name: str, separator: nn.Module, seconds: int) -> None:
    """Separate a track of this length, in blocks or in one piece."""
    if name == "blocks":
        for _block in streaming.separate(separator, read, seconds * RATE):
            pass
    else:
        separator(read(0, seconds * RATE)[None])


def seconds_per_second(niter: int, seconds: int) -> dict[str, float]:
    """Measure seconds per second of audio of each contender: the median of rounds in which they take turns."""
    separators = {name: make(name, niter) for name in CONTENDERS}
    timings: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(ROUNDS + 1):
        for name, separator in separators.items():
            started = time.perf_counter()
            separate(name, separator, seconds)
            timings[name].append((time.perf_counter() - started) / seconds)
    return {name: statistics.median(values[1:]) for name, values in timings.items()}


def peak_megabytes(name: str, seconds: int) -> float:
    """Measure the peak memory of a process that separates this many seconds with one EM iteration."""
    command = [sys.executable, __file__, name, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@torch.no_grad()
def difference() -> float:
    """Largest difference from openunmix's estimates relative to the mixture's peak, with EM over the whole track."""
    ours, reference = make("whole", 1), make("openunmix", 1)
    reference.wiener_win_len = None
    track = read(0, 5 * RATE)[None]
    return float((ours(track) - reference(track)).abs().max() / track.abs().max())


def main() -> None:
    """Print the tables."""
    print(f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, openunmix {version('openunmix')}\n")
    print("| seconds per second of audio | niter 0 | niter 1 |\n|---|---|---|")
    keep_freed_memory()  # as the commands do; openunmix gains from it too
    columns = [seconds_per_second(niter, 30) for niter in (0, 1)]
    for name in CONTENDERS:
        ratios = [f"{column[name]:.4f} ({column[name] / column['openunmix']:.2f})" for column in columns]
        print(f"| {name} | {ratios[0]} | {ratios[1]} |")
    print(f"\nlargest difference from openunmix, niter 1, EM over the whole track: {difference():.1e} of the peak\n")
    print("| peak memory, MB (import of torch included) | 30 s | 600 s | 3600 s |\n|---|---|---|---|")
    print(f"| openunmix | {peak_megabytes('openunmix', 30):.0f} | | |")
    print(f"| whole | {peak_megabytes('whole', 30):.0f} | | |")
    print("| blocks | " + " | ".join(f"{peak_megabytes('blocks', seconds):.0f}" for seconds in (30, 600, 3600)) + " |")
    if torch.cuda.is_available():
        print(f"\n{torch.cuda.get_device_name()}: speed as a multiple of real time, 240 s from memory to memory")
        for name in CONTENDERS:
            print(f"{name}: {240 / on_gpu(name, 240):.0f}")


@torch.no_grad()
def on_gpu(name: str, seconds: int) -> float:
    """Measure seconds on the GPU, the best of three runs, including the copy of the stems to the host."""
    separator, track, timings = make(name, 1).cuda(), read(0, seconds * RATE), []
    for _ in range(3):
        started = time.perf_counter()
        if isinstance(separator, Separator) and name == "blocks":
            blocks = streaming.separate(separator, lambda start, stop: track[:, start:stop], track.shape[1])
            torch.cat([block.cpu() for block in blocks], dim=-1)
        else:
            separator(track[None].cuda()).cpu()
        timings.append(time.perf_counter() - started)
    return min(timings)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        if sys.argv[1] != "openunmix":
            keep_freed_memory()
        separate(sys.argv[1], make(sys.argv[1], 1), int(sys.argv[2]))
        # not from getrusage, whose maximum survives exec and would include the parent process
        print(int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024 / 1e6)
    else:
        main()
