"""metrics.csv: the metrics of a run by epoch."""

import csv
from collections.abc import Iterator
from pathlib import Path


def epochs(path: Path) -> Iterator[tuple[int, float, float | None]]:
    """Yield epoch, val/loss and val/sdr of every complete line of metrics.csv; nothing when there is no file."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for row in csv.DictReader(line for line in lines if line.endswith("\n")):
        if row.get("val/loss"):
            yield int(row["epoch"]), float(row["val/loss"]), float(row["val/sdr"]) if row.get("val/sdr") else None
