"""Compare loading of training batches with openunmix's loader, on the same tree in the same run: `make bench-loader`.

Six-second stereo segments of four sources, gain and channel swap, batches of 16, page cache warm; then each
augmentation beside a training step.
"""

import itertools
import logging
import os
import platform
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import soundfile
import torch
from openunmix import data as theirs
from torch.utils.data import DataLoader

from unmix.composition import compose
from unmix.data import memory
from unmix.data.datamodule import SeparationDataModule
from unmix.data.datasets import BatchKey
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES
from unmix.runs.build import build_module, make_datamodule

NUM_TRACKS, TRACK_SECONDS, SEGMENT_SECONDS, BATCH, RATE = 8, 60, 6.0, 16, 44100
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# The default, each effect on waveforms, and all augmentations.
LISTS = ["gain,swap", "gain,swap,speed", "gain,swap,mixup", "gain,swap,tilt", "gain,swap,band_limit"]
LISTS.append("gain,swap,polarity,shift,activity,same_track,speed,mixup,tilt,band_limit")


def write_tree(root: Path, num_tracks: int, seconds: float) -> Path:
    """Write tracks of noise, one of them for validation, or with a hundred tracks musdb's fourteen."""
    generator = np.random.default_rng(0)
    held_out = MUSDB_VALIDATION_TRACKS[: 14 if num_tracks >= 100 else 1]
    for name in (*held_out, *(f"Band {index:03d} - Noise" for index in range(num_tracks - len(held_out)))):
        folder = root / "train" / name
        folder.mkdir(parents=True)
        stems = {name: generator.integers(-4000, 4000, (round(seconds * RATE), 2), dtype=np.int16) for name in SOURCES}
        for stem, samples in (*stems.items(), ("mixture", sum(stems.values()))):
            soundfile.write(folder / f"{stem}.wav", samples, RATE, subtype="PCM_16")
    return root


def samples_per_second(batches: Iterable[object], num_batches: int) -> float:
    """Loading rate, without the first batch, which includes the start of the loader."""
    iterator = iter(batches)
    next(iterator)
    started = time.perf_counter()
    done = sum(1 for _ in itertools.islice(iterator, num_batches))
    return BATCH * done / (time.perf_counter() - started)


def reference(root: Path, workers: int) -> float:
    """Samples per second of openunmix.data.MUSDBDataset, as its scripts/train.py uses it."""
    dataset = theirs.MUSDBDataset(
        target="vocals",
        root=str(root),
        is_wav=True,
        split="train",
        seq_duration=SEGMENT_SECONDS,
        samples_per_track=64,
        random_track_mix=True,
        source_augmentations=theirs.aug_from_str(["gain", "channelswap"]),
    )
    return samples_per_second(DataLoader(dataset, batch_size=BATCH, shuffle=True, num_workers=workers), 3)


def ours(root: Path, cache: Path, workers: int, *, is_rendered: bool) -> float:
    """Samples per second of batches from files, as the trainer gets them; on the CPU also rendered."""
    module = SeparationDataModule(root, name="bench", num_workers=workers, cache=cache, batch_size=BATCH)
    loader = module.train_dataloader()
    if is_rendered:
        return samples_per_second((module.on_after_batch_transfer(batch, 0) for batch in loader), 20)
    return samples_per_second(loader, 20)


def scan_seconds(root: Path, cache: Path) -> float:
    """Seconds until the first batch could be drawn."""
    started = time.perf_counter()
    SeparationDataModule(root, name="bench", segment_seconds=0.05, cache=cache).check_training()
    return time.perf_counter() - started


def write_linked_tree(root: Path, num_tracks: int) -> Path:
    """Write tracks without splits, whose files are links to those of one of them: a large tree in little room."""
    first = write_tree(root.with_name("first"), 1, 0.1) / "train" / MUSDB_VALIDATION_TRACKS[0]
    for number in range(num_tracks):
        folder = root / f"Song {number}"
        folder.mkdir(parents=True)
        for file in first.iterdir():
            os.link(file, folder / file.name)
    return root


def detection_seconds(root: Path, cache: Path) -> float:
    """Seconds until the layout of a tree is detected, and its tracks are split and checked."""
    started = time.perf_counter()
    settings = {"layout": "auto", "validation_share": 0.1, "segment_seconds": 0.05}
    SeparationDataModule(root, name="bench", cache=cache, **settings).check_training()
    return time.perf_counter() - started


