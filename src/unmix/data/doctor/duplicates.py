"""Detector of duplicates: the same recording in two tracks, by fingerprints that are compared at every lag."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import combinations, product

import numpy as np
import numpy.typing as npt
import scipy.fft

from unmix.data.doctor import lookup
from unmix.data.doctor.excerpt import Samples, read
from unmix.data.doctor.finding import Finding
from unmix.data.doctor.fingerprint import HOP, NUM_BITS, RATE, SILENT
from unmix.data.doctor.measuring import downmix
from unmix.data.doctor.stem_fit import best_lag
from unmix.data.doctor.sums import NOT_THE_SUM_DB
from unmix.data.tracks import Track

# Correlation of the bits of two recordings, 1 - 2 x their error rate. Haitsma and Kalker take 0.3; songs of one tempo
# reach 0.15 over 20 s, bass and drums that play one pattern 0.4, and a copy whose frames are shifted by half a hop 0.5.
SAME = 0.35
SAME_SOURCE = 0.45
DEVIATIONS = 3.0  # standard deviations of chance, of bits that are correlated over about eight codes
FEWEST = 32  # codes that two recordings must share, 1.5 s
SAME_WAVEFORM = 0.7  # correlation at the exact offset
_LENGTH = 2**16  # samples by which the exact offset is found
FEW = 64  # files of which all pairs are compared
_SLACK = 0.05  # of the correlation: an index knows a lag to one code, a comparison exactly


@dataclass(frozen=True)
class Printed:
    """A file with its fingerprint.

    Args:
        track, split, stem: where the file belongs.
        codes: its fingerprint.
        residual_db: how far the mixture there is from the sum of its sources.
        speed: at which the file would play, if the fingerprint was that of a copy.
    """

    track: Track
    split: str
    stem: str
    codes: npt.NDArray[np.int32]
    residual_db: float = -math.inf
    speed: Fraction = Fraction(1)


@dataclass(frozen=True)
class Match:
    """Two files that hold the same recording: that of `second` is `samples` later, exactly so if `is_exact`."""

    first: Printed
    second: Printed
    samples: int
    is_exact: bool


def duplicates(prints: Sequence[Printed], slow: Sequence[Printed] = ()) -> Iterator[Finding]:
    """Find recordings that are in two tracks: whole songs by their mixtures, otherwise single sources.

    Args:
        prints: all files.
        slow: all mixtures, printed as copies that are too slow.
    """
    songs: set[frozenset[str]] = set()
    for stem in dict.fromkeys(printed.stem for printed in prints):
        same = [printed for printed in prints if printed.stem == stem and (printed.codes != SILENT).sum() >= FEWEST]
        for match in matches(same, SAME if stem == "mixture" else SAME_SOURCE):
            pair = frozenset((_key(match.first), _key(match.second)))
            if stem == "mixture":
                songs.add(pair)
            elif pair in songs or not match.is_exact:
                continue
            yield _finding(match)
    songs_of = [printed for printed in prints if printed.stem == "mixture"]
    for match in _across(songs_of, slow, SAME):
        if match.first.track.folder != match.second.track.folder:
            yield _finding(match)


def matches(prints: Sequence[Printed], least: float) -> Iterator[Match]:
    """Compare pairs of files at every lag: all pairs of a few files, of many those that an index of codes finds."""
    if len(prints) <= FEW:
        pairs = list(combinations(range(len(prints)), 2))
    else:
        pairs = sorted({(min(pair), max(pair)) for pair in likely(prints, prints, least) if pair[0] != pair[1]})
    yield from _compare_pairs(prints, prints, pairs, least)


def _across(firsts: Sequence[Printed], seconds: Sequence[Printed], least: float) -> Iterator[Match]:
    """Compare files of one list with files of another, as `matches` does."""
    is_short = max(len(firsts), len(seconds)) <= FEW
    pairs = product(range(len(firsts)), range(len(seconds))) if is_short else likely(firsts, seconds, least)
    yield from _compare_pairs(firsts, seconds, list(pairs), least)


def likely(firsts: Sequence[Printed], seconds: Sequence[Printed], least: float) -> Iterator[tuple[int, int]]:
    """Yield the pairs, as positions in two lists, that share codes at a lag at which their bits agree as well."""
    index = lookup.Index([second.codes for second in seconds])
    for i, first in enumerate(firsts):
        for j, lag in index.candidates(first.codes):
            near = [lookup.agreement(first.codes, seconds[j].codes, lag + step) for step in (-1, 0, 1)]
            if max(_margin(*values) for values in near) >= least - _SLACK:
                yield i, j


def _margin(likeness: float, shared: int) -> float:
    """Correlation of bits beyond that of chance."""
    return likeness - DEVIATIONS / math.sqrt(NUM_BITS / 8 * shared) if shared >= FEWEST else -1.0


def _compare_pairs(
    firsts: Sequence[Printed], seconds: Sequence[Printed], pairs: Sequence[tuple[int, int]], least: float
) -> Iterator[Match]:
    longest = max((len(printed.codes) for printed in (*firsts, *seconds)), default=1)
    size = int(scipy.fft.next_fast_len(2 * longest, real=True))  # holds every lag of two files
    spectrum = lru_cache(2 * FEW)(lambda is_second, i: _spectrum((seconds if is_second else firsts)[i].codes, size))
    is_same = firsts is seconds
    for i, j in pairs:
        yield from _compare(firsts[i], seconds[j], spectrum(False, i), spectrum(not is_same, j), size, least)


def _spectrum(codes: npt.NDArray[np.int32], size: int) -> npt.NDArray[np.complex64]:
    """Spectra of the bits as +1 and -1, and of whether there are any, (bits + 1, bins)."""
    is_valid = codes != SILENT
    bits = ((codes[None] >> np.arange(NUM_BITS)[:, None]) & 1) * 2 - 1
    rows = np.concatenate([bits * is_valid, is_valid[None]]).astype(np.float32)
    return scipy.fft.rfft(rows, size)


def _compare(first: Printed, second: Printed, a: np.ndarray, b: np.ndarray, size: int, least: float) -> Iterator[Match]:
    products = np.stack([np.einsum("bf,bf->f", b[:-1], a[:-1].conj()), b[-1] * a[-1].conj()])
    agreement, shared = scipy.fft.irfft(products, size)
    shared = np.maximum(shared, 1)
    likeness = np.where(shared >= FEWEST - 0.5, agreement / (NUM_BITS * shared), 0)
    margin = likeness - DEVIATIONS / np.sqrt(NUM_BITS / 8 * shared)
    best = int(margin.argmax())
    if margin[best] < least:
        return
    lag = best if best < size / 2 else best - size
    if second.speed != 1:
        yield Match(first, second, round(lag * HOP * float(1 / second.speed)), False)
        return
    if first.residual_db > second.residual_db:  # the file that does not fit its mixture is the copy
        first, second, lag = second, first, -lag
    stretch = first.track.sample_rate / RATE
    samples, is_exact = _exact(first, second, round(lag * HOP * stretch))
    yield Match(first, second, samples, is_exact)


def _exact(first: Printed, second: Printed, lag: int) -> tuple[int, bool]:
    """Refine the offset of two recordings by their waveforms; the second value is whether these agree."""
    stop = min(first.track.num_samples, second.track.num_samples - lag)
    start = max(0, -lag)
    signal = _mono(first, start, stop)
    length = min(_LENGTH, signal.shape[-1])
    blocks = np.square(signal[:, : signal.shape[-1] // length * length]).reshape(-1, length).sum(axis=1)
    first_sample = start + int(blocks.argmax()) * length
    pattern = _mono(first, first_sample, first_sample + length)
    around = _mono(second, first_sample + lag - 2 * HOP, first_sample + lag + length + 2 * HOP)
    position, correlation, _ = best_lag(around, pattern)
    is_same = abs(correlation) >= SAME_WAVEFORM
    return (lag - 2 * HOP + position, True) if is_same else (lag, False)


def _mono(printed: Printed, start: int, stop: int) -> Samples:
    return (downmix(printed.track.num_channels) @ read(printed.track, printed.stem, start, stop))[None]


def _key(printed: Printed) -> str:
    return f"{printed.split}/{printed.track.name}"


def _finding(match: Match) -> Finding:
    first, second = match.first, match.second
    is_song, is_leak = first.stem == "mixture", first.split != second.split
    is_wrong = second.residual_db > NOT_THE_SUM_DB
    subject = "the recording" if is_song else f"{first.stem}"
    what = f"{subject} is that of {first.track.name} ({first.split})" if is_song else ""
    what = what or f"{first.stem} is the recording of {first.track.name} ({first.split})"
    seconds = match.samples / second.track.sample_rate
    by = f"{abs(match.samples)} samples" if match.is_exact else f"about {abs(seconds):.2f} s"
    later = "later" if match.samples > 0 else "earlier"
    detail = f"in {second.split}" + (f", at {float(second.speed):.4f} times its speed" if second.speed != 1 else "")
    detail += f", {by} {later}" if match.samples else ""
    remedy = "remove one of the tracks" if is_song else f"look for the right {first.stem}, or remove the track"
    remedy += ": scores of a track that was trained on mean nothing" if is_song and is_leak else ""
    return Finding(
        "error" if (is_leak and is_song) or is_wrong else "warning",
        "duplicate",
        second.track.name,
        str(second.track.folder if is_song else second.track.path(second.stem)),
        what,
        remedy,
        detail=detail,
        values={
            "of": first.track.name,
            "stem": first.stem,
            "samples": match.samples,
            "is_exact": float(match.is_exact),
        },
    )
