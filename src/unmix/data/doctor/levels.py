"""Detectors of wrong levels: silence, DC offset, clipping, lost bits, and channels that are equal, opposite or dead."""

from collections.abc import Iterator

import numpy as np

from unmix.data.doctor.finding import Finding, decibels
from unmix.data.doctor.measuring import BLOCK, Measurement
from unmix.data.pcm import INT16_FULL_SCALE
from unmix.data.tracks import Track
from unmix.errors import counted

SILENT = 32  # int16 steps, -60 dBFS: what stays below is noise
NEARLY_SILENT = 328  # -40 dBFS: no music is this quiet throughout; a stem was exported at a wrong level
DC_OFFSET = 66  # -54 dBFS; converters block direct current, so that a mean this far from zero is an error of processing
STEADY = 6  # blocks, 4.5 s at 44.1 kHz, that an offset lasts at least when it begins within a file
MOST_BLOCKS = 0.8  # share of the blocks from there on that are near the offset
CLIPPED_PEAKS = 3  # a chance limit: two cut peaks at exactly the same level
LOST_BITS = 4  # of 16; the noise of any recording fills all of them
EQUAL = 1e-4  # of the energy, -40 dB: channels that differ less are one
OPPOSITE = -0.8  # correlation of the channels; wide stereo is uncorrelated
_CHANNELS = ("left", "right")


def silent(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find files that are silent, or so quiet that they were exported at a wrong level."""
    for stem in measured.stems:
        peak = float(_swing(measured)[measured.rows(stem)].max())
        level = f"peak {decibels(peak**2, INT16_FULL_SCALE**2):.1f} dBFS" if peak else ""
        if peak < SILENT:
            yield _finding(track, stem, "note", "silent", f"{stem} is silent", detail=level)
        elif peak < NEARLY_SILENT:
            remedy = f"export {stem} again at its level in the mixture"
            yield _finding(track, stem, "warning", "nearly_silent", f"{stem} is nearly silent", remedy, detail=level)


def dc_offset(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find files whose mean is away from zero all the time, or from some time on."""
    lengths = np.minimum(BLOCK, measured.num_samples - BLOCK * np.arange(len(measured.sums)))
    means = measured.sums / lengths[:, None]
    first, offsets = 0, _offsets(means)
    if not offsets.any() and len(means) >= 2 * STEADY:
        first = _step(means)
        offsets = _offsets(means[first:], steady=MOST_BLOCKS)
    of_sources = offsets[measured.num_channels :].reshape(-1, measured.num_channels).sum(axis=0)
    for stem in measured.stems:
        own = offsets[measured.rows(stem)]
        is_inherited = stem == "mixture" and np.abs(own - of_sources).max() < DC_OFFSET
        if own.any() and not is_inherited:
            worst = float(own[np.abs(own).argmax()]) / INT16_FULL_SCALE
            yield _finding(
                track,
                stem,
                "warning",
                "dc_offset",
                f"{stem} has a DC offset",
                f"subtract its mean from {stem}, or filter it with a high-pass at 5 Hz",
                detail=f"{worst:+.4f} of full scale{_in_channel(own != 0)}",
                values={"offset": worst},
                position=first * BLOCK / track.sample_rate if first else None,
            )


def _offsets(means: np.ndarray, steady: float = 0.5) -> np.ndarray:
    """Offset of each row from the means of its blocks, (blocks, rows) -> (rows,); 0 where it is small or not steady."""
    offsets = np.median(means, axis=0)
    deviations = np.quantile(np.abs(means - offsets), steady, axis=0)
    offsets[(np.abs(offsets) < DC_OFFSET) | (np.abs(offsets) < 2 * deviations)] = 0
    return offsets


def _step(means: np.ndarray) -> int:
    """Block from which on the mean of some row is away from what it was before, most clearly so of all."""
    best, first_best = 0.0, 0
    for first in range(STEADY, len(means) - STEADY + 1):
        before, after = means[:first], means[first:]
        change = np.abs(after.mean(axis=0) - before.mean(axis=0))
        clarity = float((change / (before.std(axis=0) + after.std(axis=0) + 1)).max())
        best, first_best = max((best, first_best), (clarity, first))
    return first_best


def clipped(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find files whose peaks are cut off, at full scale or below; and those that only reach full scale."""
    for stem in measured.stems:
        rows = measured.rows(stem)
        num_cut, num_full = int(measured.num_cut[:, rows].sum()), int(measured.num_full[rows].sum())
        peak = float(measured.peaks[:, rows].max())
        level = decibels(peak**2, INT16_FULL_SCALE**2)
        if num_cut >= CLIPPED_PEAKS:
            yield _finding(
                track,
                stem,
                "warning",
                "clipped",
                f"{stem} is clipped",
                f"export {stem} again with headroom, or as float",
                detail=f"{counted(num_cut, 'peak')} cut off at {level:.1f} dBFS",
                values={"peaks": num_cut, "level_db": level},
            )
        elif num_full:
            samples = counted(num_full, "sample")
            yield _finding(track, stem, "note", "full_scale", f"{stem} reaches full scale", detail=samples)


def few_bits(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find files whose lowest bits are never set: they were quantised more coarsely than they are stored."""
    for stem, bits in zip(measured.stems, measured.bits.tolist(), strict=True):
        used = bits & 0xFFFF
        num_lost = (used & -used).bit_length() - 1 if used else 0
        if num_lost >= LOST_BITS:
            what = f"{stem} has only {16 - num_lost} of 16 bits"
            yield _finding(track, stem, "warning", "few_bits", what, f"export {stem} again from its original")


def channels(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find stereo files with equal or opposite channels, or a dead one."""
    if measured.num_channels != 2:
        return
    gram = measured.gram.sum(axis=0, dtype=np.float64)
    swing = _swing(measured)
    for stem in measured.stems:
        left, right = range(*measured.rows(stem).indices(len(gram)))
        loudest, other = max(swing[left], swing[right]), min(swing[left], swing[right])
        if loudest < SILENT:
            continue
        if other < SILENT and other < loudest * EQUAL**0.5:
            dead = _CHANNELS[int(swing[right] < swing[left])]
            what = f"the {dead} channel of {stem} is dead"
            yield _finding(track, stem, "warning", "dead_channel", what, f"export {stem} again in stereo")
            continue
        energies = gram[left, left], gram[right, right]
        if abs(energies[0] - energies[1]) > EQUAL * 10 * max(energies):
            continue
        correlation = gram[left, right] / np.sqrt(energies[0] * energies[1])
        if correlation > 1 - EQUAL:
            yield _finding(track, stem, "note", "dual_mono", f"{stem} is dual-mono")
        elif correlation < OPPOSITE:
            what, remedy = f"the channels of {stem} are opposite", f"invert one channel of {stem}"
            yield _finding(track, stem, "warning", "opposite_channels", what, remedy)


def _swing(measured: Measurement) -> np.ndarray:
    """Half the distance between highest and lowest sample of each row, in int16 steps: a level without DC offset."""
    return (measured.peaks[0] + measured.peaks[1]) / 2


def _in_channel(affected: np.ndarray) -> str:
    return f" in the {_CHANNELS[int(affected.argmax())]} channel" if affected.sum() == 1 < affected.size == 2 else ""


def _finding(
    track: Track,
    stem: str,
    severity: str,
    defect: str,
    what: str,
    remedy: str = "",
    *,
    detail: str = "",
    values: dict[str, float | str] | None = None,
    position: float | None = None,
) -> Finding:
    path = str(track.path(stem))
    return Finding(severity, defect, track.name, path, what, remedy, position, detail, values or {})
