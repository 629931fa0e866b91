"""Tables of a listening test: mean ratings per source and condition, and the metrics' agreement with them."""

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from unmix.errors import counted
from unmix.evaluation import ratings
from unmix.evaluation.ratings import Correlation, Mean, Rating
from unmix.reports.tables import print_wide
from unmix.reports.webmushra import KeyedTrial

ALL = "all sources"
SECONDARY = (ratings.REFERENCE, ratings.MIDDLE_ANCHOR, "anchor35", "mixture")  # conditions that are not methods


@dataclass(frozen=True)
class Results:
    """Results of a listening test.

    Args:
        excluded: listener -> reason of the exclusion.
        num_listeners: number of listeners, the excluded ones included.
        means: source -> condition or method -> mean rating.
        correlations: metric -> source -> agreement over clips; empty without scores.
    """

    excluded: Mapping[str, str]
    num_listeners: int
    means: Mapping[str, Mapping[str, Mean]]
    correlations: Mapping[str, Mapping[str, Correlation]]


def results(all_ratings: Sequence[Rating], key: Mapping[str, KeyedTrial]) -> Results:
    """Post-screen and summarise ratings.

    Args:
        all_ratings: ratings of all listeners.
        key: trial -> what it was.
    Raises:
        ValueError: when ratings and key are not of the same test, or no listener remains.
    """
    for rating in all_ratings:
        if rating.trial not in key or rating.condition not in (*SECONDARY, *key[rating.trial].conditions):
            raise ValueError(
                f"key: has no {rating.condition} of {rating.trial}, which was rated: name the key of this test"
            )
    excluded = ratings.excluded(all_ratings)
    rest = [rating for rating in all_ratings if rating.listener not in excluded]
    if not rest:
        raise ValueError(f"results: BS.1534-3 excludes {counted(len(excluded), 'listener')}, which is everyone")
    sources = list(dict.fromkeys(trial.target for trial in key.values()))
    scopes = {source: {name for name, trial in key.items() if trial.target == source} for source in sources}
    scopes |= {ALL: set(key)} if len(sources) > 1 else {}
    listeners = {rating.listener for rating in all_ratings}
    return Results(excluded, len(listeners), _means(rest, key, scopes), _correlations(rest, key, scopes))


def _means(
    rest: Sequence[Rating], key: Mapping[str, KeyedTrial], scopes: Mapping[str, set[str]]
) -> dict[str, dict[str, Mean]]:
    means = {}
    for scope, trials in scopes.items():
        grouped: dict[str, list[Rating]] = {}
        for rating in rest:
            if rating.trial in trials:
                method = key[rating.trial].conditions.get(rating.condition, rating.condition)
                grouped.setdefault(method, []).append(rating)
        by_name = {name: ratings.mean(group) for name, group in grouped.items()}
        means[scope] = dict(sorted(by_name.items(), key=lambda item: -item[1].mean))
    return means


def _correlations(
    rest: Sequence[Rating], key: Mapping[str, KeyedTrial], scopes: Mapping[str, set[str]]
) -> dict[str, dict[str, Correlation]]:
    metrics = dict.fromkeys(metric for trial in key.values() for scores in trial.scores.values() for metric in scores)
    return {
        metric: {
            scope: ratings.correlate(
                {
                    (name, condition): float(scores.get(metric, math.nan))
                    for name in trials
                    for condition, scores in key[name].scores.items()
                },
                rest,
            )
            for scope, trials in scopes.items()
        }
        for metric in metrics
    }


def means_csv(done: Results) -> str:
    """Mean ratings as CSV; intervals of a single listener are empty."""
    rows = (
        (source, method, *map(_number, (mean.mean, mean.low, mean.high)), mean.num_listeners)
        for source, means in done.means.items()
        for method, mean in means.items()
    )
    return _csv(("source", "method", "mean", "low", "high", "listeners"), rows)


def correlations_csv(done: Results) -> str:
    """Correlations of metrics with mean ratings as CSV; those that are not defined are empty."""
    rows = (
        (metric, source, _number(item.pearson), _number(item.spearman), item.num_clips)
        for metric, sources in done.correlations.items()
        for source, item in sources.items()
    )
    return _csv(("metric", "source", "pearson", "spearman", "clips"), rows)


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _csv(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return text.getvalue()


def print_tables(done: Results, console: Console | None = None) -> None:
    """Print who is excluded, mean ratings per source, and the agreement of metrics with them."""
    console = console or Console()
    for listener, reason in done.excluded.items():
        console.print(f"excluded: {listener}, who {reason}", markup=False, highlight=False)
    rest = done.num_listeners - len(done.excluded)
    title = f"Mean rating of {counted(rest, 'listener')} from 0 to 100, with 95 % interval over listeners (MUSHRA)"
    table = Table(title=title, title_justify="left")
    methods = list(dict.fromkeys(method for means in done.means.values() for method in means))
    table.add_column("method")
    for source in done.means:
        table.add_column(source, justify="right")
    for method in methods:
        table.add_row(escape(method), *(_cell(means.get(method)) for means in done.means.values()))
    print_wide(table, (), console)
    if not done.correlations:
        return
    table = Table(title="Correlation of metrics with mean ratings: Pearson / Spearman (clips)", title_justify="left")
    table.add_column("metric")
    for source in done.means:
        table.add_column(source, justify="right")
    for metric, sources in done.correlations.items():
        cells = (f"{_sign(item.pearson)} / {_sign(item.spearman)} ({item.num_clips})" for item in sources.values())
        table.add_row(escape(metric), *cells)
    print_wide(table, (), console)


def _cell(mean: Mean | None) -> str:
    if mean is None:
        return "-"
    return f"{mean.mean:.1f}" if math.isnan(mean.low) else f"{mean.mean:.1f} [{mean.low:.1f}, {mean.high:.1f}]"


def _sign(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.2f}"
