"""Time the search for duplicates among the fingerprints of many tracks: `make bench-duplicates`.

Fingerprints are simulated, 4 minutes each: bits of band levels that are smooth in time, as windows overlap. A tenth of
the tracks have a copy, delayed, of which every fifth bit differs.
"""

import sys
import time

import numpy as np

from unmix.data.doctor import duplicates
from unmix.data.doctor.duplicates import SAME, Printed
from unmix.data.doctor.fingerprint import HOP, NUM_BITS, RATE
from unmix.data.tracks import Track

LENGTH = 240 * RATE // HOP
ERRORS = 0.2


def simulate(generator: np.random.Generator) -> np.ndarray:
    """Codes of a track."""
    noise = generator.normal(size=(LENGTH + 4, NUM_BITS + 1))
    levels = sum(weight * noise[i : i + LENGTH + 1] for i, weight in enumerate(np.hanning(6)[1:-1]))
    return ((np.diff(np.diff(levels, axis=1), axis=0) > 0) @ (1 << np.arange(NUM_BITS))).astype(np.int32)


def make(num_tracks: int) -> list[Printed]:
    """Simulate tracks: the first tenth, their copies, and others."""
    generator = np.random.default_rng(0)
    codes = [simulate(generator) for _ in range(num_tracks)]
    copies = num_tracks // 10
    for i in range(copies):
        flips = (generator.random((LENGTH, NUM_BITS)) < ERRORS) @ (1 << np.arange(NUM_BITS))
        codes[copies + i] = np.roll(codes[i] ^ flips.astype(np.int32), 3 * i)
    return [Printed(Track(str(i), {}), "train", "mixture", row) for i, row in enumerate(codes)]


def search(prints: list[Printed], num_queries: int) -> tuple[float, int]:
    """Seconds for the search by the index, and the copies that it finds; both as if all tracks had been looked up."""
    copies = len(prints) // 10
    queries = prints[:num_queries]
    started = time.perf_counter()
    index = duplicates.lookup.Index([printed.codes for printed in prints])
    built = time.perf_counter() - started
    started, pairs = time.perf_counter(), set(duplicates.likely(queries, prints, SAME))
    looked_up = time.perf_counter() - started - built
    del index
    return built + looked_up * len(prints) / num_queries, sum((i, copies + i) in pairs for i in range(copies))


def all_pairs(prints: list[Printed], num_pairs: int = 200) -> float:
    """Seconds for comparing all pairs, from some of them."""
    pairs = [(i, num_pairs + i) for i in range(num_pairs // 10)] * 10
    started = time.perf_counter()
    list(duplicates._compare_pairs(prints, prints, pairs, 2.0))
    return (time.perf_counter() - started) / len(pairs) * len(prints) * (len(prints) - 1) / 2


def main() -> None:
    """Print the table."""
    print("| tracks of 4 minutes | index, s | copies found | all pairs, s |\n|---|---|---|---|")
    for num_tracks in [int(word) for word in sys.argv[1:]] or [150, 1000]:
        prints = make(num_tracks)
        seconds, found = search(prints, max(num_tracks // 5, 100))
        pairs = all_pairs(prints, 100 if num_tracks < 200 else 200)
        print(f"| {num_tracks} | {seconds:.1f} | {found} of {num_tracks // 10} | {pairs:.0f} |", flush=True)


if __name__ == "__main__":
    main()
