"""Speed of training four targets on one device, in four jobs or in one process: `make bench-together`.

A training step of each target, 16 x 6 s, stereo, hidden size 512: STFT, network, loss, backward pass, Adam; no data
loading. In one process the mixture and its STFT are computed once for all targets; on a GPU each network has its own
stream.
"""

import multiprocessing
import platform
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.functional import mse_loss

from unmix.data.memory import keep_freed_memory
from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix

BATCH, SAMPLES, TARGETS, STEPS = 16, 6 * 44100, 4, 5
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def now() -> float:
    """Time in seconds, once the device has finished its work."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def steps(num_networks: int, num_threads: int) -> list[float]:
    """Measure the seconds of training steps of several networks in this process, after the first step."""
    keep_freed_memory()
    torch.set_num_threads(num_threads)
    torch.manual_seed(0)
    stems = 0.1 * torch.randn(TARGETS, BATCH, 2, SAMPLES, device=DEVICE)
    stft = Stft().to(DEVICE)
    networks = [OpenUnmix(512).to(DEVICE) for _ in range(num_networks)]
    optimizers = [torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-5) for network in networks]
    streams: list[AbstractContextManager] = [nullcontext() for _ in networks]
    if DEVICE == "cuda":
        streams = [torch.cuda.stream(torch.cuda.Stream()) for _ in networks]
    seconds = []
    for _ in range(STEPS + 1):
        started = now()
        mixture = stft(stems.sum(dim=0)).abs()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        for network, optimizer, stream, target in zip(networks, optimizers, streams, stems, strict=False):
            with stream:
                optimizer.zero_grad()
                mse_loss(network(mixture), stft(target).abs()).backward()
                optimizer.step()
        seconds.append(now() - started)
    return seconds[1:]


def processes(number: int, num_networks: int, num_threads: int) -> float:
    """Measure the median seconds of a step in several simultaneous processes."""
    with ProcessPoolExecutor(number, mp_context=multiprocessing.get_context("spawn")) as pool:
        jobs = [pool.submit(steps, num_networks, num_threads) for _ in range(number)]
        return statistics.median(second for job in jobs for second in job.result())


def main() -> None:
    """Print the table."""
    machine = torch.cuda.get_device_name() if DEVICE == "cuda" else platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    print(f"machine: {machine}, {threads} threads, torch {torch.__version__}\n")
    single = processes(1, 1, threads)
    rows = {
        "one target": single,
        "four jobs, one after the other": TARGETS * single,
        "four jobs at once": processes(TARGETS, 1, max(1, threads // TARGETS)),
        "four networks in one process": processes(1, TARGETS, threads),
    }
    print("| a step of 16 x 6 s of | seconds | relative to one target |\n|---|---|---|")
    for name, seconds in rows.items():
        print(f"| {name} | {seconds:.4f} | {seconds / single:.2f} |")


if __name__ == "__main__":
    main()
