"""Time the first look at a data set, beside Music-Source-Separation-Training's (MSST): `make bench-scan`.

MSST_PYTHON names the Python of an environment with the package msst, which needs an older torch; without it, only Unmix
is measured. Imports are left out on both sides; files are in the page cache.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from unmix.data import library

RATE, NUM_TRACKS, SOURCES = 44100, 300, ("vocals", "drums", "bass", "other")
CONFIG = """
audio: {chunk_size: 22050, sample_rate: 44100, num_channels: 2}
training:
  {instruments: [vocals, drums, bass, other], target_instrument: null, read_metadata_procs: 2, batch_size: 1,
   num_steps: 1, gradient_accumulation_steps: 1}
augmentations: {enable: false}
model: {}
"""
MSST = """
import sys, time
from msst import build_metadata
import msst.utils.dataset, msst.utils.settings
config, data, out = sys.argv[1:]
if __name__ == "__main__":
    started = time.perf_counter()
    result = build_metadata(config_path=config, data_path=data, metadata_path=out, dataset_type=1, verbose=False)
    print(time.perf_counter() - started, result.track_count)
"""


def write_songs(root: Path) -> None:
    """Write tracks of noise, half a second each."""
    generator = np.random.default_rng(0)
    for number in range(NUM_TRACKS):
        folder = root / f"Song {number}"
        folder.mkdir(parents=True)
        for stem in ("mixture", *SOURCES):
            samples = generator.integers(-999, 999, (RATE // 2, 2)).astype(np.int16)
            soundfile.write(folder / f"{stem}.wav", samples, RATE)


def ours(root: Path, cache: Path) -> float:
    """Seconds for the layout, the splits, and all headers."""
    settings = {"root": root, "layout": "auto", "sources": SOURCES, "sample_rate": RATE, "validation_share": 0.1}
    started = time.perf_counter()
    found = library.from_settings(settings, cache)
    assert found.is_prepared and len(found.scan.splits.train) + len(found.scan.splits.valid) == NUM_TRACKS
    return time.perf_counter() - started


def theirs(python: str, folder: Path, root: Path) -> float:
    """Seconds that MSST takes to collect its metadata."""
    (folder / "config.yaml").write_text(CONFIG)
    (folder / "msst_scan.py").write_text(MSST)
    command = [python, folder / "msst_scan.py", folder / "config.yaml", root, folder / "metadata.pkl"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, count = done.stdout.split()[-2:]
    assert int(count) == NUM_TRACKS, done.stdout
    return float(seconds)


def one_round(folder: Path, python: str | None, number: int) -> list[list[float]]:
    """Seconds of each contender for a first look and a second one, by turns."""
    own = folder / str(number)
    own.mkdir()
    times = [[ours(folder / "songs", own) for _ in range(2)]]
    return times if python is None else [*times, [theirs(python, own, folder / "songs") for _ in range(2)]]


def main() -> None:
    """Print the table: medians of three rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_songs(folder / "songs")
        python = os.environ.get("MSST_PYTHON")
        if python is None:
            print("MSST_PYTHON is not set: msst is left out", file=sys.stderr)
        rounds = [one_round(folder, python, number) for number in range(3)]
    rows = np.median(rounds, axis=0)
    print(f"{NUM_TRACKS} tracks x 5 files, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}\n")
    print("| | first time, s | again, s |\n|---|---|---|")
    for what, (first, again) in zip(
        ("unmix: layout, splits, all headers", "msst metadata, type 1"), rows, strict=False
    ):
        print(f"| {what} | {first:.3f} | {again:.3f} |")


if __name__ == "__main__":
    main()
