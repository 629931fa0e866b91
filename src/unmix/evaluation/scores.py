"""Scores of a track in museval's JSON, and their medians.

A track's score is the median over its one-second windows, a method's the median over tracks: SiSEC 2018's rule. A
window counts only if no reference and no estimate is silent in it, else it is NaN for all of them; which targets are
scored together therefore changes the scores, and all four always are. A track without a window that counts is NaN, and
left out of the medians over tracks.
"""

import csv
import json
import logging
import math
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

import torch
from torch import Tensor

from unmix import errors
from unmix.evaluation.bss_eval import ReadStems, Scores, bss_eval_blocks
from unmix.evaluation.metrics import BLOCK, METRICS, TRACK_METRICS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrackScore:
    """Medians over the windows of one track for one target; NaN where no window counts."""

    method: str
    track: str
    target: str
    metrics: dict[str, float]


def score_track(
    track: str,
    names: Sequence[str],
    references: ReadStems,
    estimates: ReadStems,
    num_samples: int,
    *,
    sample_rate: int,
    engine: str = "torch",
    device: str | torch.device = "cpu",
) -> str:
    """BSS Eval v4 of one track, in museval's JSON format.

    Args:
        track: name, for messages.
        names: of the stems, in the order in which they are read.
        references, estimates: readers of true and estimated stems.
        num_samples: length of each.
        sample_rate: Hz; windows and hops have one second.
        engine: `torch`, or `museval`, the package.
        device: where `torch` computes.
    Raises:
        ValueError: on an unknown engine, a single stem, or samples that are NaN or infinite.
        FileNotFoundError: for museval without FFmpeg, which its imports need.
    """
    if engine not in ENGINES:
        raise ValueError(errors.unknown("engine", engine, ENGINES))
    if len(names) < 2:
        raise ValueError(f"{track}: got {', '.join(names) or 'no stem'}; the ratios of two stems at least are computed")
    try:
        scores = ENGINES[engine](
            lambda start, stop: references(start, stop).to(device),
            lambda start, stop: estimates(start, stop).to(device),
            num_samples,
            sample_rate,
        )
    except ValueError as error:
        raise ValueError(f"{track}: {error}") from error
    if scores.sdr.isnan().all():
        silent = [
            f"the {kind} {names[i]}"
            for kind, read in (("reference", references), ("estimate", estimates))
            for i in _silent(read, num_samples)
        ]
        reason = " and ".join(silent) + " silent throughout" if silent else "something is silent in every window"
        log.warning("%s has no score: %s", track, reason)
    return to_json(names, scores, {one.key: one.compute(references, estimates, num_samples) for one in TRACK_METRICS})


def _torch(references: ReadStems, estimates: ReadStems, num_samples: int, sample_rate: int) -> Scores:
    return bss_eval_blocks(references, estimates, num_samples, window=sample_rate, hop=sample_rate)


def _museval(references: ReadStems, estimates: ReadStems, num_samples: int, sample_rate: int) -> Scores:
    if shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None:
        raise FileNotFoundError("engine: museval needs ffmpeg and ffprobe on PATH (by way of musdb); install FFmpeg")
    import museval

    # museval's axes: (sources, samples, channels)
    stems = [read(0, num_samples).transpose(1, 2).cpu().numpy() for read in (references, estimates)]
    if _silent(references, num_samples) or _silent(estimates, num_samples):  # which it refuses
        windows = 1 + max(0, num_samples - sample_rate) // sample_rate
        return Scores(*torch.full((4, len(stems[0]), windows), torch.nan, dtype=torch.float64))
    sdr, isr, sir, sar = museval.evaluate(*stems, win=sample_rate, hop=sample_rate)
    return Scores(*map(torch.from_numpy, (sdr, isr, sir, sar)))


ENGINES: dict[str, Callable[[ReadStems, ReadStems, int, int], Scores]] = {"torch": _torch, "museval": _museval}


