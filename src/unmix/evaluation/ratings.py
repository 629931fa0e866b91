"""Ratings of a MUSHRA listening test (ITU-R BS.1534-3): reading, post-screening, means, agreement with metrics."""

import csv
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

REFERENCE, MIDDLE_ANCHOR = "reference", "anchor70"
LIMIT, ALLOWED_SHARE, DOUBTFUL_SHARE = 90.0, 0.15, 0.25  # BS.1534-3, section 4.1.2
CONFIDENCE = 0.95
# Columns of the files that webMUSHRA (service/write.php) and pymushra (download as CSV) write: listener, trial,
# condition, score; pymushra also writes other kinds of pages, which its `wm_type` tells apart.
FORMATS = {
    "session_uuid": ("session_uuid", "trial_id", "rating_stimulus", "rating_score"),
    "questionaire_uuid": ("questionaire_uuid", "wm_id", "responses_stimulus", "responses_score"),
}


@dataclass(frozen=True)
class Rating:
    """Score from 0 to 100 that a listener gave to a condition of a trial."""

    listener: str
    trial: str
    condition: str
    score: float


@dataclass(frozen=True)
class Mean:
    """Mean of the listeners' means, with its interval; `low` and `high` are NaN for a single listener."""

    mean: float
    low: float
    high: float
    num_listeners: int


@dataclass(frozen=True)
class Correlation:
    """Agreement of a metric with mean ratings over the clips of a source; NaN where one of them is constant."""

    pearson: float
    spearman: float
    num_clips: int


def read(path: Path) -> list[Rating]:
    """Read the CSV file of results that webMUSHRA or pymushra wrote.

    Raises:
        ValueError: when the file is of another kind; naming the line, when a score is not a number from 0 to 100, or a
            listener rated a condition of a trial twice.
        OSError: when the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"results: {path} is not a text file: {error}") from error
    lines = text.splitlines()
    delimiter = ";" if lines and ";" in lines[0] else ","
    reader = csv.DictReader(lines, delimiter=delimiter)
    names = next((names for column, names in FORMATS.items() if column in (reader.fieldnames or ())), None)
    if names is None or not set(names) <= set(reader.fieldnames or ()):
        raise ValueError(
            f"results: {path} is not a file of MUSHRA ratings: its first line must name the columns "
            + " or ".join(", ".join(names) for names in FORMATS.values())
        )
    ratings: dict[tuple[str, str, str], Rating] = {}
    for row in reader:
        if row.get("wm_type", "mushra") != "mushra":
            continue
        rating = _rating(f"results: {path}, line {reader.line_num}", [row[name] for name in names])
        key = (rating.listener, rating.trial, rating.condition)
        if key in ratings:
            raise ValueError(
                f"results: {path}, line {reader.line_num}: listener {key[0]} rates {key[2]} of {key[1]} twice"
            )
        ratings[key] = rating
    if not ratings:
        raise ValueError(f"results: {path} has no rating")
    return list(ratings.values())


def _rating(place: str, values: Sequence[str | None]) -> Rating:
    listener, trial, condition, score = ("" if value is None else value.strip() for value in values)
    if not (listener and trial and condition):
        raise ValueError(f"{place}: listener, trial and condition must not be empty")
    try:
        number = float(score)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 100:
        raise ValueError(f"{place}: score: got {score!r}, allowed 0 to 100")
    return Rating(listener, trial, condition, number)


def excluded(ratings: Sequence[Rating]) -> dict[str, str]:
    """Listeners whom BS.1534-3, section 4.1.2, excludes, each with the reason.

    A listener is excluded who rates, in more than 15 % of the trials, the hidden reference below 90 or the middle
    anchor above 90. Trials in which more than a quarter of all listeners rate the middle anchor above 90 do not count
    for the latter: there the anchor is no audible degradation.
    """
    high = _shares((r.trial, r.score > LIMIT) for r in ratings if r.condition == MIDDLE_ANCHOR)
    doubtful = {trial for trial, share in high.items() if share > DOUBTFUL_SHARE}
    low_reference = _shares((r.listener, r.score < LIMIT) for r in ratings if r.condition == REFERENCE)
    high_anchor = _shares(
        (r.listener, r.score > LIMIT) for r in ratings if r.condition == MIDDLE_ANCHOR and r.trial not in doubtful
    )
    reasons = {
        listener: f"rated the hidden reference below 90 in {share:.0%} of the trials"
        for listener, share in low_reference.items()
        if share > ALLOWED_SHARE
    }
    for listener, share in high_anchor.items():
        if share > ALLOWED_SHARE and listener not in reasons:
            reasons[listener] = f"rated the middle anchor above 90 in {share:.0%} of the trials"
    return reasons


def _shares(votes: Iterable[tuple[str, bool]]) -> dict[str, float]:
    """Share of true votes per key."""
    grouped: dict[str, list[bool]] = defaultdict(list)
    for key, vote in votes:
        grouped[key].append(vote)
    return {key: sum(values) / len(values) for key, values in grouped.items()}


def mean(ratings: Iterable[Rating]) -> Mean:
    """Mean of ratings with its 95 % interval by Student's t over listeners.

    A listener's ratings depend on each other, so each listener counts once, with the mean of all their ratings.
    """
    scores: dict[str, list[float]] = defaultdict(list)
    for rating in ratings:
        scores[rating.listener].append(rating.score)
    means = np.array([np.mean(values) for values in scores.values()])
    if len(means) < 2:
        return Mean(float(means.mean()), math.nan, math.nan, len(means))
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(means) - 1) * stats.sem(means)
    return Mean(float(means.mean()), float(means.mean() - half), float(means.mean() + half), len(means))


def correlate(metric: Mapping[tuple[str, str], float], ratings: Sequence[Rating]) -> Correlation:
    """Correlate a metric with the mean rating of each clip.

    Args:
        metric: (trial, condition) -> value; NaN and clips without ratings are left out.
        ratings: ratings of listeners who are not excluded.
    """
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for rating in ratings:
        scores[rating.trial, rating.condition].append(rating.score)
    clips = [clip for clip, value in metric.items() if clip in scores and not math.isnan(value)]
    values = np.array([metric[clip] for clip in clips])
    means = np.array([np.mean(scores[clip]) for clip in clips])
    if len(clips) < 3 or np.ptp(values) == 0 or np.ptp(means) == 0:
        return Correlation(math.nan, math.nan, len(clips))
    return Correlation(
        float(stats.pearsonr(values, means).statistic), float(stats.spearmanr(values, means).statistic), len(clips)
    )
