"""Scoring of one track by metrics, in museval's JSON format."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unmix.evaluation import metrics
from unmix.evaluation.energy_ratios import TrackSdr
from unmix.evaluation.engines import BssEval, silent_stems
from unmix.evaluation.metrics import Definition, Metric
from unmix.evaluation.stems import ReadStems, Stems

log = logging.getLogger(__name__)
Values = Mapping[str, Tensor]  # name of a definition -> (sources, windows) or (sources,)


def default_metrics() -> list[Metric]:
    """Make the metrics of conf/evaluate.yaml: `museval` and `usdr`."""
    return [BssEval(), TrackSdr()]


def score_track(
    track: str,
    names: Sequence[str],
    references: ReadStems,
    estimates: Sequence[ReadStems],
    num_samples: int,
    *,
    sample_rate: int,
    chosen: Sequence[Metric] | None = None,
    device: str | torch.device = "cpu",
) -> list[str]:
    """Score the estimates of one or several methods for one track.

    Args:
        track: name of the track, for messages.
        names: names of the stems, in the order of the readers.
        references: reads the true stems.
        estimates: read the estimated stems, one reader per method.
        num_samples: length of the track.
        sample_rate: Hz.
        chosen: the metrics; None is `default_metrics`.
        device: device on which they are computed.
    Returns:
        For each method, scores of all targets in museval's JSON format, with their definitions.
    Raises:
        ValueError: on what a metric refuses, such as NaN or infinite samples, or results of another shape.
        FileNotFoundError: when the package museval finds no FFmpeg.
    """
    chosen = default_metrics() if chosen is None else chosen
    true = _on(device, references)
    stems = [Stems(true, _on(device, read), num_samples, sample_rate) for read in estimates]
    definitions = metrics.definitions_of(chosen)
    try:
        results = [_results(metric, stems) for metric in chosen]
    except ValueError as error:
        raise ValueError(f"{track}: {error}") from error
    stores = []
    for i, of_method in enumerate(stems):
        values = {name: value for of_metric in results for name, value in of_metric[i].items()}
        _warn_of_no_score(track, names, definitions, values, of_method)
        stores.append(to_json(names, definitions, values))
    return stores


def _on(device: str | torch.device, read: ReadStems) -> ReadStems:
    return lambda start, stop: read(start, stop).to(device)


def _results(metric: Metric, stems: Sequence[Stems]) -> list[Values]:
    """Compute a metric for every method, on the CPU; raises ValueError on values of another shape than promised."""
    together = getattr(metric, "together", None)
    results = together(stems) if together else [metric(of_method) for of_method in stems]
    num_sources = len(stems[0].references(0, 1))
    for values in results:
        for definition in metric.definitions:
            shape = tuple(values[definition.name].shape) if definition.name in values else None
            num_axes = 1 if definition.window_seconds is None else 2
            if shape is None or len(shape) != num_axes or shape[0] != num_sources:
                needed = f"({num_sources},)" if num_axes == 1 else f"({num_sources}, windows)"
                raise ValueError(
                    f"metrics: {type(metric).__name__} gave {definition.name} of shape {shape}, {needed} is needed"
                )
    return [{name: value.detach().cpu() for name, value in values.items()} for values in results]


def _warn_of_no_score(
    track: str, names: Sequence[str], definitions: Sequence[Definition], values: Values, stems: Stems
) -> None:
    """Warn when a metric has no value at all for a track, and say why."""
    empty = [definition.name for definition in definitions if values[definition.name].isnan().all()]
    if empty:
        which = "score" if len(empty) == len(definitions) else ", ".join(empty)
        log.warning("%s has no %s: %s", track, which, _why_no_score(names, stems))


def _why_no_score(names: Sequence[str], stems: Stems) -> str:
    silent = [
        f"the {kind} {names[i]}"
        for kind, read in (("reference", stems.references), ("estimate", stems.estimates))
        for i in silent_stems(read, stems.num_samples)
    ]
    return " and ".join(silent) + " silent throughout" if silent else "every window has a silent stem"


def to_json(names: Sequence[str], definitions: Sequence[Definition], values: Values) -> str:
    """Format the scores of a track as museval's JSON: five decimals, NaN for infinite values.

    Args:
        names: names of the sources.
        definitions: what the values mean, in the order of columns.
        values: see `Metric`.
    """
    content = {
        "definitions": metrics.to_json(definitions),
        "scenario": list(names),
        "targets": [
            {
                "name": name,
                "track": {
                    definition.name: _rounded(values[definition.name][i])
                    for definition in definitions
                    if definition.window_seconds is None
                },
                "frames": _frames(definitions, {name: value[i] for name, value in values.items()}),
            }
            for i, name in enumerate(names)
        ],
    }
    return json.dumps(content, indent=2)


# museval's order of keys in a window
_ORDER = {"SDR": 0, "SIR": 1, "SAR": 2, "ISR": 3}


def _frames(definitions: Sequence[Definition], values: Values) -> list[dict[str, Any]]:
    """Windows of one source: start, length, and values of all metrics that have windows of this length."""
    frames: dict[tuple[float, float], dict[str, float]] = {}
    for definition in sorted(definitions, key=lambda each: _ORDER.get(each.name, len(_ORDER))):
        if (seconds := definition.window_seconds) is not None:
            for window, value in enumerate(values[definition.name]):
                frames.setdefault((window * seconds, float(seconds)), {})[definition.name] = _rounded(value)
    return [{"time": time, "duration": seconds, "metrics": scored} for (time, seconds), scored in frames.items()]


def _rounded(value: Tensor) -> float:
    """Round a value to five decimals; NaN when it is infinite."""
    return round(float(value), 5) if value.isfinite() else math.nan
