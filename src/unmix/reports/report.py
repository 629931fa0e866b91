"""The report of one evaluation: scores.csv, box plots, a page to read and listen to, summary.json."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from unmix.errors import counted
from unmix.evaluation import metrics, passages, published, scores
from unmix.evaluation.metrics import BSS_EVAL
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.experiments import folder
from unmix.reports import figures, pages
from unmix.reports.tables import cells, shown


def write(summary: Summary, where: EvaluationFolder) -> None:
    """Write scores.csv, boxplot.png, report.html and summary.json, unless they are up to date.

    Passages that the report does not play are removed.
    """
    path, text = where.path / "summary.json", json.dumps(summary.content(), indent=2) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    folder.write_atomically(where.path / "scores.csv", scores.to_csv(summary.rows, summary.definitions))
    box_plot = figures.png(figures.box_plot(summary.rows, summary.method, summary.baseline, summary.definitions))
    (where.path / "boxplot.png").write_bytes(box_plot)
    folder.write_atomically(where.path / "report.html", render(summary, box_plot, where))
    played = {where.passage(track, target) for target in summary.targets for track in summary.extremes(target).values()}
    for file in set((where.path / "passages").glob("*/*.wav")) - played:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    folder.write_atomically(path, text)  # last, as it marks the report as complete


def render(summary: Summary, box_plot: bytes, where: EvaluationFolder) -> str:
    """Render the HTML page: medians, box plots, passages, scores of every track with its saved stems, settings."""
    return pages.render(
        "report.html",
        title=f"{summary.method}: {counted(summary.num_tracks, 'track')}",
        meanings=metrics.describe(summary.definitions, summary.targets),
        heads=[definition.name for definition in summary.definitions],
        main=summary.main.name,
        unit=summary.main.unit,
        overall=list(_overall(summary)),
        box_plot=box_plot,
        participants=_participants(summary),
        extremes=list(_extremes(summary, where)),
        targets=summary.targets,
        tracks=[_track(summary, track, where) for track in summary.tracks],
        settings=json.dumps(summary.settings, indent=2),
    )


def _overall(summary: Summary) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the table of scores over all tracks: name, one cell per metric."""
    methods = {**summary.overall, **{f"{name} as published": values for name, values in summary.published.items()}}
    for target in summary.targets:
        for method, values in methods.items():
            if target in values:
                yield f"{target}, {method}", cells(values[target], summary.definitions)


def _participants(summary: Summary) -> bytes | None:
    """Draw the method among the participants of SiSEC 2018, as a PNG; None when other tracks or metrics were scored."""
    if not summary.is_among_participants or BSS_EVAL[0] not in summary.definitions:
        return None
    participants = [row for row in published.sisec18() if row.target in summary.targets]
    return figures.png(figures.participants_plot(summary.rows, summary.method, participants))


def _extremes(summary: Summary, where: EvaluationFolder) -> Iterator[dict[str, Any]]:
    """Yield a passage of the worst and best track of every target, for the template; also write its estimate as MP3."""
    for target in summary.targets:
        for which, track in summary.extremes(target).items():
            path = where.passage(track, target)
            second = passages.typical_second(scores.windows(where.store(summary.method, track).read_text(), target))
            if not path.is_file() or second is None:
                continue
            passage = passages.read(path)
            sounds = {name: passages.mp3(stem, passage.sample_rate) for name, stem in passage.stems.items()}
            where.clip(target, which).parent.mkdir(exist_ok=True)
            where.clip(target, which).write_bytes(sounds["estimate"])
            yield {
                "target": target,
                "which": which,
                "track": track,
                "score": shown(summary.score(track, target)),
                "time": f"{int(second) // 60}:{int(second) % 60:02d}",
                "sounds": sounds,
                "spectrograms": figures.png(figures.spectrograms(passage), dpi=80),
            }


def _track(summary: Summary, track: str, where: EvaluationFolder) -> dict[str, Any]:
    """Row of a track, for the template: windows, and for every target its score and the URL of the saved stem."""
    counting, windows = summary.windows.get(track, (0, 0))
    scored = []
    for target in summary.targets:
        path = where.estimate(track, target)
        address = quote(path.relative_to(where.path).as_posix()) if path.is_file() else ""
        scored.append({"score": shown(summary.score(track, target)), "address": address})
    return {"name": track, "counting": counting, "windows": windows, "targets": scored}
