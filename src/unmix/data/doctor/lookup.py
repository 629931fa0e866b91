"""Inverted index of fingerprints: finds the pairs of recordings that are worth comparing.

Copies share codes at one lag: a hundredth of them where every fourth bit differs. Other recordings share codes by
chance, at lags all over. So the index counts, for a recording, the codes that each other one has at each lag.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from unmix.data.doctor.fingerprint import NUM_BITS, SILENT

Codes = npt.NDArray[np.int32]

MOST_QUERIES = 1500  # codes of a recording that are looked up: rarer than half of them
FEWEST_HITS = 3  # codes that two recordings share at one lag
MOST_CANDIDATES = 8  # pairs of a recording that are compared, those with the most hits
_CELLS = 2**20  # of the table of hits, which several pairs of track and lag may share
_SPREAD = np.int32(-1640531535)  # odd: places the tracks evenly; products may overflow


class Index:
    """Index of the codes of recordings.

    Args:
        prints: codes of each recording, (codes,).
    """

    def __init__(self, prints: Sequence[Codes]) -> None:
        lengths = [len(codes) for codes in prints]
        codes = np.concatenate([np.zeros(0, np.int32), *prints])
        tracks = np.repeat(np.arange(len(prints), dtype=np.int32), lengths)
        places = np.concatenate([np.zeros(0, np.int32), *(np.arange(length, dtype=np.int32) for length in lengths)])
        is_valid = codes != SILENT
        order = np.argsort(codes[is_valid], kind="stable")
        self.tracks, self.places = tracks[is_valid][order], places[is_valid][order]
        self.firsts = np.searchsorted(codes[is_valid][order], np.arange(2**NUM_BITS + 1))

    def candidates(self, codes: Codes) -> Iterator[tuple[int, int]]:
        """Yield recordings that share codes with another one, and their lag against it, those with the most hits first.

        Args:
            codes: fingerprint of the other recording, (codes,).
        """
        queries = np.flatnonzero(codes != SILENT)
        counts = self.firsts[codes[queries] + 1] - self.firsts[codes[queries]]
        telling = np.flatnonzero(counts <= np.median(counts)) if counts.size else counts
        telling = telling[:: max(1, len(telling) // MOST_QUERIES)]
        queries, counts = queries[telling], counts[telling]
        firsts = self.firsts[codes[queries]]
        within = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
        hits = np.repeat(firsts, counts) + within
        tracks, lags = self.tracks[hits], self.places[hits] - np.repeat(queries, counts).astype(np.int32)
        cells = (tracks * _SPREAD + lags) & (_CELLS - 1)  # neighbouring lags of a track have neighbouring cells
        table = np.minimum(np.bincount(cells, minlength=_CELLS), 80).astype(np.uint8)
        near = (table + np.roll(table, 1) + np.roll(table, -1))[cells]
        best = np.flatnonzero(near >= FEWEST_HITS)
        best = best[np.argsort(-near[best], kind="stable")]
        _, once = np.unique(tracks[best], return_index=True)
        for hit in best[np.sort(once)[:MOST_CANDIDATES]]:
            yield int(tracks[hit]), int(lags[hit])


def agreement(first: Codes, second: Codes, lag: int) -> tuple[float, int]:
    """Correlation of the bits of two recordings, of which the second is `lag` codes later, and the codes they share."""
    start, stop = max(0, -lag), min(len(first), len(second) - lag)
    if stop <= start:
        return 0.0, 0
    a, b = first[start:stop], second[start + lag : stop + lag]
    is_valid = (a != SILENT) & (b != SILENT)
    shared = int(is_valid.sum())
    wrong = int(np.bitwise_count(a[is_valid] ^ b[is_valid]).sum())
    return 1 - 2 * wrong / max(NUM_BITS * shared, 1), shared
