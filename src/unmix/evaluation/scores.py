"""Scores of tracks in museval's JSON format, and their medians.

As in SiSEC 2018, the score of a track is the median over its one-second windows, and the score of a method the median
over tracks. A window in which any reference or estimate is silent is NaN for all targets, and left out of the median.
Scores therefore depend on which targets are scored together; an evaluation scores all sources of a track. The score of
a track is NaN when all its windows are NaN, and such tracks are left out of the median over tracks.
"""

import csv
import json
import logging
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import Tensor

from unmix import settings
from unmix.evaluation.bss_eval import Scores
from unmix.evaluation.engines import ENGINES, silent_stems
from unmix.evaluation.metrics import METRICS, TRACK_METRICS
from unmix.evaluation.projections import ReadStems

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackScore:
    """Scores of one target of one track: medians over windows, metric -> dB; NaN when all windows are NaN."""

    method: str
    track: str
    target: str
    metrics: dict[str, float]


def score_track(
    track: str,
    names: Sequence[str],
    references: ReadStems,
    estimates: Sequence[ReadStems],
    num_samples: int,
    *,
    sample_rate: int,
    engine: str = "torch",
    device: str | torch.device = "cpu",
) -> list[str]:
    """Score the estimates of one or several methods for one track by BSS Eval v4.

    Args:
        track: name of the track, for messages.
        names: names of the stems, in the order of the readers.
        references: reads the true stems.
        estimates: read the estimated stems, one reader per method.
        num_samples: length of the track.
        sample_rate: Hz; also the length and the hop of windows, which are one second.
        engine: `torch` (our implementation) or `museval` (the package).
        device: device on which `torch` computes.
    Returns:
        For each method, scores of all targets in museval's JSON format.
    Raises:
        ValueError: on an unknown engine, fewer than two stems, or NaN or infinite samples.
        FileNotFoundError: when engine `museval` finds no FFmpeg, which importing museval needs.
    """
    settings.check("evaluation", {"engine": engine})
    if len(names) < 2:
        raise ValueError(f"{track}: got stems: {', '.join(names) or 'none'}; BSS Eval needs at least two")
    try:
        scores = ENGINES[engine](
            _on(device, references), [_on(device, read) for read in estimates], num_samples, sample_rate
        )
    except ValueError as error:
        raise ValueError(f"{track}: {error}") from error
    stores = []
    for read, of_method in zip(estimates, scores, strict=True):
        if of_method.sdr.isnan().all():
            log.warning("%s has no score: %s", track, _why_no_score(names, references, read, num_samples))
        of_track = {metric.key: metric.compute(references, read, num_samples) for metric in TRACK_METRICS}
        stores.append(to_json(names, of_method, of_track))
    return stores


def _on(device: str | torch.device, read: ReadStems) -> ReadStems:
    return lambda start, stop: read(start, stop).to(device)


def _why_no_score(names: Sequence[str], references: ReadStems, estimates: ReadStems, num_samples: int) -> str:
    silent = [
        f"the {kind} {names[i]}"
        for kind, read in (("reference", references), ("estimate", estimates))
        for i in silent_stems(read, num_samples)
    ]
    return " and ".join(silent) + " silent throughout" if silent else "every window has a silent stem"


def to_json(names: Sequence[str], scores: Scores, of_track: Mapping[str, Tensor]) -> str:
    """Format the scores of a track as museval's JSON: five decimals, NaN for infinite values.

    Args:
        names: names of the sources.
        scores: ratios of every window.
        of_track: key of a `TrackMetric` -> one value per source; stored in the entry of the source.
    """
    values = {"SDR": scores.sdr, "SIR": scores.sir, "SAR": scores.sar, "ISR": scores.isr}
    targets = [
        {
            "name": name,
            **{key: round(float(values_of_track[i]), 5) for key, values_of_track in of_track.items()},
            "frames": [
                {
                    "time": float(window),
                    "duration": 1.0,
                    "metrics": {metric: _rounded(value[i, window]) for metric, value in values.items()},
                }
                for window in range(scores.sdr.shape[1])
            ],
        }
        for i, name in enumerate(names)
    ]
    return json.dumps({"targets": targets}, indent=2)


def _rounded(value: Tensor) -> float:
    """Round a value to five decimals; NaN when it is infinite."""
    return round(float(value), 5) if value.isfinite() else math.nan


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