def milliseconds(function: Callable[[int], object], index: int) -> float:
    """Milliseconds of a call, once the device has finished its work."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    function(index)
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started)


def renderer(root: Path, cache: Path, augmentations: str) -> Callable[[int], dict[str, torch.Tensor]]:
    """Make a function that draws, reads and renders the batch of an index."""
    options = ["experiment=umxhq", f"data.root={root}", f"paths.data={cache}", f"data.augmentations={augmentations}"]
    data = make_datamodule(compose("train", options).data)
    data.trainer = SimpleNamespace(
        global_rank=0,
        world_size=1,
        strategy=SimpleNamespace(root_device=DEVICE),
        precision_plugin=SimpleNamespace(convert_input=lambda batch: batch),
    )
    dataset = data.train_dataloader().dataset

    def rendered(index: int) -> dict[str, torch.Tensor]:
        batch = data.transfer_batch_to_device(dataset[BatchKey(0, BATCH * index, BATCH)], DEVICE, 0)
        return data.on_after_batch_transfer(batch, 0)

    return rendered


def print_augmentations(root: Path, cache: Path) -> None:
    """Compare batches of several lists of augmentations, which take turns, to a training step of experiment=umxhq."""
    module = build_module(compose("train", ["experiment=umxhq", f"data.root={root}"])).to(DEVICE)
    module.log = module.log_dict = lambda *_, **__: None  # there is no trainer to log to
    optimizer = torch.optim.Adam(module.parameters())
    functions = {f"a batch, [{names}]": renderer(root, cache, f"[{names}]") for names in LISTS}
    batch = next(iter(functions.values()))(0)

    def step(_: int) -> None:
        optimizer.zero_grad()
        module.training_step(batch, 0).backward()
        optimizer.step()

    functions["a training step, without its batch"] = step
    turns = 50 if DEVICE.type == "cuda" else 10
    timings = [
        {name: milliseconds(function, index) for name, function in functions.items()} for index in range(turns + 2)
    ]
    medians = {name: statistics.median(timing[name] for timing in timings[2:]) for name in functions}
    first, whole = (list(medians.values())[index] for index in (0, -1))
    print(f"\n{torch.cuda.get_device_name() if DEVICE.type == 'cuda' else 'CPU'}, {BATCH} x {SEGMENT_SECONDS:g} s\n")
    print("| | ms | more than the default, of a step |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.1f} | {(median - first) / (first + whole):.1%} |")


def main() -> None:
    """Print the tables."""
    warnings.simplefilter("ignore")
    logging.disable(logging.INFO)
    memory.keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        root, cache = write_tree(Path(folder, "tree"), NUM_TRACKS, TRACK_SECONDS), Path(folder, "cache")
        cores = len(os.sched_getaffinity(0))
        print(
            f"machine: {platform.processor() or platform.machine()}, {cores} cores, torch {torch.__version__}, ", end=""
        )
        print(f"openunmix {version('openunmix')}, musdb {version('musdb')}; {NUM_TRACKS} tracks x {TRACK_SECONDS} s\n")
        rates = {workers: reference(root, workers) for workers in (0, 2)}
        best = max(rates.values())
        print("| loader | workers | samples/s | of the reference's best |\n|---|---|---|---|")
        for workers, rate in rates.items():
            print(f"| openunmix.data.MUSDBDataset | {workers} | {rate:.1f} | {rate / best:.1f} |")
        for workers, is_rendered in itertools.product((0, 2), (False, True)):
            rate = ours(root, cache, workers, is_rendered=is_rendered)
            what = "rendered float mixtures" if is_rendered else "int16 batches"
            print(f"| disk, {what} | {workers} | {rate:.0f} | {rate / best:.0f} |")
        print("\n| scan | first time | again |\n|---|---|---|")
        for num_tracks in (100, 150):
            small = write_tree(Path(folder, f"tree{num_tracks}"), num_tracks, 0.1)
            first, again = scan_seconds(small, cache), scan_seconds(small, cache)
            print(f"| {num_tracks} tracks x 5 files | {first:.2f} s | {again:.3f} s |")
        large = write_linked_tree(Path(folder, "large"), 5000)
        first, again = detection_seconds(large, cache), detection_seconds(large, cache)
        print(f"| 5000 tracks x 5 files, data.layout=auto | {first:.2f} s | {again:.3f} s |")
        print_augmentations(root, cache)


if __name__ == "__main__":
    main()
