"""Scores of estimates against references, by museval, and their medians.

A track's score is the median over its one-second windows, a method's the median over tracks: SiSEC 2018's rule. A
window counts only if no reference and no estimate is silent in it; which targets are scored together therefore changes
the scores, and all four always are.
"""

import csv
import json
import math
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import numpy.typing as npt

from unmix.evaluation.table import METRICS

Waveforms = Mapping[str, npt.NDArray[np.floating]]  # by stem name, (channels, samples) each


@dataclass(frozen=True)
class TrackScore:
    """Medians over the windows of one track for one target; NaN where no window counts."""

    method: str
    track: str
    target: str
    metrics: dict[str, float]


def score_track(track: str, references: Waveforms, estimates: Waveforms, *, sample_rate: int) -> str:
    """BSS Eval v4 of one track, in museval's JSON format.

    Args:
        track: name, for messages and museval.
        references: true stems, (channels, samples) each.
        estimates: by the same names, equally shaped.
        sample_rate: Hz; windows and hops have one second.
    Raises:
        ValueError: when names or shapes differ, or a stem or an estimate is silent throughout.
        FileNotFoundError: without FFmpeg, which museval's imports need.
    """
    _check(track, references, estimates)
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise FileNotFoundError("museval: needs ffmpeg and ffprobe on PATH (by way of musdb); install FFmpeg")
    import museval

    names = list(references)
    # museval's axes: (sources, samples, channels)
    sdr, isr, sir, sar = museval.evaluate(
        np.stack([references[name].T for name in names]),
        np.stack([estimates[name].T for name in names]),
        win=sample_rate,
        hop=sample_rate,
    )
    store = museval.TrackStore(track_name=track)
    for i, name in enumerate(names):
        store.add_target(name, {"SDR": sdr[i], "SIR": sir[i], "ISR": isr[i], "SAR": sar[i]})
    store.validate()
    return str(store.json)


def _check(track: str, references: Waveforms, estimates: Waveforms) -> None:
    if set(references) != set(estimates) or len(references) < 2:
        raise ValueError(
            f"{track}: got references {', '.join(references)} and estimates {', '.join(estimates)}; "
            "the same names are needed, two at least"
        )
    for name, reference in references.items():
        if reference.shape != estimates[name].shape:
            raise ValueError(
                f"{track}: {name} has shape {reference.shape}, its estimate {estimates[name].shape}; "
                "both must be equal (channels, samples)"
            )
    for kind, stems in (("reference", references), ("estimate", estimates)):
        for name, stem in stems.items():
            if not stem.sum(axis=0).any():  # museval's test: channels that cancel count as silent
                raise ValueError(f"{track}: the {kind} {name} is silent throughout, which museval cannot score")


def medians(method: str, track: str, store: str) -> list[TrackScore]:
    """Medians over the windows of a track, from museval's JSON."""
    return [
        TrackScore(method, track, target["name"], {metric: _median_of_windows(target, metric) for metric in METRICS})
        for target in json.loads(store)["targets"]
    ]


def _median_of_windows(target: dict[str, Any], metric: str) -> float:
    return nan_median([float(window["metrics"][metric]) for window in target["frames"]])


def nan_median(values: Sequence[float]) -> float:
    """Median of the values that are numbers; NaN when none is."""
    numbers = [value for value in values if not math.isnan(value)]
    return statistics.median(numbers) if numbers else math.nan


def summarize(scores: Sequence[TrackScore]) -> dict[str, dict[str, dict[str, float]]]:
    """Medians over tracks: method -> target -> metric -> dB."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for method in dict.fromkeys(score.method for score in scores):
        for target in dict.fromkeys(score.target for score in scores):
            rows = [score.metrics for score in scores if (score.method, score.target) == (method, target)]
            values = {metric: nan_median([row[metric] for row in rows]) for metric in METRICS}
            table.setdefault(method, {})[target] = values
    return table


def to_csv(scores: Sequence[TrackScore]) -> str:
    """The columns of SiSEC 2018's table: method,track,target,SDR,SIR,ISR,SAR."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "track", "target", *METRICS])
    for score in scores:
        writer.writerow([score.method, score.track, score.target, *(f"{score.metrics[m]:.5f}" for m in METRICS)])
    return text.getvalue()
