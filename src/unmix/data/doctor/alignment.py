"""Alignment of a mixture with its sources: the delay and the gains with which their sum comes closest to it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from unmix.data.doctor.excerpt import read
from unmix.data.tracks import Track
from unmix.errors import counted

MAX_SHIFT = 2**16  # samples, 1.5 s at 44.1 kHz
EXPLAINED_DB = -20.0  # a residual below this is too small to hide a further defect
_MOSTLY_EXPLAINED_DB = -10.0  # the residual of MUSDB18's AAC streams, encoded one by one, is about -15 dB
_BETTER_DB = 3.0  # a shift or factors of each source count when they lower the residual by this
_LEVEL_DB = 1.0  # smaller differences in level are left out
_AUDIBLE_DB = -30.0  # sources that differ by less than this, relative to the mixture, are left out
_FLOOR = 1e-12  # of relative energies, which rounding can make zero
_BLOCK = 2**17  # samples read at a time


@dataclass(frozen=True)
class Defect:
    """A difference between the mixture and the sum of its sources, attributed to the mixture or to a source."""

    stem: str
    kind: str
    what: str
    values: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Alignment:
    """Delay and gains, by least squares, that turn the sources of a track into its mixture.

    Args:
        shift: number of samples by which the mixture is later than its sources.
        gain: common factor of all sources; negative when the mixture is inverted.
        residual_db: energy of the mixture that shift and `gain` leave, relative to the mixture.
        gains: source -> its own factor, of the sources whose deviation from 1 is audible.
        own_residual_db: energy that shift and a factor for each source leave.
    """

    shift: int
    gain: float
    residual_db: float
    gains: dict[str, float]
    own_residual_db: float

    @property
    def left_db(self) -> float:
        """Energy that the better of both explanations leaves, relative to the mixture."""
        return min(self.residual_db, self.own_residual_db)

    @property
    def is_exact(self) -> bool:
        """Whether delay and gains explain the mixture, so that it was not mastered or replaced."""
        return self.left_db <= EXPLAINED_DB

    def defects(self) -> list[Defect]:
        """How the mixture differs from the sum of its sources; empty when delay and gains do not explain it."""
        than, values = [], dict[str, float | str]()
        if self.shift:
            than.append(f"{counted(abs(self.shift), 'sample')} {'later' if self.shift > 0 else 'earlier'}")
            values["samples"] = self.shift
        of_sources, inverted = [], []
        if self.own_residual_db <= min(_MOSTLY_EXPLAINED_DB, self.residual_db - _BETTER_DB):
            of_sources = [defect for stem, gain in self.gains.items() if (defect := of_source(stem, gain))]
        elif self.residual_db <= _MOSTLY_EXPLAINED_DB:
            if level := _level(self.gain):
                than.append(level)
                values["gain_db"] = _gain_db(self.gain)
            inverted = [Defect("mixture", "inverted", "mixture is inverted")] if self.gain < 0 else []
        what = f"mixture is {' and '.join(than)} than the sum of its sources"
        differs = [Defect("mixture", "shifted" if self.shift else "gain", what, values)] if than else []
        return [*differs, *inverted, *of_sources]


def _gain_db(gain: float) -> float:
    return 20 * math.log10(max(abs(gain), 1e-6))


def _level(gain: float, least_db: float = _LEVEL_DB) -> str:
    """Format a gain as `3.0 dB louder` or `3.0 dB quieter`; empty below `least_db`."""
    decibels = _gain_db(gain)
    return "" if abs(decibels) < least_db else f"{abs(decibels):.1f} dB {'louder' if decibels > 0 else 'quieter'}"


def of_source(stem: str, gain: float, least_db: float = _LEVEL_DB) -> Defect | None:
    """How a source is contained in the mixture; None when it is contained as it should be, within `least_db`."""
    if abs(gain) < 0.1:
        return Defect(stem, "missing", f"{stem} is missing from the mixture")
    if gain < 0:
        return Defect(stem, "inverted", f"{stem} is inverted in the mixture")
    level = _level(gain, least_db)
    return Defect(stem, "gain", f"{stem} is {level} in the mixture", {"gain_db": _gain_db(gain)}) if level else None


def align(track: Track) -> Alignment | None:
    """Align the mixture of a track with its sources; None when it or their sum is silent.

    The track is read three times, in blocks, so that memory does not grow with its length.
    """
    alignments = [_align_at(track, shift) for shift in dict.fromkeys((0, _most_similar_shift(track)))]
    plain, best = alignments[0], alignments[-1]
    if plain is None or best is None:
        return plain
    return best if best.own_residual_db < plain.own_residual_db - _BETTER_DB else plain


def _most_similar_shift(track: Track) -> int:
    """Delay of the mixture at which its correlation with the sum of its sources is largest, of either sign."""
    most = min(MAX_SHIFT, track.num_samples - 1)
    correlation = np.zeros(2 * most + 1)
    for start in range(0, track.num_samples, _BLOCK):
        stop = min(start + _BLOCK, track.num_samples)
        sources = sum((read(track, stem, start, stop) for stem in _sources(track)), np.zeros(()))
        mixture = read(track, "mixture", start - most, stop + most)
        size = scipy.fft.next_fast_len(mixture.shape[-1], real=True)
        products = scipy.fft.rfft(mixture, size) * scipy.fft.rfft(sources, size).conj()
        correlation += scipy.fft.irfft(products.sum(axis=0), size)[: 2 * most + 1]
    return int(np.abs(correlation).argmax()) - most


def _align_at(track: Track, shift: int) -> Alignment | None:
    """Fit the gains at a given shift, over the samples that mixture and sources then share; None for silence."""
    sources = _sources(track)
    first, last = max(0, -shift), track.num_samples - max(0, shift)
    gram = np.zeros((1 + len(sources), 1 + len(sources)))
    for start in range(first, last, _BLOCK):
        stop = min(start + _BLOCK, last)
        rows = [read(track, "mixture", start + shift, stop + shift)]
        rows += [read(track, stem, start, stop) for stem in sources]
        matrix = np.stack(rows).reshape(len(rows), -1)
        gram += matrix @ matrix.T
    energy, between, among = gram[0, 0], gram[0, 1:], gram[1:, 1:]
    if energy == 0 or among.sum() <= 0:
        return None
    gain = between.sum() / among.sum()
    gains = np.linalg.lstsq(among, between)[0]
    deviations = np.square(gains - 1) * among.diagonal()
    is_audible = [_decibels(deviation / energy) > _AUDIBLE_DB for deviation in deviations]
    return Alignment(
        shift,
        float(gain),
        _decibels(1 - gain * between.sum() / energy),
        {stem: float(own) for stem, own, kept in zip(sources, gains, is_audible, strict=True) if kept},
        _decibels(1 - gains @ between / energy),
    )


def _sources(track: Track) -> list[str]:
    return [stem for stem in track.files if stem != "mixture"]


def _decibels(energy: float) -> float:
    return 10 * math.log10(max(energy, _FLOOR))
