"""Detector of bleed: one source that is heard in the file of another, at a constant gain.

Sources that play together are correlated by chance, in one passage and band this way, in the next that way. Bleed shows
where a source is quietest while the other plays: there it is a copy of the other, with the same gain everywhere.
"""

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from unmix.data.doctor.finding import Finding
from unmix.data.doctor.measuring import BAND_BINS, FFT_SIZE, TILE, Measurement
from unmix.data.tracks import Track

COPY = 0.6  # correlation in the quietest tiles: more than a third of the energy there is the other source's
QUIETEST = 0.05  # share of the tiles in which the other source plays
FEWEST = 8  # tiles
PLAYS = 1e-3  # of a band's loudest tile, -30 dB
ABOVE_NOISE = 1e4  # 40 dB, so that bleed at -40 dB is not hidden by rounding
LOUDEST_DB = -3.0  # above, both files hold the same recording
WARNING_DB = -30.0  # quieter bleed, as of headphones into a microphone, is a note
_NOISE = (
    0.52 * 0.375 * FFT_SIZE / 12 * TILE * np.diff(BAND_BINS)
)  # energy of the rounding to 16 bits, per tile and band


def bleed(track: Track, measured: Measurement) -> Iterator[Finding]:
    """Find pairs of sources of which one is heard in the file of the other."""
    for into, of in permutations(measured.sources, 2):
        gain_db = bleed_db(measured, into, of)
        if gain_db is not None:
            is_loud = gain_db >= WARNING_DB
            yield Finding(
                "warning" if is_loud else "note",
                "bleed",
                track.name,
                str(track.path(into)),
                f"{into} holds bleed of {of}",
                f"export {into} again without {of}, or remove the track" if is_loud else "",
                detail=f"{gain_db:.1f} dB",
                values={"gain_db": gain_db, "of": of},
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
