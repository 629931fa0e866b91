"""Published scores to compare with, shipped with the package.

`data/sisec18.csv.gz`: medians over windows for every track and every submission and oracle of SiSEC 2018 (F.-R. Stöter,
A. Liutkus, N. Ito, LVA/ICA 2018; from the JSON files of sigsep-mus-2018).
`data/published.csv`: medians over the 50 test tracks of MUSDB18 or MUSDB18-HQ, as reported by the authors.
"""

import csv
import gzip
import math
from collections.abc import Iterable
from functools import cache
from io import StringIO
from pathlib import Path

from unmix import errors
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scores import TrackScore, summarize

DATA = Path(__file__).parent / "data"
# SiSEC 2018 scored vocals together with the accompaniment when a submission had one; this changes them by 0.2 dB.
SISEC = "sisec18"

Medians = dict[str, dict[str, float]]


@cache
def sisec18() -> list[TrackScore]:
    """Scores of every track of every SiSEC 2018 submission; targets are the four sources and `accompaniment`."""
    text = gzip.decompress((DATA / "sisec18.csv.gz").read_bytes()).decode()
    return [TrackScore(row["method"], row["track"], row["target"], _metrics(row)) for row in _rows(text)]


@cache
def medians() -> dict[str, Medians]:
    """Published medians: method (`umx`, `sisec18:UHL2`, ...) -> target -> metric -> dB; NaN where not reported."""
    table: dict[str, Medians] = {}
    for row in _rows((DATA / "published.csv").read_text(encoding="utf-8")):
        table.setdefault(row["method"], {})[row["target"]] = _metrics(row)
    return table | {f"{SISEC}:{method}": values for method, values in summarize(sisec18()).items()}


def medians_of(method: str, key: str = "evaluation.compare") -> Medians:
    """Published medians of one method: target -> metric -> dB.

    Args:
        method: its name.
        key: setting that names it.
    Raises:
        ValueError: when the method is unknown.
    """
    if method not in medians():
        raise ValueError(errors.unknown(key, method, medians(), most=6))
    return medians()[method]


def tracks() -> set[str]:
    """Names of the 50 test tracks on which published scores are computed."""
    return {score.track for score in sisec18()}


def _rows(text: str) -> Iterable[dict[str, str]]:
    """Parse CSV text into rows by column name."""
    return csv.DictReader(StringIO(text))


def _metrics(row: dict[str, str]) -> dict[str, float]:
    """Metrics of a row; NaN for empty cells."""
    return {metric: float(row[metric] or math.nan) for metric in METRICS}
