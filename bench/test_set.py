"""Speed of separating and scoring a test set as `evaluate.py` does: `make bench-test_set`.

On a GPU there are 50 tracks of 252 s, 3.5 hours like MUSDB18's, on a CPU two of 30 s: links to one track of noise. Four
networks of hidden size 512 with random weights, one EM iteration; the mixture is scored, too. One row per number of
scoring processes; 0 scores in the separating process, between two tracks.
"""

import os
import platform
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch

from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import SOURCES, Track
from unmix.dsp.stft import Stft
from unmix.evaluation.callback import Museval, evaluate
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import ModelsTest
from unmix.models.open_unmix import OpenUnmix
from unmix.models.open_unmix.separator import Separator
from unmix.training.trainer import make_trainer

CUDA = torch.cuda.is_available()
TRACKS, SECONDS, WORKERS = (50, 252, (0, 4, 12)) if CUDA else (2, 30, (0, 2))
RATE = 44100


def write_tree(root: Path) -> list[Track]:
    """Write a test set of one track of noise and hard links to it."""
    generator = np.random.default_rng(0)
    first = root / "test" / "Track 00"
    first.mkdir(parents=True)
    stems = generator.integers(-3000, 3000, (len(SOURCES), SECONDS * RATE, 2)).astype(np.int16)
    for name, samples in zip((*SOURCES, "mixture"), (*stems, stems.sum(axis=0, dtype=np.int16)), strict=True):
        soundfile.write(first / f"{name}.wav", samples, RATE, subtype="PCM_16")
    for i in range(1, TRACKS):
        (root / "test" / f"Track {i:02d}").mkdir()
        for path in first.iterdir():
            os.link(path, root / "test" / f"Track {i:02d}" / path.name)
    data = SeparationDataModule(root, name="noise", validation_tracks=(), cache=root / "cache")
    return list(data.splits.test)


def evaluation_seconds(tracks: list[Track], folder: Path, workers: int) -> float:
    """Measure the seconds of an evaluation into an empty folder."""
    torch.manual_seed(0)
    separator = Separator({name: OpenUnmix(512) for name in SOURCES}, Stft(center=True), sample_rate=RATE).eval()
    scorer = Museval(tracks, EvaluationFolder(folder), method="noise", settings={}, workers=workers)
    trainer = make_trainer(
        None, logger=False, callbacks=[scorer], enable_checkpointing=False, enable_progress_bar=False
    )
    started = time.perf_counter()
    evaluate(lambda *arguments: ModelsTest(separator, *arguments), scorer, trainer)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    machine = torch.cuda.get_device_name() if CUDA else platform.processor() or platform.machine()
    print(f"machine: {machine}, {os.cpu_count()} cores, torch {torch.__version__}; {TRACKS} tracks of {SECONDS} s\n")
    print("| scoring processes | seconds | seconds per second of audio |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        tracks = write_tree(Path(folder) / "data")
        for workers in WORKERS:
            seconds = evaluation_seconds(tracks, Path(folder) / f"{workers}", workers)
            print(f"| {workers} | {seconds:.1f} | {seconds / TRACKS / SECONDS:.4f} |")


if __name__ == "__main__":
    main()
