"""Fit of one source to what the mixture holds of it: gains of its channels, a shift, a wrong sample rate.

What the mixture holds of a source is the mixture minus all other sources, if those are right. The source that can be
turned into it is the one that is wrong.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import numpy as np
import scipy.fft
import scipy.signal

from unmix.data.doctor.alignment import Defect, of_source
from unmix.data.doctor.excerpt import Samples, read, read_all
from unmix.data.doctor.finding import decibels
from unmix.data.tracks import Track
from unmix.errors import counted

LENGTH = 2**17  # samples of an excerpt, 3 s at 44.1 kHz
MAX_SHIFT = 2**17
EXPLAINED_DB = -6.0  # of the residual: less must be left by a fit that counts; lossy coding leaves about this
EXACT_DB = -20.0  # of the residual: nothing else is wrong
GAIN_DB = 0.1  # deviation that is told when nothing else is wrong
EXACT = 0.05  # deviation from 1 or 0 of the gains of exchanged or inverted channels
_SIMILAR = 0.7  # correlation of a shifted or resampled source with what the mixture holds of it
MUCH_BETTER = 0.5  # of the energy that the file as it is leaves: less must be left by a resampled one
_PIECE = 2**15  # samples that are compared at a time when rates are
_SLACK = 2**12  # samples by which a resampled source may be shifted, too
_RATES = (22050, 24000, 32000, 44100, 48000, 88200, 96000)
# Ratios of two rates, and those of film and video that are pulled up or down.
FACTORS = sorted(
    {Fraction(a, b) for a, b in permutations(_RATES, 2) if 0.45 < a / b < 2.2}
    | {Fraction(1001, 1000), Fraction(1000, 1001), Fraction(24, 25), Fraction(25, 24)}
)


@dataclass(frozen=True)
class Fit:
    """A defect that explains a residual, and what it leaves of it, in dB."""

    defect: Defect
    left_db: float


def fit(track: Track, stems: Sequence[str], start: int) -> Fit | None:
    """Explain the residual of the excerpt from `start` by a defect of one source; None when nothing does.

    Args:
        track: the track.
        stems: its files, mixture first.
        start: first sample of an excerpt in which mixture and sources disagree.
    """
    rows = read_all(track, stems, start, start + LENGTH)
    residual = rows[0] - rows[1:].sum(axis=0)
    fits = [
        candidate
        for stem, own in zip(stems[1:], rows[1:], strict=True)
        for candidate in (*_gains(stem, own, residual), *_shifts(track, stem, start, own + residual, residual))
    ]
    best = min(fits, key=lambda candidate: candidate.left_db, default=None)
    if best is None or best.left_db > EXACT_DB:
        best = next(_rates(track, stems, rows, start), best)
    return best if best is not None and best.left_db <= EXPLAINED_DB else None


def _gains(stem: str, own: Samples, residual: Samples) -> Iterator[Fit]:
    """Fit a gain, or a matrix of gains, to the channels of a source."""
    target = own + residual
    gain = (target * own).sum() / max((own * own).sum(), 1e-9)
    left = decibels(float(np.square(target - gain * own).sum()), float(np.square(residual).sum()))
    least_db = GAIN_DB if left <= EXACT_DB else 1.0
    if own.any() and (defect := of_source(stem, float(gain), least_db)):
        yield Fit(defect, left)
    if len(own) != 2 or not own.any():
        return
    matrix: Samples = np.linalg.lstsq(own.T, target.T)[0].T.astype(np.float64)
    own_left = decibels(float(np.square(target - matrix @ own).sum()), float(np.square(residual).sum()))
    what = _of_matrix(stem, matrix)
    if what and own_left < left - 3:
        yield Fit(Defect(stem, "channels", what), own_left)


def _of_matrix(stem: str, matrix: Samples) -> str:
    """Say how the channels of a source are contained in the mixture; empty when it is no simple error."""
    for index, side in enumerate(("left", "right")):
        expected = np.eye(2)
        expected[index, index] = matrix[index, index]
        defect = of_source(stem, float(matrix[index, index]))
        if defect and np.abs(matrix - expected).max() < EXACT:
            return defect.what.replace(f"{stem} is", f"the {side} channel of {stem} is")
    return f"the channels of {stem} are exchanged" if np.abs(matrix - np.array([[0, 1], [1, 0]])).max() < EXACT else ""


def _shifts(track: Track, stem: str, start: int, target: Samples, residual: Samples) -> Iterator[Fit]:
    """Fit a shift, and a gain, to a source."""
    most = min(MAX_SHIFT, track.num_samples)
    around = read(track, stem, start - most, start + target.shape[-1] + most)
    lag, correlation, gain = best_lag(around, target)
    shift = most - lag  # of what the mixture holds, against the file
    if not shift or abs(correlation) < _SIMILAR:
        return
    energy, power = float(np.square(target).sum()), float(np.square(residual).sum())
    left = decibels(energy * max(0.0, 1 - correlation**2), power)
    side = "earlier" if shift > 0 else "later"
    what = f"{stem} is {counted(abs(shift), 'sample')} {side} than in the mixture"
    if gain < 0:
        what += " and inverted"
    yield Fit(Defect(stem, "shifted", what, {"samples": -shift, "gain": gain}), left)


def best_lag(signal: Samples, pattern: Samples) -> tuple[int, float, float]:
    """Position in a signal at which it is most like a pattern, of either sign.

    Args:
        signal: (channels, samples).
        pattern: (channels, fewer samples).
    Returns:
        First sample, correlation between -1 and 1, and the gain that turns the signal there into the pattern.
    """
    length = pattern.shape[-1]
    size = scipy.fft.next_fast_len(signal.shape[-1], real=True)
    products = scipy.fft.rfft(signal, size) * scipy.fft.rfft(pattern, size).conj()
    inner = scipy.fft.irfft(products.sum(axis=0), size)[: signal.shape[-1] - length + 1]
    sums = np.concatenate([[0], np.cumsum(np.square(signal).sum(axis=0))])
    energy = np.maximum(sums[length:] - sums[:-length], 0)
    floor = 1e-3 * energy.max(initial=0) + 1
    correlation = inner / np.sqrt((energy + floor) * max(np.square(pattern).sum(), 1e-9))
    best = int(np.abs(correlation).argmax())
    exact = inner[best] / np.sqrt(max(energy[best], 1e-9) * max(np.square(pattern).sum(), 1e-9))
    return best, float(exact), float(inner[best] / max(energy[best], 1e-9))


def _rates(track: Track, stems: Sequence[str], rows: Samples, start: int) -> Iterator[Fit]:
    """Fit a wrong sample rate to each source that the residual is loud beside: yield the most similar, if any is."""
    residual = rows[0] - rows[1:].sum(axis=0)
    best: tuple[float, str, Fraction] = (_SIMILAR, "", Fraction(1))
    for stem, own in zip(stems[1:], rows[1:], strict=True):
        target = own + residual
        first = int(np.square(target).sum(axis=0).reshape(-1, _PIECE).sum(axis=1).argmax()) * _PIECE
        if 2 * np.square(residual).sum() < np.square(own).sum():
            continue
        piece = target[:, first : first + _PIECE]
        unchanged = abs(best_lag(own[:, first : first + _PIECE], piece)[1])
        for factor in FACTORS:
            likeness = _likeness(track, stem, piece, start + first, factor)
            if likeness > best[0] and 1 - likeness**2 < MUCH_BETTER * (1 - unchanged**2):
                best = likeness, stem, factor
    likeness, stem, factor = best
    if stem:
        what = f"{stem} runs at {float(1 / factor):.4f} times its speed in the mixture, as after a wrong sample rate"
        defect = Defect(stem, "resampled", what, {"factor": float(1 / factor)})
        yield Fit(defect, EXPLAINED_DB + decibels(1 - likeness**2, 1 - _SIMILAR**2))


def _likeness(track: Track, stem: str, target: Samples, start: int, factor: Fraction) -> float:
    """Correlation of what the mixture holds of a source with the source's file, read `factor` times as fast."""
    up, down = factor.denominator, factor.numerator
    periods = (start - _SLACK) // up, (start + target.shape[-1] + _SLACK) // up + 1
    samples = read(track, stem, periods[0] * down, periods[1] * down)
    if not samples.any():
        return 0.0
    return abs(best_lag(scipy.signal.resample_poly(samples, up, down, axis=-1), target)[1])
