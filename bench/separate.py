"""Separation beside openunmix's Separator, with the same random weights in the same run: `make bench-separate`.

Four targets, hidden size 512, stereo noise at 44.1 kHz. Every memory figure is of a process of its own.
"""

import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import torch
from openunmix import model as theirs
from torch import nn

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix, streaming
from unmix.models.open_unmix.separator import Separator

TARGETS, RATE = ("vocals", "drums", "bass", "other"), 44100
NOISE = 0.1 * torch.randn(2, 30 * RATE, generator=torch.Generator().manual_seed(0))


def read(start: int, stop: int) -> torch.Tensor:
    """A track of any length: the noise again and again."""
    return NOISE[:, torch.arange(start, stop) % NOISE.shape[1]]


def make(name: str, niter: int) -> nn.Module:
    """Ours or the reference's, of the same weights."""
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
    """A track of this length."""
    if name == "blocks":
        for _block in streaming.separate(separator, read, seconds * RATE):
            pass
    else:
        separator(read(0, seconds * RATE)[None])


def seconds_per_second(name: str, niter: int, seconds: int) -> float:
    """The better of two runs, over the length of the track."""
    separator = make(name, niter)
    timings = []
    for _ in range(2):
        started = time.perf_counter()
        separate(name, separator, seconds)
        timings.append(time.perf_counter() - started)
    return min(timings) / seconds


def peak_megabytes(name: str, seconds: int) -> float:
    """Of a process that separates this many seconds with one EM pass."""
    command = [sys.executable, __file__, name, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@torch.no_grad()
def difference() -> float:
    """Largest difference of estimates over the peak of the mixture, EM over the whole track on both sides."""
    ours, reference = make("whole", 1), make("openunmix", 1)
    reference.wiener_win_len = None
    track = read(0, 5 * RATE)[None]
    return float((ours(track) - reference(track)).abs().max() / track.abs().max())


def main() -> None:
    """Print the tables."""
    print(f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, openunmix {version('openunmix')}\n")
    print("| seconds per second of audio | niter 0 | niter 1 |\n|---|---|---|")
    table = {
        name: [seconds_per_second(name, niter, 30) for niter in (0, 1)] for name in ("openunmix", "whole", "blocks")
    }
    for name, row in table.items():
        ratios = [f"{value:.4f} ({value / base:.2f})" for value, base in zip(row, table["openunmix"], strict=True)]
        print(f"| {name} | {ratios[0]} | {ratios[1]} |")
    print(f"\nlargest difference from openunmix, niter 1, EM over the whole track: {difference():.1e} of the peak\n")
    print("| peak memory, MB (import of torch included) | 30 s | 600 s | 3600 s |\n|---|---|---|---|")
    print(f"| openunmix | {peak_megabytes('openunmix', 30):.0f} | | |")
    print(f"| whole | {peak_megabytes('whole', 30):.0f} | | |")
    print("| blocks | " + " | ".join(f"{peak_megabytes('blocks', one):.0f}" for one in (30, 600, 3600)) + " |")
    if torch.cuda.is_available():
        print(f"\n{torch.cuda.get_device_name()}, 240 s from memory to memory, times real time")
        for name in ("openunmix", "whole", "blocks"):
            print(f"{name}: {240 / on_gpu(name, 240):.0f}")


@torch.no_grad()
def on_gpu(name: str, seconds: int) -> float:
    """Seconds it takes there, the better of three runs; stems are back in the host's memory then."""
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
        separate(sys.argv[1], make(sys.argv[1], 1), int(sys.argv[2]))
        # not getrusage's, which outlives exec and is then that of who started this
        print(int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024 / 1e6)
    else:
        main()
