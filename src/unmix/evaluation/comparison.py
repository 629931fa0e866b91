"""Several evaluations of the same tracks side by side: one page, one table of all scores."""

import html
import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from unmix.evaluation import figures, scores
from unmix.evaluation.page import COMPARISON
from unmix.evaluation.report import Summary
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.table import METRICS, shown
from unmix.experiments import folder, page

Medians = dict[str, dict[str, dict[str, float]]]


def rows(summaries: Sequence[Summary]) -> list[TrackScore]:
    """All scores, the baseline's once and first.

    Raises:
        ValueError: when they are not of the same tracks, or two methods have one name.
    """
    first = summaries[0]
    tracks = {row.track for row in first.rows}
    for i, summary in enumerate(summaries):
        if {row.track for row in summary.rows} != tracks:
            raise ValueError(f"{summary.method}: scored on other tracks than {first.method}; only the same compare")
        if summary.method in [one.method for one in summaries[:i]]:
            raise ValueError(f"{summary.method}: two of one name; every method needs one of its own")
    baseline = [row for row in first.rows if row.method == first.baseline]
    return baseline + [row for one in summaries for row in one.rows if row.method == one.method]


def medians(summaries: Sequence[Summary]) -> Medians:
    """Method -> target -> metric -> dB, what was published of others behind our own."""
    ours = scores.summarize(rows(summaries))
    return ours | {f"{one.compared} as published": one.published for one in summaries if one.compared}


def write(summaries: Sequence[tuple[Summary, Path]], path: Path) -> None:
    """comparison.html, scores.csv and boxplot.png into a folder.

    Args:
        summaries: each with the folder of its evaluation, which its name links to.
        path: the folder.
    """
    found = rows([summary for summary, _ in summaries])
    picture = figures.png(figures.methods_plot(found, summaries[0][0].baseline))
    folder.write_atomically(path / "scores.csv", scores.to_csv(found))
    (path / "boxplot.png").write_bytes(picture)
    links = {one.method: quote(os.path.relpath(where / "report.html", path)) for one, where in summaries}
    settings = {one.method: one.settings for one, _ in summaries}
    text = COMPARISON.format(
        style=page.STYLE,
        script=page.SORT,
        title=html.escape(f"{len(summaries)} methods, {summaries[0][0].num_tracks} tracks"),
        metrics="".join(f"<th>{metric}</th>" for metric in METRICS),
        medians="\n".join(_median_rows(medians([summary for summary, _ in summaries]), links)),
        picture=page.image(picture, "box plot of the SDR of every method, per target"),
        heads="".join(f"<th>{html.escape(method)}</th>" for method in dict.fromkeys(row.method for row in found)),
        rows="\n".join(_track_rows(found)),
        settings=html.escape(json.dumps(settings, indent=2)),
    )
    folder.write_atomically(path / "comparison.html", text)


def _median_rows(values: Medians, links: dict[str, str]) -> list[str]:
    targets = dict.fromkeys(target for method in values.values() for target in method)
    return [
        f"<tr>{page.row_head(target)}{page.row_head(method, links.get(method))}"
        + "".join(f"<td>{html.escape(shown(values[method][target][metric]))}</td>" for metric in METRICS)
        + "</tr>"
        for target in targets
        for method in values
        if target in values[method]
    ]


def _track_rows(found: Sequence[TrackScore]) -> list[str]:
    methods = dict.fromkeys(row.method for row in found)
    sdr = {(row.track, row.target, row.method): row.metrics["SDR"] for row in found}
    return [
        f"<tr>{page.row_head(track)}{page.row_head(target)}"
        + "".join(
            f"<td>{shown(sdr[track, target, one])}</td>" if (track, target, one) in sdr else "<td></td>"
            for one in methods
        )
        + "</tr>"
        for track, target in dict.fromkeys((row.track, row.target) for row in found)
    ]
