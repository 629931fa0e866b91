"""Detector of bleed: one source that is heard in the file of another, at a constant gain.

Sources that play together are correlated by chance, in one passage and band this way, in the next that way. Bleed shows
where a source is quietest while the other plays: there it is a copy of the other, with the same gain everywhere.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import scipy.fft

from unmix.data.doctor.excerpt import read
from unmix.data.doctor.finding import Finding
from unmix.data.doctor.measuring import BAND_BINS, FFT_SIZE, TILE, Measurement, downmix
from unmix.data.tracks import Track

COPY = 0.6  # correlation in the quietest tiles: more than a third of the energy there is the other source's
QUIETEST = 0.05  # share of the tiles in which the other source plays
FEWEST = 8  # tiles
PLAYS = 1e-3  # of a band's loudest tile, -30 dB
ABOVE_NOISE = 1e4  # 40 dB, so that bleed at -40 dB is not hidden by rounding
LOUDEST_DB = -3.0  # above, both files hold the same recording
WARNING_DB = -30.0  # quieter bleed, as of headphones into a microphone, is a note
# Sound reaches another instrument's microphone late, by 3 ms for each metre; its phases agree at that delay only.
LATEST = 0.03  # seconds
PASSAGES = 5  # the quietest, each of a tile, that are looked at
IN_PHASE = 0.2  # mean of the phases' agreement; chance is below 0.02
QUIETEST_DB = -50.0  # energy of a file where the other plays, relative to it: what is quieter holds no bleed
_HEARD = 1e-4  # of the other source's loudest bin: bins with less are noise
_NOISE = (
    0.52 * 0.375 * FFT_SIZE / 12 * TILE * np.diff(BAND_BINS)
)  # energy of the rounding to 16 bits, per tile and band


def bleed(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find pairs of sources of which one is heard in the file of the other."""
    for into, of in permutations(measured.sources, 2):
        gain_db, delay = bleed_db(measured, into, of), 0
        if gain_db is None and (late := _late(track, measured, into, of)):
            gain_db, delay = late
        if gain_db is not None:
            by = f", {1000 * delay / track.sample_rate:.1f} ms late" if delay else ""
            is_loud = gain_db >= WARNING_DB
            yield Finding(
                "warning" if is_loud else "note",
                "bleed",
                track.name,
                str(track.path(into)),
                f"{into} holds bleed of {of}",
                f"export {into} again without {of}, or remove the track" if is_loud else "",
                detail=f"{gain_db:.1f} dB{by}",
                values={"gain_db": gain_db, "of": of, "samples": delay},
            )


def bleed_db(measured: Measurement, into: str, of: str) -> float | None:
    """Gain with which a source is contained in the file of another, in dB; None without evidence."""
    a, b = measured.stems.index(into), measured.stems.index(of)
    own, theirs, common = (measured.tiles[..., i, j].astype(np.float64) for i, j in ((a, a), (b, b), (a, b)))
    plays = (theirs >= PLAYS * theirs.max(axis=0)) & (theirs >= ABOVE_NOISE * _NOISE)
    ratios, gains = own[plays] / theirs[plays], common[plays] / theirs[plays]
    if ratios.size < FEWEST:
        return None
    quietest = np.argsort(ratios)[: max(FEWEST, round(QUIETEST * ratios.size))]
    gain, energy = gains[quietest].mean(), ratios[quietest].mean()
    if energy <= 0 or abs(gain) < COPY * np.sqrt(energy):
        return None
    gain_db = float(20 * np.log10(abs(gain)))
    return gain_db if gain_db <= LOUDEST_DB else None


def _late(track: Track, measured: Measurement, into: str, of: str) -> tuple[float, int] | None:
    """Gain in dB and delay in samples with which a file holds another source; None without evidence."""
    a, b = measured.stems.index(into), measured.stems.index(of)
    own, theirs = (measured.tiles[:, :, i, i].sum(axis=1, dtype=np.float64) for i in (a, b))
    plays = np.flatnonzero((theirs >= 0.01 * theirs.max(initial=0)) & (theirs >= ABOVE_NOISE * _NOISE.sum()))
    ratios = own[plays] / theirs[plays]
    quietest = np.argsort(ratios)[:PASSAGES]
    if len(quietest) < PASSAGES or not 10 ** (QUIETEST_DB / 10) <= ratios[quietest].mean() <= 10 ** (LOUDEST_DB / 10):
        return None
    length, weights = TILE * FFT_SIZE, downmix(track.num_channels)
    size = scipy.fft.next_fast_len(length + round(LATEST * track.sample_rate), real=True)
    cross, energies = np.zeros((PASSAGES, size // 2 + 1), complex), np.zeros(2)
    is_heard = np.zeros_like(cross, dtype=bool)
    for row, tile in enumerate(plays[quietest].tolist()):
        # What is heard late began before the passage.
        first, stop = tile * length - (size - length), (tile + 1) * length
        ours, their = (scipy.fft.rfft(weights @ read(track, stem, first, stop), size) for stem in (into, of))
        power = np.square(np.abs(their))
        is_heard[row] = power >= _HEARD * power.max(initial=1e-9)
        cross[row] = np.where(is_heard[row], ours * their.conj(), 0)
        energies += np.square(np.abs(ours))[is_heard[row]].sum(), power[is_heard[row]].sum()
    phases = cross / np.maximum(np.abs(cross), 1e-9)
    agreement = scipy.fft.irfft(phases.sum(axis=0), size)[: round(LATEST * track.sample_rate)] * size / 2
    delay = int(np.abs(agreement).argmax())
    if delay == 0 or abs(agreement[delay]) < IN_PHASE * is_heard.sum() or energies.min() <= 0:
        return None
    turned = cross.sum(axis=0) @ np.exp(2j * np.pi * delay / size * np.arange(size // 2 + 1))
    gain = abs(turned.real) / energies[1]
    gain_db = float(20 * np.log10(max(gain, 1e-9)))
    return (gain_db, delay) if gain >= COPY * np.sqrt(energies[0] / energies[1]) and gain_db <= LOUDEST_DB else None
