"""Scoring of one track: BSS Eval of its estimates, in museval's JSON format."""

import json
import logging
import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unmix import settings
from unmix.evaluation.bss_eval import Scores
from unmix.evaluation.engines import ENGINES, silent_stems
from unmix.evaluation.metrics import TRACK_METRICS
from unmix.evaluation.projections import ReadStems

log = logging.getLogger(__name__)


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
