"""Measure src/prepare.py on songs at 48 kHz in FLAC, which it resamples to 44.1 kHz: `make bench-prepare`."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import lfilter

RATE, SECONDS, NUM_TRACKS, SOURCES = 48000, 120, 6, ("vocals", "drums", "bass", "other")


def write_songs(root: Path) -> None:
    """Write stereo songs of low-passed noise, which FLAC halves as it does music, each with a mixture."""
    generator = np.random.default_rng(0)
    for number in range(NUM_TRACKS):
        folder = root / "train" / f"Song {number}"
        folder.mkdir(parents=True)
        stems = {}
        for source in SOURCES:
            noise = lfilter([1], [1, -0.95], generator.normal(size=(RATE * SECONDS, 2)), axis=0)
            stems[source] = (noise / np.abs(noise).max() * 7000).astype(np.int16)
        for stem, samples in (*stems.items(), ("mixture", sum(stems.values()))):
            soundfile.write(folder / f"{stem}.flac", samples, RATE)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        write_songs(Path(folder, "songs"))
        command = [sys.executable, "src/prepare.py", f"input={folder}/songs", f"out={folder}/prepared"]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        wall = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy, cores = used.ru_utime + used.ru_stime, len(os.sched_getaffinity(0))
    print(f"\n{cores} cores, load {os.getloadavg()[0]:.1f}, start of Python included; {busy:.1f} s of processor time\n")
    print("| | seconds of audio | times real time | of a second of one processor |\n|---|---|---|---|")
    for what, audio in (("stereo files", NUM_TRACKS * SECONDS * 5), ("songs of five files", NUM_TRACKS * SECONDS)):
        print(f"| {what} | {audio} | {audio / wall:.0f} | {audio / busy:.0f} |")


if __name__ == "__main__":
    main()
