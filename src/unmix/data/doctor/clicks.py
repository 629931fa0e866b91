"""Detector of clicks: single samples, or jumps between two, that stand out from the passage around them."""

from collections.abc import Iterator

import numpy as np

from unmix.data.doctor.excerpt import Samples, read
from unmix.data.doctor.finding import Finding, decibels
from unmix.data.doctor.measuring import JOLT, Measurement, downmix
from unmix.data.pcm import INT16_FULL_SCALE
from unmix.data.tracks import Track
from unmix.errors import counted

STANDS_OUT = 5.0  # times the largest second difference around, 14 dB: onsets of instruments stay below 3
SMALLEST = 200  # int16 steps, -44 dBFS
REACH = (2, 7)  # windows on either side that a click is compared with: a period of the lowest bass, 30 Hz
WIDTH = 3  # samples; what rings longer is a sound
ONSET = 10.0  # a passage that is this much louder than before begins there
OWN = 0.5  # of the mixture's second difference, found in the residual, too
MOST = 500  # candidates of a file that are looked at


def clicks(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find clicks in all files; a click of the mixture that is not in the residual comes from its sources."""
    for stem in measured.stems:
        if events := _of_file(track, measured, stem):
            largest = max(size for _, size in events)
            level = decibels(largest**2, INT16_FULL_SCALE**2)
            yield Finding(
                "warning",
                "click",
                track.name,
                str(track.path(stem)),
                f"{stem} has clicks",
                f"repair {stem} there, or export it again",
                events[0][0] / track.sample_rate,
                f"{counted(len(events), 'click')} of up to {level:.0f} dBFS",
                {"sample": events[0][0], "count": len(events), "level_db": level},
            )


def standing_out(jolts: np.ndarray) -> np.ndarray:
    """Indices of the windows whose second difference stands out from those around, (windows,) -> (candidates,)."""
    near, far = REACH
    padded = np.pad(jolts, far)
    around = np.zeros_like(jolts)
    for distance in range(near, far + 1):
        for first in (far - distance, far + distance):
            np.maximum(around, padded[first : first + len(jolts)], out=around)
    return np.flatnonzero((jolts >= STANDS_OUT * around) & (jolts >= SMALLEST))


def _of_file(track: Track, measured: Measurement, stem: str) -> list[tuple[int, float]]:
    """Clicks of a file: sample and size in int16 steps."""
    events: dict[int, float] = {}
    jolts, residual = measured.jolts[measured.stems.index(stem)], measured.jolts[-1]
    for window in standing_out(jolts)[:MOST].tolist():
        if stem == "mixture" and residual[window] < OWN * jolts[window]:
            continue
        first = max(0, window * JOLT - JOLT)
        stop = min((window + 2) * JOLT, track.num_samples)
        mono = downmix(track.num_channels) @ read(track, stem, first, stop)
        if (click := _look(mono)) is not None:
            events[first + click[0]] = click[1]
    return sorted(events.items())


def _look(mono: Samples) -> tuple[int, float] | None:
    """Sample and size of a click in a passage of one channel; None when it is the onset of a sound, or its end."""
    step, bend = np.abs(np.diff(mono)), np.abs(np.diff(mono, n=2))
    peak = int(bend.argmax())
    left, right = slice(0, max(0, peak - WIDTH)), slice(peak + WIDTH + 1, None)
    for values in (bend, step):
        largest = values[max(0, peak - WIDTH) : peak + WIDTH + 1].max()
        around = max(values[left].max(initial=0), values[right].max(initial=0))
        if largest < max(STANDS_OUT * around, SMALLEST / 2):
            return None
    before, after = mono[left][-JOLT:], mono[right][2 : JOLT + 2]
    levels = [float(np.std(part)) + 1 if part.size else 1.0 for part in (before, after)]
    if max(levels) > ONSET * min(levels):
        return None
    middle = mono[max(0, peak - WIDTH) : peak + WIDTH + 2]
    return peak + 1, float(np.abs(np.diff(middle)).max())
