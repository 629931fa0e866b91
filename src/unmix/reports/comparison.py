"""Several evaluations of the same tracks side by side: one page, one table of all scores."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from unmix.errors import counted
from unmix.evaluation import metrics, scores
from unmix.evaluation.scores import Overall, TrackScore
from unmix.evaluation.summary import Summary
from unmix.experiments import folder
from unmix.reports import figures, pages
from unmix.reports.tables import cells, shown


def rows(summaries: Sequence[Summary]) -> list[TrackScore]:
    """Collect the scores of all evaluations: those of the baseline once and first, then each method's own.

    Raises:
        ValueError: when the evaluations are not of the same tracks, metrics and scenario, or two methods have one name.
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
        if set(summary.tracks) != set(first.tracks):
            raise ValueError(f"{summary.method}: scored on other tracks than {first.method}; only the same compare")
        if summary.method in [earlier.method for earlier in summaries[:i]]:
            raise ValueError(f"{summary.method}: two of one name; every method needs one of its own")
    baseline = [row for row in first.rows if row.method == first.baseline]
    return baseline + [row for summary in summaries for row in summary.rows if row.method == summary.method]


def overall(summaries: Sequence[Summary]) -> Overall:
    """Scores over all tracks of all methods, then of the published ones: method -> target -> metric -> value."""
    published = {name: values for summary in summaries for name, values in summary.published.items()}
    as_published = {f"{name} as published": values for name, values in published.items()}
    return scores.summarize(rows(summaries), summaries[0].definitions) | as_published


def write(summaries: Sequence[tuple[Summary, Path]], path: Path) -> None:
    """Write comparison.html, scores.csv and boxplot.png.

    Args:
        summaries: evaluations, each with its folder, whose report the page links to.
        path: the folder to write into.
    """
    all_rows = rows([summary for summary, _ in summaries])
    first = summaries[0][0]
    box_plot = figures.png(figures.methods_plot(all_rows, first.baseline, first.main))
    folder.write_atomically(path / "scores.csv", scores.to_csv(all_rows, first.definitions))
    (path / "boxplot.png").write_bytes(box_plot)
    text = pages.render(
        "comparison.html",
        title=f"{len(summaries)} methods, {counted(first.num_tracks, 'track')}",
        meanings=metrics.describe(first.definitions, first.targets),
        heads=[definition.name for definition in first.definitions],
        main=first.main.name,
        overall=list(_overall_rows([summary for summary, _ in summaries])),
        links={summary.method: quote(os.path.relpath(own / "report.html", path)) for summary, own in summaries},
        box_plot=box_plot,
        methods=list(dict.fromkeys(row.method for row in all_rows)),
        tracks=list(_track_rows(all_rows, first.main.name)),
        settings=json.dumps({summary.method: summary.settings for summary, _ in summaries}, indent=2),
    )
    folder.write_atomically(path / "comparison.html", text)


def _overall_rows(summaries: Sequence[Summary]) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the rows of the table of scores over all tracks: target, method, one cell per metric."""
    values = overall(summaries)
    for target in dict.fromkeys(target for of_method in values.values() for target in of_method):
        for method, of_method in values.items():
            if target in of_method:
                yield target, method, cells(of_method[target], summaries[0].definitions)


def _track_rows(all_rows: Sequence[TrackScore], main: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the rows of the table of tracks: track, target, a cell with the main metric per method, or an empty one."""
    methods = dict.fromkeys(row.method for row in all_rows)
    shown_of = {(row.track, row.target, row.method): shown(row.metrics[main]) for row in all_rows}
    for track, target in dict.fromkeys((row.track, row.target) for row in all_rows):
        yield track, target, [shown_of.get((track, target, method), "") for method in methods]
