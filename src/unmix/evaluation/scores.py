"""Scores of tracks in museval's JSON format, and their medians.

As in SiSEC 2018, the score of a track is the median over its one-second windows, and the score of a method the median
over tracks. A window in which any reference or estimate is silent is NaN for all targets, and left out of the median.
Scores therefore depend on which targets are scored together; an evaluation scores all sources of a track. The score of
a track is NaN when all its windows are NaN, and such tracks are left out of the median over tracks.
"""

import csv
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from unmix.evaluation.metrics import METRICS, TRACK_METRICS


@dataclass(frozen=True)
class TrackScore:
    """Scores of one target of one track: medians over windows, metric -> dB; NaN when all windows are NaN."""

    method: str
    track: str
    target: str
    metrics: dict[str, float]


def medians(method: str, track: str, store: str) -> list[TrackScore]:
    """Compute medians over the windows of a track from `store`, its JSON: one `TrackScore` per target."""
    return [
        TrackScore(method, track, target["name"], {metric: _median_of_windows(target, metric) for metric in METRICS})
        for target in json.loads(store)["targets"]
    ]


def _median_of_windows(target: dict[str, Any], metric: str) -> float:
    """Median of a metric over all windows of a target that are not NaN, from the target's entry in the JSON."""
    return _average([float(window["metrics"][metric]) for window in target["frames"]], statistics.median)


def _average(values: Sequence[float], average: Callable[[list[float]], float]) -> float:
    """Apply `average` to the values that are not NaN; NaN when all are."""
    numbers = [value for value in values if not math.isnan(value)]
    return average(numbers) if numbers else math.nan


def summarize(
    scores: Sequence[TrackScore], over_tracks: Callable[[list[float]], float] = statistics.median
) -> dict[str, dict[str, dict[str, float]]]:
    """Compute medians over tracks, leaving out NaN.

    Args:
        scores: scores of all methods, tracks and targets.
        over_tracks: function that averages over tracks; the median by default.
    Returns:
        method -> target -> metric -> dB.
    """
    table: dict[str, dict[str, dict[str, float]]] = {}
    for method in dict.fromkeys(score.method for score in scores):
        for target in dict.fromkeys(score.target for score in scores):
            rows = [score.metrics for score in scores if (score.method, score.target) == (method, target)]
            values = {metric: _average([row[metric] for row in rows], over_tracks) for metric in METRICS}
            table.setdefault(method, {})[target] = values
    return table


def means_of_medians(scores: Sequence[TrackScore]) -> dict[str, dict[str, dict[str, float]]]:
    """Compute means over tracks, instead of medians, of the medians over windows: method -> target -> metric -> dB."""
    return summarize(scores, over_tracks=statistics.fmean)


def means_over_tracks(stores: Sequence[str]) -> dict[str, dict[str, float]]:
    """Compute means of the track metrics over tracks, from their JSON: target -> key of a `TrackMetric` -> dB."""
    tracks = [{target["name"]: target for target in json.loads(store)["targets"]} for store in stores]
    keys = [metric.key for metric in TRACK_METRICS]
    return {name: {key: statistics.fmean(track[name][key] for track in tracks) for key in keys} for name in tracks[0]}


def is_complete(store: str) -> bool:
    """Whether a track's JSON has every track metric; an old one lacks those that were added since."""
    return all(metric.key in target for target in json.loads(store)["targets"] for metric in TRACK_METRICS)


def windows(store: str, target: str) -> list[tuple[float, float]]:
    """Start in seconds and SDR in dB of every window of a target, from `store`, the JSON of a track."""
    (frames,) = (entry["frames"] for entry in json.loads(store)["targets"] if entry["name"] == target)
    return [(float(frame["time"]), float(frame["metrics"]["SDR"])) for frame in frames]


def num_windows(store: str) -> tuple[int, int]:
    """Number of windows that have a score, and number of all windows, from `store`, the JSON of a track."""
    frames = json.loads(store)["targets"][0]["frames"]
    return sum(not math.isnan(frame["metrics"]["SDR"]) for frame in frames), len(frames)


def to_csv(scores: Sequence[TrackScore]) -> str:
    """Format scores as CSV with the columns of SiSEC 2018: method,track,target,SDR,SIR,ISR,SAR."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "track", "target", *METRICS])
    for score in scores:
        writer.writerow([score.method, score.track, score.target, *(f"{score.metrics[m]:.5f}" for m in METRICS)])
    return text.getvalue()
