"""Detector of lossy coding and resampling: a cut-off above which the long-term spectrum is empty."""

from collections.abc import Iterator

import numpy as np

from unmix.data.doctor.finding import Finding
from unmix.data.doctor.measuring import FFT_SIZE, Measurement
from unmix.data.tracks import Track

LOWEST_HZ = 2000  # below, instruments have cut-offs of their own
HIGHEST = 0.93  # of the Nyquist frequency; the filters of converters lie above
# An instrument's filter falls by up to 48 dB per octave, 16 in a third of one, on top of what the sound loses itself;
# that of a codec falls by hundreds.
DROP_DB = 40.0
THIRD = 2 ** (1 / 3)
SIXTH = 2 ** (1 / 6)
EDGE_DB = 10.0  # the cut-off is where the spectrum has fallen by this
_FEWEST = 8  # bins on either side
_NOISE = 0.52 * 0.375 * FFT_SIZE / 12  # power of the rounding to 16 bits in a bin of a mono spectrum


def low_pass(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find files without anything above a cut-off."""
    for stem, power in zip(measured.stems, measured.spectrum, strict=True):
        cutoff = cutoff_hz(power, measured.sample_rate)
        if cutoff is not None:
            yield Finding(
                "note",
                "low_pass",
                track.name,
                str(track.path(stem)),
                f"{stem} is empty above a cut-off, as after lossy coding",
                detail=f"{cutoff / 1000:.1f} kHz",
                values={"cutoff_hz": cutoff},
            )


def cutoff_hz(power: np.ndarray, sample_rate: int) -> float | None:
    """Frequency above which a power spectrum falls by `DROP_DB` within a third of an octave, and stays low; or None.

    Args:
        power: mean power of each bin, (bins,).
        sample_rate: Hz.
    """
    edge, drop = steepest(power, sample_rate)
    if drop < DROP_DB:
        return None
    reference = np.median(10 * np.log10(power[round(edge / SIXTH) : edge] + _NOISE))
    smooth = np.convolve(power, np.full(5, 0.2), mode="same")[edge : round(edge * THIRD)]
    passing = np.flatnonzero(10 * np.log10(smooth + _NOISE) >= reference - EDGE_DB)
    last = edge + (int(passing[-1]) if passing.size else 0)
    return last * sample_rate / FFT_SIZE


def steepest(power: np.ndarray, sample_rate: int) -> tuple[int, float]:
    """Bin at which a power spectrum falls most within a third of an octave, and stays low; and by how much, in dB."""
    nyquist = len(power) - 1
    levels = 10 * np.log10(power + _NOISE)
    sums = np.concatenate([[0], np.cumsum(power + _NOISE)])
    edges = np.arange(round(LOWEST_HZ / sample_rate * FFT_SIZE), round(HIGHEST * nyquist), 2)
    starts = edges + np.minimum(np.round((THIRD - 1) * edges).astype(int), (nyquist - edges) // 2)
    stops = np.minimum(np.round(starts * SIXTH).astype(int), nyquist)
    above = 10 * np.log10((sums[stops] - sums[starts]) / (stops - starts))
    highest_above = np.maximum.accumulate(above[::-1])[::-1]
    firsts, totals = np.round(edges / SIXTH).astype(int), np.concatenate([[0], np.cumsum(levels)])
    below = (totals[edges] - totals[firsts]) / (edges - firsts)  # of decibels: a single line has little weight
    best = int((below - highest_above).argmax())
    return int(edges[best]), float(below[best] - highest_above[best])
