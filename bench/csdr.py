"""Speed of `csdr`, museval's SDR without its filters, beside the full set: `make bench-csdr`.

Four stereo stems of four minutes at 44.1 kHz, float32 in memory. The time of 50 tracks is extrapolated from a few that
as many processes score as there are cores.
"""

import multiprocessing
import os
import sys
import time

import torch

from unmix.evaluation.energy_ratios import ChunkSdr
from unmix.evaluation.engines import BssEval
from unmix.evaluation.stems import Stems

RATE, SECONDS, TRACKS = 44100, 240, 50


def draw(seconds: int) -> Stems:
    """Noise as references, and with other noise as estimates."""
    generator = torch.Generator().manual_seed(0)
    references = 0.1 * torch.randn(4, 2, seconds * RATE, generator=generator)
    estimates = references + 0.03 * torch.randn(references.shape, generator=generator)
    true, estimated = (lambda start, stop, each=each: each[..., start:stop] for each in (references, estimates))
    return Stems(true, estimated, references.shape[-1], RATE)


def measure(num_tracks: int) -> tuple[float, float]:
    """Score some tracks with one thread; returns seconds of the wall clock and of the CPU."""
    torch.set_num_threads(1)
    stems = draw(SECONDS)
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(num_tracks):
        ChunkSdr()(stems)
    return time.perf_counter() - wall, time.process_time() - cpu


def main(num_tracks: int) -> None:
    """Print the time of 50 tracks, and the ratio to the full set."""
    cores = len(os.sched_getaffinity(0))
    with multiprocessing.get_context("spawn").Pool(cores) as pool:
        results = pool.map(measure, [num_tracks] * cores)
    for name, seconds in zip(("wall clock", "CPU time"), map(max, zip(*results, strict=True)), strict=True):
        total = seconds / num_tracks * TRACKS / cores
        print(f"csdr, {TRACKS} tracks of {SECONDS} s, 4 stereo stems, {cores} cores: {total:.1f} s by {name}")
    torch.set_num_threads(1)
    stems = draw(30)
    times = []
    for metric in (BssEval(), ChunkSdr()):
        started = time.process_time()
        metric(stems)
        times.append(time.process_time() - started)
    print(f"30 s: full set {times[0]:.2f} s, csdr {times[1]:.2f} s of CPU time: {times[0] / times[1]:.0f} times faster")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
