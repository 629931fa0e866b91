"""Detector of interruptions: passages at a constant value into which a sound breaks off without a fade.

A sound that is cut at the end of the file is truncated, one that goes on afterwards has a dropout. Edited stems are
silent between phrases, too, but fade there, if only within a millisecond or two.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unmix.data.doctor.excerpt import Samples, read
from unmix.data.doctor.finding import Finding
from unmix.data.doctor.measuring import FRAME, STILL, Measurement
from unmix.data.pcm import INT16_FULL_SCALE
from unmix.data.tracks import Track
from unmix.errors import counted

LOUD = 104  # int16 steps, -50 dBFS: level before an interruption from which it is heard
ABRUPT = 0.05  # of the preceding peak, reached within the last samples: a fade would have left less
LAST = 8  # samples that a fade is looked for in
STEPS = 4  # of the quantisation: what is quieter becomes constant by rounding
SOUND = 512  # samples that a sound lasts at least
BEFORE = 1024  # samples that the preceding peak is looked for in
MOST_OFTEN = 0.5  # interruptions per second: more are a style, as of a drum machine that plays samples without fades
MOST = 200  # passages of a channel that are looked at


@dataclass(frozen=True)
class Interruption:
    """An interruption, from sample `start` to `stop`."""

    start: int
    stop: int


def interruptions(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find dropouts and truncations of all files; those that the mixture shares with all sources are its own."""
    by_stem = {stem: _of_file(track, measured, stem) for stem in measured.stems}
    for stem, cuts in by_stem.items():
        shared = by_stem.get("mixture", []) if stem != "mixture" else []
        own = [cut for cut in cuts if cut not in shared or not _is_everywhere(cut, by_stem)]
        ends = [cut for cut in own if cut.stop == track.num_samples]
        dropouts = [cut for cut in own if cut.stop < track.num_samples]
        path, rate = str(track.path(stem)), track.sample_rate
        is_style = len(own) > MOST_OFTEN * track.num_samples / rate
        severity = "note" if is_style else "warning"
        for cut in ends:
            values = {"sample": cut.start, "missing": cut.stop - cut.start}
            detail = f"nothing in the last {(cut.stop - cut.start) / rate:.3f} s"
            what, position = f"{stem} is truncated", cut.start / rate
            remedy = "" if is_style else f"export {stem} again in full length"
            yield Finding(severity, "truncated", track.name, path, what, remedy, position, detail, values)
        if dropouts:
            longest = max(cut.stop - cut.start for cut in dropouts)
            detail = f"{counted(len(dropouts), 'dropout')}, longest {1000 * longest / rate:.0f} ms"
            position = dropouts[0].start / rate
            values = {"sample": dropouts[0].start, "count": len(dropouts), "longest": longest}
            what, remedy = f"{stem} has dropouts", "" if is_style else f"export {stem} again"
            yield Finding(severity, "dropout", track.name, path, what, remedy, position, detail, values)


def _is_everywhere(cut: Interruption, by_stem: dict[str, list[Interruption]]) -> bool:
    return all(any(abs(other.start - cut.start) < FRAME for other in cuts) for cuts in by_stem.values())


def _of_file(track: Track, measured: Measurement, stem: str) -> list[Interruption]:
    """Interruptions of a file in any channel, in order; those of several channels at one place are one."""
    cuts: list[Interruption] = []
    for channel, row in enumerate(range(*measured.rows(stem).indices(len(measured.still)))):
        cuts += _of_row(track, measured, stem, channel, row)
    cuts.sort(key=lambda cut: cut.start)
    return [cut for i, cut in enumerate(cuts) if i == 0 or cut.start >= cuts[i - 1].stop]


def _of_row(track: Track, measured: Measurement, stem: str, channel: int, row: int) -> Iterator[Interruption]:
    still = measured.still[row]
    edges = np.flatnonzero(np.diff(still.astype(np.int8), prepend=0, append=0))
    starts, stops = edges[::2] * STILL, np.minimum(edges[1::2] * STILL, track.num_samples)
    levels = np.sqrt(measured.energy[row] / FRAME)
    frames = np.maximum(0, (starts - 1) // FRAME)
    level = np.maximum(levels[frames], levels[np.maximum(0, frames - 1)])
    is_candidate = (starts > 0) & (starts < track.num_samples) & (level >= LOUD)
    for start, stop in list(zip(starts[is_candidate], stops[is_candidate], strict=True))[:MOST]:
        used = int(measured.bits[row // measured.num_channels])
        quantum = used & -used
        least = max(LOUD, STEPS * quantum)
        if (first := _break(track, stem, channel, int(start), measured.peaks[:, row], least)) is not None:
            yield Interruption(first, _resumption(track, stem, channel, int(stop)))


def _break(track: Track, stem: str, channel: int, start: int, peaks: np.ndarray, least: int) -> int | None:
    """Sample at which a sound breaks off before the still window at `start`; None when it fades, or is clipped."""
    first = max(0, start - STILL - BEFORE)
    samples = read(track, stem, first, start + STILL)[channel]
    value = samples[-1]
    if abs(value) >= 0.9 * peaks.max() or abs(value) >= INT16_FULL_SCALE - 1:
        return None
    moving = np.flatnonzero(samples != value)
    if not moving.size:
        return None
    end = int(moving[-1]) + 1
    before: Samples = np.abs(samples[max(0, end - BEFORE) : end] - value)
    is_sound = np.percentile(before[-SOUND:], 75) >= least  # and not a click
    return first + end if is_sound and before[-LAST:].max() >= max(least, ABRUPT * before.max()) else None


def _resumption(track: Track, stem: str, channel: int, stop: int) -> int:
    """Sample at which a still passage ends; `stop` is the end of its last still window."""
    samples = read(track, stem, stop - 1, min(stop + STILL, track.num_samples))[channel]
    moving = np.flatnonzero(samples != samples[0])
    return stop - 1 + int(moving[0]) if moving.size else track.num_samples
