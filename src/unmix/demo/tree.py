"""Write a data set of synthetic music in MUSDB18-HQ's layout.

    python -m unmix.demo.tree --tracks 24 --seconds 20 OUT

The same arguments give the same bytes, whatever the number of processes. A mixture is the exact sum of its stems.
"""

import argparse
import math
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt
import soundfile
from filelock import FileLock

from unmix.data.tracks import MUSDB_VALIDATION_TRACKS
from unmix.demo import instruments
from unmix.demo.instruments import SAMPLE_RATE, Waveform
from unmix.demo.songs import compose
from unmix.errors import counted
from unmix.files import replacing

_PEAK = 0.8  # of full scale: no clipping, and headroom for gains on read
_FADE_SECONDS = 0.03
# fmt: off
_ARTISTS = (
    "Amber Lathe", "Blue Kiln", "Cedar Static", "Dune Parade", "Echo Orchard", "Faint Harbor", "Glass Meridian",
    "Hollow Pine", "Iron Lantern", "June Vector", "Kite Republic", "Lunar Tannery", "Marble Fox", "North Arcade",
    "Opal Engine", "Paper Delta",
)
_TITLES = (
    "After the Ferry", "Borrowed Light", "Carousel", "Distant Wires", "Evening Ledger", "Falling Upward",
    "Grey Pavilion", "Halfway", "In Plain Colors", "Junction", "Keep the Map", "Low Tide", "Midnight Errand",
    "No Signal", "Over the Weir", "Quiet Machines", "Rooftops", "Slow Thunder", "Tinfoil Moon", "Undertow",
)
# fmt: on


class _Order(NamedTuple):
    """Task for a worker process: the track to make, and the folder to write it to."""

    folder: Path
    num_samples: int
    seed: int
    track: int


def write_tree(root: Path, *, num_tracks: int = 24, seconds: float = 20.0, seed: int = 0) -> None:
    """Write `root/{train,test}/<track>/{mixture,drums,bass,other,vocals}.wav`, 44.1 kHz, stereo, 16 bits.

    Does nothing when `root` exists. The tree is complete before it appears under that name. When several processes call
    this at once, one writes and the others wait. Worker processes are started, so a script that calls this needs
    `if __name__ == "__main__"`.

    Args:
        root: folder to create, with its parents.
        num_tracks: number of tracks in all splits together; see `plan_tracks` for their names and splits.
        seconds: length of every track.
        seed: another seed gives other music under the same names.
    Raises:
        ValueError: when num_tracks or seconds is below 1, or seed below 0.
    """
    root = Path(root)
    if num_tracks < 1 or not 1 <= seconds < math.inf or seed < 0:
        raise ValueError(f"need num_tracks >= 1, seconds >= 1, seed >= 0; got {num_tracks}, {seconds}, {seed}")
    if root.exists():
        return
    root.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(root.parent / f".{root.name}.lock"):
        if root.exists():
            return
        tracks, num_samples = plan_tracks(num_tracks), round(seconds * SAMPLE_RATE)
        with replacing(root) as partial:
            _write_tracks([_Order(partial / track, num_samples, seed, index) for index, track in enumerate(tracks)])