def _silent(read: ReadStems, num_samples: int) -> list[int]:
    """Positions of stems that are silent throughout; channels that cancel count as silence, as for museval."""
    starts = range(0, num_samples, BLOCK)
    pieces = (read(start, min(start + BLOCK, num_samples)) for start in starts)
    heard = torch.stack([piece.sum(dim=1).ne(0).any(dim=-1) for piece in pieces])
    return [i for i, one in enumerate(heard.any(dim=0).tolist()) if not one]


def to_json(names: Sequence[str], scores: Scores, of_track: Mapping[str, Tensor]) -> str:
    """Scores of a track in museval's JSON: five decimals, NaN for infinite values.

    Args:
        names: of the sources.
        scores: ratios of every window.
        of_track: by key of a `TrackMetric`, a value per source; each stands beside the source's windows.
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
    return round(float(value), 5) if value.isfinite() else math.nan


def medians(method: str, track: str, store: str) -> list[TrackScore]:
    """Scores of a track, medians over its windows, from museval's JSON."""
    return [
        TrackScore(method, track, target["name"], {metric: _median_of_windows(target, metric) for metric in METRICS})
        for target in json.loads(store)["targets"]
    ]


def _median_of_windows(target: dict[str, Any], metric: str) -> float:
    return _average([float(window["metrics"][metric]) for window in target["frames"]], statistics.median)


def _average(values: Sequence[float], average: Callable[[list[float]], float]) -> float:
    """Average of the values that are not NaN; NaN when all are."""
    numbers = [value for value in values if not math.isnan(value)]
    return average(numbers) if numbers else math.nan


def summarize(
    scores: Sequence[TrackScore], over_tracks: Callable[[list[float]], float] = statistics.median
) -> dict[str, dict[str, dict[str, float]]]:
    """Average scores over the tracks that have one, by default the median: method -> target -> metric -> dB."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for method in dict.fromkeys(score.method for score in scores):
        for target in dict.fromkeys(score.target for score in scores):
            rows = [score.metrics for score in scores if (score.method, score.target) == (method, target)]
            values = {metric: _average([row[metric] for row in rows], over_tracks) for metric in METRICS}
            table.setdefault(method, {})[target] = values
    return table


def means_of_medians(scores: Sequence[TrackScore]) -> dict[str, dict[str, dict[str, float]]]:
    """Means over tracks of the medians over windows, as some authors give them: method -> target -> metric -> dB."""
    return summarize(scores, over_tracks=statistics.fmean)


def means_over_tracks(stores: Sequence[str]) -> dict[str, dict[str, float]]:
    """Means of the track metrics over tracks: target -> key -> dB, from museval's JSON of every track."""
    tracks = [{target["name"]: target for target in json.loads(store)["targets"]} for store in stores]
    keys = [metric.key for metric in TRACK_METRICS]
    return {name: {key: statistics.fmean(track[name][key] for track in tracks) for key in keys} for name in tracks[0]}


def is_complete(store: str) -> bool:
    """Whether a track's JSON has every track metric; it lacks those that were added after it was written."""
    return all(metric.key in target for target in json.loads(store)["targets"] for metric in TRACK_METRICS)


def windows(store: str, target: str) -> list[tuple[float, float]]:
    """Start, in seconds, and SDR of every window of a target, from museval's JSON."""
    (frames,) = (one["frames"] for one in json.loads(store)["targets"] if one["name"] == target)
    return [(float(frame["time"]), float(frame["metrics"]["SDR"])) for frame in frames]


def num_windows(store: str) -> tuple[int, int]:
    """Number of windows of a track that count, and of all its windows, from museval's JSON."""
    frames = json.loads(store)["targets"][0]["frames"]
    return sum(not math.isnan(frame["metrics"]["SDR"]) for frame in frames), len(frames)


def to_csv(scores: Sequence[TrackScore]) -> str:
    """CSV with the columns of SiSEC 2018's table: method,track,target,SDR,SIR,ISR,SAR."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "track", "target", *METRICS])
    for score in scores:
        writer.writerow([score.method, score.track, score.target, *(f"{score.metrics[m]:.5f}" for m in METRICS)])
    return text.getvalue()
