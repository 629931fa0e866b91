"""Several evaluations of the same tracks side by side: one page, one table of all scores."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from unmix.errors import counted
from unmix.evaluation import metrics, scores, statistics
from unmix.evaluation.metrics import Definition
from unmix.evaluation.scores import Overall, TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.statistics import Comparison
from unmix.evaluation.summary import Summary
from unmix.experiments import folder
from unmix.reports import comparison_page, pages


def rows(summaries: Sequence[Summary]) -> list[TrackScore]:
    """Collect the scores of the tracks that all evaluations have: the baseline's once and first, then each method's.

    Raises:
        ValueError: when metrics or scenarios differ, no track is in all evaluations, or two methods have one name.
    """
    first = summaries[0]
    for i, summary in enumerate(summaries):
        if difference := metrics.difference(summary.definitions, first.definitions):
            raise ValueError(
                f"{summary.method}: scored by {difference} of {first.method}; "
                "score both again with the same metrics=..."
            )
        if set(summary.targets) != set(first.targets):
            raise ValueError(
                f"{summary.method}: scored in the scenario {metrics.scenario(summary.targets)}, {first.method} in "
                f"{metrics.scenario(first.targets)}; only the same compare"
            )
        if summary.method in [earlier.method for earlier in summaries[:i]]:
            raise ValueError(f"{summary.method}: two of one name; every method needs one of its own")
        if not set(summary.tracks) & set(first.tracks):
            raise ValueError(f"{summary.method}: scored on other tracks than {first.method}; only the same compare")
    shared = set(first.tracks).intersection(*(summary.tracks for summary in summaries))
    if not shared:
        raise ValueError(f"{first.method}: no track was scored by all {len(summaries)} methods; only the same compare")
    baseline = [row for row in first.rows if row.method == first.baseline]
    own = [row for summary in summaries for row in summary.rows if row.method == summary.method]
    return [row for row in baseline + own if row.track in shared]


def left_out(summaries: Sequence[Summary]) -> list[str]:
    """Names of the tracks that some evaluations lack, which are therefore not compared."""
    every = dict.fromkeys(track for summary in summaries for track in summary.tracks)
    return [track for track in every if not all(track in summary.tracks for summary in summaries)]


def overall(summaries: Sequence[Summary]) -> Overall:
    """Scores over all tracks of all methods, then of the published ones: method -> target -> metric -> value."""
    published = {name: values for summary in summaries for name, values in summary.published.items()}
    as_published = {f"{name} as published": values for name, values in published.items()}
    return scores.summarize(rows(summaries), summaries[0].definitions) | as_published


def differences(all_rows: Sequence[TrackScore], baseline: str, main: Definition) -> dict[str, list[Comparison]]:
    """Compare all pairs of methods, without the baseline, in the main metric of every target: target -> comparisons."""
    own = [row for row in all_rows if row.method != baseline]
    targets = dict.fromkeys(row.target for row in own)
    return {target: statistics.compare(statistics.runs_of(own, target, main.name), main) for target in targets}


def ranking(values: Overall, targets: Sequence[str], main: Definition) -> dict[str, float]:
    """Mean over targets of the main metric of every method, the best first, those without one last.

    A target that no method has a score for counts for none.
    """
    scored = [t for t in targets if any(not math.isnan(_score(own, t, main)) for own in values.values())]
    means = {
        method: sum(_score(own, target, main) for target in scored) / len(scored) if scored else math.nan
        for method, own in values.items()
    }
    sign = -1 if main.better == "high" else 1
    return dict(sorted(means.items(), key=lambda item: (True, 0.0) if math.isnan(item[1]) else (False, sign * item[1])))


def _score(own: Mapping[str, Mapping[str, float]], target: str, main: Definition) -> float:
    return own.get(target, {}).get(main.name, math.nan)


def write(summaries: Sequence[tuple[Summary, Path]], path: Path) -> None:
    """Write comparison.html and scores.csv.

    Args:
        summaries: evaluations, each with its folder, whose report the page links to and whose clips it plays.
        path: the folder to write into.
    """
    own = [summary for summary, _ in summaries]
    all_rows, first = rows(own), own[0]
    folder.write_atomically(path / "scores.csv", scores.to_csv(all_rows, first.definitions))
    values, num_tracks = overall(own), len({row.track for row in all_rows})
    ranked = ranking(values, first.targets, first.main)
    pairs = differences(all_rows, first.baseline, first.main)
    compared = comparison_page.Compared(all_rows, values, ranked, pairs, first.baseline, first.definitions)
    folders = {summary.method: EvaluationFolder(at) for summary, at in summaries}
    text = pages.render(
        "comparison.html",
        title=f"Comparison of {counted(len(own), 'method')} on {counted(num_tracks, 'track')}",
        left_out=left_out(own),
        links={summary.method: quote(os.path.relpath(at / "report.html", path)) for summary, at in summaries},
        passages=list(comparison_page.passages(first.targets, {each: folders[each] for each in compared.methods})),
        settings=json.dumps({summary.method: summary.settings for summary in own}, indent=2),
        **compared.content(),
    )
    folder.write_atomically(path / "comparison.html", text)
