"""Speed of our Wiener filter compared with norbert's, on the same spectrograms in one run: `make bench-wiener`."""

import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version

import norbert
import torch

from unmix.dsp.wiener import wiener

SECONDS, RUNS = 10, 7


def median_seconds(function: Callable[[], object]) -> float:
    """Measure the median of RUNS timings, after a warm-up."""
    function()
    timings = []
    for _ in range(RUNS):
        started = time.perf_counter()
        function()
        timings.append(time.perf_counter() - started)
    return statistics.median(timings)


def main() -> None:
    """Compare on four stereo sources of ten seconds, with one EM iteration in double precision."""
    torch.manual_seed(0)
    frames = SECONDS * 44100 // 1024
    sources = torch.randn(1, 4, 2, 2049, frames, dtype=torch.complex128)
    magnitudes, mixture = sources.abs(), sources.sum(dim=1)
    v, x = magnitudes[0].permute(3, 2, 1, 0).numpy(), mixture[0].permute(2, 1, 0).numpy()
    ours = median_seconds(lambda: wiener(magnitudes, mixture))
    theirs = median_seconds(lambda: norbert.wiener(v.copy(), x.copy(), use_softmask=False))
    print(f"machine: {platform.processor() or platform.machine()}, {torch.get_num_threads()} threads, ", end="")
    print(f"torch {torch.__version__}, norbert {version('norbert')}")
    print("| | seconds per second of audio |\n|---|---|")
    print(f"| norbert.wiener | {theirs / SECONDS:.4f} |\n| unmix.wiener | {ours / SECONDS:.4f} |")
    print(f"ratio ours / norbert: {ours / theirs:.2f}")


if __name__ == "__main__":
    main()
