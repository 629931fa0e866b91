"""Scores of tracks in museval's JSON format, and their aggregation over windows and tracks.

As in SiSEC 2018, BSS Eval's score of a track is the median over its one-second windows, and the score of a method the
median over tracks. A window in which any reference or estimate is silent is NaN for all targets, and left out of the
median. Scores therefore depend on which targets are scored together; an evaluation scores all sources of a track. The
score of a track is NaN when all its windows are NaN, and such tracks are left out. The definition of a metric says how
its scores are aggregated.
"""

import csv
import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from unmix.evaluation import metrics
from unmix.evaluation.metrics import BSS_EVAL, Definition

OVER_TRACKS: dict[str, Callable[[list[float]], float]] = {"median": statistics.median, "mean": statistics.fmean}
FORMER_KEYS = {"uSDR": "whole_track_sdr"}  # where earlier versions stored values of whole tracks
MEANING = ("scenario", "definitions")  # columns of scores.csv that say what the others mean
Overall = dict[str, dict[str, dict[str, float]]]  # method -> target -> metric -> value


@dataclass(frozen=True)
class TrackScore:
    """Scores of one target of one track: metric -> value; NaN where the metric is not defined."""

    method: str
    track: str
    target: str
    metrics: dict[str, float]


def of_track(method: str, track: str, store: str) -> list[TrackScore]:
    """Compute the scores of a track from `store`, its JSON: one `TrackScore` per target."""
    content = json.loads(store)
    definitions = metrics.from_json(content.get("definitions"))
    return [
        TrackScore(
            method, track, target["name"], {definition.name: _value(target, definition) for definition in definitions}
        )
        for target in content["targets"]
    ]


def _value(target: dict[str, Any], definition: Definition) -> float:
    """Score of a target: the value of the whole track, or the median over its windows that are not NaN."""
    if definition.window_seconds is None:
        former = target.get(FORMER_KEYS.get(definition.name, ""), math.nan)
        return float(target.get("track", {}).get(definition.name, former))
    return _average(_values(target, definition.name), statistics.median)


def _values(target: dict[str, Any], name: str) -> list[float]:
    return [float(frame["metrics"][name]) for frame in target["frames"] if name in frame["metrics"]]


def _average(values: Sequence[float], average: Callable[[list[float]], float]) -> float:
    """Apply `average` to the values that are not NaN; NaN when all are."""
    numbers = [value for value in values if not math.isnan(value)]
    return average(numbers) if numbers else math.nan


def summarize(scores: Sequence[TrackScore], definitions: Sequence[Definition] = BSS_EVAL) -> Overall:
    """Aggregate over tracks as the definitions say, leaving out NaN.

    Args:
        scores: scores of all methods, tracks and targets.
        definitions: the metrics to aggregate.
    """
    return _summarize(scores, {definition.name: OVER_TRACKS[definition.over_tracks] for definition in definitions})


def means_of_medians(scores: Sequence[TrackScore], definitions: Sequence[Definition] = BSS_EVAL) -> Overall:
    """Compute means over tracks of the scores whose definition takes the median: method -> target -> metric -> dB."""
    names = [definition.name for definition in definitions if definition.over_tracks == "median"]
    return _summarize(scores, dict.fromkeys(names, statistics.fmean))


def _summarize(scores: Sequence[TrackScore], averages: dict[str, Callable[[list[float]], float]]) -> Overall:
    rows: dict[tuple[str, str], list[dict[str, float]]] = {}
    for score in scores:
        rows.setdefault((score.method, score.target), []).append(score.metrics)
    table: Overall = {}
    for method in dict.fromkeys(score.method for score in scores):
        for target in dict.fromkeys(score.target for score in scores):
            own = rows.get((method, target), [])
            values = {name: _average([row[name] for row in own], average) for name, average in averages.items()}
            table.setdefault(method, {})[target] = values
    return table


def is_complete(store: str, definitions: Sequence[Definition]) -> bool:
    """Whether a track's JSON has scores by all these definitions; an old one lacks those that were added since."""
    content = json.loads(store)
    stored = metrics.from_json(content.get("definitions"))
    if "definitions" not in content and any(FORMER_KEYS["uSDR"] not in target for target in content["targets"]):
        stored = list(BSS_EVAL)
    return all(definition in stored for definition in definitions)


def windows(store: str, target: str) -> list[tuple[float, float]]:
    """Start in seconds and value of every window of a target, from `store`, the JSON of a track.

    The values are of the first metric that has windows; there are none when no metric has.
    """
    content = json.loads(store)
    (frames,) = (entry["frames"] for entry in content["targets"] if entry["name"] == target)
    name = next((each.name for each in metrics.from_json(content.get("definitions")) if each.window_seconds), None)
    return [(float(frame["time"]), float(frame["metrics"][name])) for frame in frames if name in frame["metrics"]]


def num_windows(store: str) -> tuple[int, int]:
    """Number of windows that have a score, and number of all windows, from `store`, the JSON of a track."""
    values = [value for _, value in windows(store, json.loads(store)["targets"][0]["name"])]
    return sum(not math.isnan(value) for value in values), len(values)


def to_csv(scores: Sequence[TrackScore], definitions: Sequence[Definition] = BSS_EVAL) -> str:
    """Format scores as CSV: the columns of SiSEC 2018 (method, track, target, SDR, ...), then what they mean."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [definition.name for definition in definitions]
    writer.writerow(["method", "track", "target", *names, *MEANING])
    *meanings, scenario = metrics.describe(definitions, list(dict.fromkeys(score.target for score in scores)))
    meaning = [scenario.removeprefix("scenario: "), "; ".join(meanings)]
    for score in scores:
        values = [f"{score.metrics[name]:.5f}" for name in names]
        writer.writerow([score.method, score.track, score.target, *values, *meaning])
    return text.getvalue()