def plan_tracks(num_tracks: int) -> list[Path]:
    """Plan the paths `train/<name>` and `test/<name>` of all tracks, relative to the root; names are unique.

    Of 6 tracks or more, a sixth (14 at most) have names of musdb's validation tracks and a quarter are test tracks. Of
    fewer, none is a validation track, and one is a test track if there are at least two.
    """
    if num_tracks < 6:
        num_valid, num_test = 0, min(num_tracks - 1, 1)
    else:
        num_valid, num_test = min(num_tracks // 6, len(MUSDB_VALIDATION_TRACKS)), num_tracks // 4
    names = [_invent_name(index) for index in range(num_tracks - num_valid)]
    train = [*MUSDB_VALIDATION_TRACKS[:num_valid], *names[num_test:]]
    return [Path("train", name) for name in train] + [Path("test", name) for name in names[:num_test]]


def _invent_name(index: int) -> str:
    """Make a unique name `Artist - Title` for a track; from the 321st on, a number is appended."""
    verse, artist = divmod(index, len(_ARTISTS))
    volume, title = divmod(verse, len(_TITLES))
    # For a fixed artist, (title + artist) % 20 takes every value once per volume, so names are unique.
    name = f"{_ARTISTS[artist]} - {_TITLES[(title + artist) % len(_TITLES)]}"
    return name if volume == 0 else f"{name} {volume + 1}"


def _write_tracks(orders: list[_Order]) -> None:
    if len(orders) <= 2:  # starting processes would take longer
        for order in orders:
            _write_track(order)
        return
    num_workers = min(os.cpu_count() or 1, len(orders))
    # spawn: the caller may have threads (torch has), which a fork would not survive.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context, initializer=_end_with_parent) as pool:
        list(pool.map(_write_track, orders))


def _end_with_parent() -> None:
    """Make a worker process exit when its parent ends, even by SIGKILL; it would wait for work forever otherwise."""
    threading.Thread(target=_exit_after_parent, daemon=True).start()


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _write_track(order: _Order) -> None:
    stems = render_stems(order.num_samples, seed=order.seed, index=order.track)
    order.folder.mkdir(parents=True)
    for name, samples in {"mixture": _mix(stems), **stems}.items():
        soundfile.write(order.folder / f"{name}.wav", samples.T, SAMPLE_RATE, subtype="PCM_16")


def _mix(stems: dict[str, npt.NDArray[np.int16]]) -> npt.NDArray[np.int16]:
    """Sum the stems to the mixture, exactly: `render_stems` leaves headroom for it in 16 bits."""
    return np.stack(list(stems.values())).sum(axis=0, dtype=np.int32).astype(np.int16)


def render_stems(num_samples: int, *, seed: int, index: int) -> dict[str, npt.NDArray[np.int16]]:
    """Render the stems of track `index`: name -> int16, (channels, samples); the loudest of stems and sum peaks at 0.8.

    Silent passages are exactly zero. Random numbers depend on seed and index alone, so a track is the same in a tree of
    any size.
    """
    rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, index]))
    song = compose(rng, num_samples)
    stems = {
        "drums": instruments.drums(rng, song.drums, num_samples=num_samples),
        "bass": instruments.bass(rng, song.bass, num_samples=num_samples),
        "other": instruments.other(rng, song.chords, arpeggio=song.arpeggio, num_samples=num_samples),
        "vocals": instruments.vocals(rng, song.vocals, num_samples=num_samples),
    }
    stems = {name: _finish(rng, stem) for name, stem in stems.items()}
    peak = max(np.abs(waveform).max() for waveform in (*stems.values(), sum(stems.values())))
    return {name: np.round(stem * (_PEAK / peak * 32767)).astype(np.int16) for name, stem in stems.items()}


def _finish(rng: np.random.Generator, stem: Waveform) -> Waveform:
    """Bring a stem to a common loudness (plus or minus 3 dB), and fade it out so that it does not end in a click."""
    gain = 10 ** (rng.uniform(-3, 3) / 20)
    fade = int(_FADE_SECONDS * SAMPLE_RATE)
    stem = gain * instruments.level(stem)
    stem[:, -fade:] *= np.linspace(1, 0, fade)
    return stem


class _Parser(argparse.ArgumentParser):
    """Argument parser that raises ValueError instead of printing the usage and exiting."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0, or 2 after a one-line error message."""
    parser = _Parser(prog="python -m unmix.demo.tree", description="Write a MUSDB18-HQ tree of synthetic music.")
    parser.add_argument("out", metavar="OUT", type=Path, help="folder to create")
    parser.add_argument("--tracks", type=int, default=24, metavar="N")
    parser.add_argument("--seconds", type=float, default=20.0, metavar="S", help="length of every track")
    parser.add_argument("--seed", type=int, default=0, metavar="K")
    started = time.monotonic()
    try:
        options = parser.parse_args(argv)
        if options.out.exists():
            raise FileExistsError(f"{options.out} exists already")
        write_tree(options.out, num_tracks=options.tracks, seconds=options.seconds, seed=options.seed)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"unmix.demo.tree: {error}\n")
        return 2
    megabytes = sum(file.stat().st_size for file in options.out.rglob("*.wav")) / 1e6
    seconds_taken = time.monotonic() - started
    sys.stdout.write(
        f"{counted(options.tracks, 'track')} in {options.out}: {seconds_taken:.1f} s, {megabytes:.0f} MB\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
