"""Speed of our BSS Eval compared with museval's, on the same stems in the same run: `make bench-evaluate`.

Four stereo sources at 44.1 kHz, one-second windows, 512 taps: of noise, and of tones with silences. Peak memory is that
of a process that scores a track of ten minutes from files, as `evaluate.py` does.
"""

import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import museval.metrics
import numpy as np
import torch

from unmix.evaluation.bss_eval import bss_eval, bss_eval_blocks
from unmix.evaluation.estimates import Estimates

RATE, SHAPE = 44100, (4, 2)
ROUNDS = 3


def noise(seconds: int) -> torch.Tensor:
    """Draw references of noise, (sources, channels, samples)."""
    return 0.1 * torch.randn(*SHAPE, seconds * RATE, generator=torch.Generator().manual_seed(0))


def tones(seconds: int) -> torch.Tensor:
    """Make references of five harmonics each, silent half of the time: their Gram matrix is singular."""
    generator = torch.Generator().manual_seed(1)
    time_s = torch.arange(seconds * RATE, dtype=torch.float64) / RATE
    frequency = torch.tensor([[110.0 * source, 110.0 * source + 1] for source in range(1, 5)], dtype=torch.float64)
    references = torch.zeros(*SHAPE, len(time_s), dtype=torch.float64)
    for harmonic in range(1, 6):
        phase = 2 * torch.pi * torch.rand(*SHAPE, 1, generator=generator, dtype=torch.float64)
        references += torch.sin(2 * torch.pi * harmonic * frequency[..., None] * time_s + phase) / harmonic
    sounds = torch.stack([(time_s / (0.5 * source)).long() % 2 == 0 for source in range(1, 5)])
    return (0.1 * references * sounds[:, None]).float()


def estimate(references: torch.Tensor) -> torch.Tensor:
    """Make estimates with filtering, leakage and noise of references."""
    hiss = torch.randn(references.shape, generator=torch.Generator().manual_seed(2))
    return references + 0.2 * references.roll(3, dims=-1) + 0.3 * references.roll(1, dims=0) + 0.01 * hiss


def compare(name: str, references: torch.Tensor) -> None:
    """Time both on the same stems, taking turns, and print a row of the table."""
    estimates = estimate(references)
    ours_s, museval_s = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        ours = bss_eval(references, estimates, window=RATE, hop=RATE)
        ours_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        reference = museval.metrics.bss_eval(
            *(stems.transpose(1, 2).numpy() for stems in (references, estimates)), window=RATE, hop=RATE
        )
        museval_s.append(time.perf_counter() - started)
    largest = np.nanmax(np.abs(ours.sdr.numpy() - reference[0]))
    ratio = statistics.median(museval_s) / statistics.median(ours_s)
    seconds = f"{statistics.median(museval_s):.2f} | {statistics.median(ours_s):.2f}"
    print(f"| {name} | {seconds} | 1 / {ratio:.1f} | {largest:.0e} dB |", flush=True)


def peak_megabytes(seconds: int) -> float:
    """Measure the peak memory of a process that scores this many seconds."""
    command = [sys.executable, __file__, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def score_from_files(seconds: int) -> None:
    """Score a track of ten seconds of noise, repeated to this length, and a baseline, from files of floats."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Estimates(Path(folder) / name, *SHAPE) for name in ("references", "estimates")]
        for file, stems in zip(files, (noise(10), estimate(noise(10))), strict=True):
            file.write(stems for _ in range(seconds // 10))
        references, estimates = files
        bss_eval_blocks(references, [estimates, references], seconds * RATE, window=RATE, hop=RATE)


def with_baseline(references: torch.Tensor, estimates: torch.Tensor) -> tuple[float, float]:
    """Time the scores of estimates and of the mixture, as an evaluation computes them: apart, and together."""
    baseline = references.mean(dim=0).expand_as(references)
    true, *methods = (
        lambda start, stop, stems=stems: stems[..., start:stop] for stems in (references, estimates, baseline)
    )
    apart, together = [], []
    for _ in range(2):
        started = time.perf_counter()
        for method in methods:
            bss_eval_blocks(true, [method], references.shape[-1], window=RATE, hop=RATE)
        apart.append(time.perf_counter() - started)
        started = time.perf_counter()
        bss_eval_blocks(true, methods, references.shape[-1], window=RATE, hop=RATE)
        together.append(time.perf_counter() - started)
    return min(apart), min(together)


def main() -> None:
    """Print the table."""
    print(f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, museval {version('museval')}\n")
    print(f"60 s of four stereo targets, medians of {ROUNDS} rounds in which both take turns\n")
    print("| references | museval, s | unmix, s | ratio | largest difference of SDR |\n|---|---|---|---|---|")
    references = noise(60)
    compare("noise", references)
    compare("tones with silences", tones(60))
    estimates = estimate(references)
    apart, together = with_baseline(references, estimates)
    print(f"\nestimates and mixture: {apart:.2f} s apart, {together:.2f} s together, {together / apart:.2f} of it")
    print(f"peak memory for ten minutes (import of torch included): {peak_megabytes(600):.0f} MB")
    if torch.cuda.is_available():
        on_gpu = [stems.cuda() for stems in (references, estimates)]
        for _ in range(2):
            started = time.perf_counter()
            bss_eval(*on_gpu, window=RATE, hop=RATE)
            seconds = time.perf_counter() - started
        print(f"on {torch.cuda.get_device_name()}: {seconds:.2f} s")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        score_from_files(int(sys.argv[1]))
        # not from getrusage, whose maximum survives exec and would include the parent process
        print(int(re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[0]) * 1024 / 1e6)
    else:
        main()
