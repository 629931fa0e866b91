"""Speed of a page that compares ten methods on fifty tracks, from their scores: `make bench-comparison`.

Four sources with scores by BSS Eval and of whole tracks, random. A process of its own, whose start is counted too.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

METHODS, TRACKS, SOURCES = 10, 50, ("vocals", "drums", "bass", "other")


def write_page(folder: Path) -> None:
    """Draw the scores, write the page into a folder, and print seconds of the wall clock and of the CPU."""
    from unmix.evaluation.metrics import FORMER
    from unmix.evaluation.scores import TrackScore
    from unmix.evaluation.summary import Summary
    from unmix.reports import comparison

    generator = np.random.default_rng(0)
    names = [f"method {number}" for number in range(METHODS)]
    rows = {
        name: [
            TrackScore(name, f"Track {track}", source, {each.name: generator.normal(5 + i / 4, 2) for each in FORMER})
            for track in range(TRACKS)
            for source in SOURCES
        ]
        for i, name in enumerate(["mixture", *names])
    }
    windows = {f"Track {track}": (200, 240) for track in range(TRACKS)}
    summaries = [
        Summary(name, "mixture", rows["mixture"] + rows[name], {}, windows, definitions=FORMER) for name in names
    ]
    wall, cpu = time.perf_counter(), time.process_time()
    comparison.write([(summary, folder / summary.method) for summary in summaries], folder)
    print(f"page: {time.perf_counter() - wall:.1f} s, {time.process_time() - cpu:.1f} s of CPU time")


def main() -> None:
    """Run `write_page` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run([sys.executable, __file__, folder], check=True)
        size = (Path(folder) / "comparison.html").stat().st_size / 1e6
    print(f"with the start of Python and all imports: {time.perf_counter() - started:.1f} s; {size:.1f} MB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_page(Path(sys.argv[1]))
    else:
        main()
