"""The report of one evaluation: scores.csv, box plots, a page to read and listen to, summary.json."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from unmix.errors import counted
from unmix.evaluation import metrics, passages, published, scores
from unmix.evaluation.metrics import BSS_EVAL
from unmix.evaluation.scoring import MIXTURE, EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.experiments import folder
from unmix.reports import charts, clips, figures, pages
from unmix.reports.charts import Chart
from unmix.reports.clips import TYPICAL, Clips
from unmix.reports.figures import ARTIFACTS
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
    folder.write_atomically(where.path / "report.html", render(summary, where))
    played = {path for _, _, _, path in _chosen(summary, where)}
    for file in {*where.path.glob("passages/*/*.wav"), *where.path.glob("typical/*/*.wav")} - played:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    folder.write_atomically(path, text)  # last, as it marks the report as complete


def render(summary: Summary, where: EvaluationFolder) -> str:
    """Render the HTML page: medians, box plots, passages, scores of every track with its saved stems, settings."""
    tracks = [_track(summary, track, where) for track in summary.tracks]
    return pages.render(
        "report.html",
        title=f"{summary.method}: {counted(summary.num_tracks, 'track')}",
        meanings=metrics.describe(summary.definitions, summary.targets),
        heads=[definition.name for definition in summary.definitions],
        main=summary.main.name,
        unit=summary.main.unit,
        overall=list(_overall(summary)),
        boxes=_boxes(summary),
        participants=_participants(summary),
        passages=list(_passages(summary, where)),
        targets=summary.targets,
        tracks=tracks,
        has_stems=any(target["address"] for track in tracks for target in track["targets"]),
        settings=json.dumps(summary.settings, indent=2),
    )


def _overall(summary: Summary) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the table of scores over all tracks: name, one cell per metric."""
    methods = {**summary.overall, **{f"{name} as published": values for name, values in summary.published.items()}}
    for target in summary.targets:
        for method, values in methods.items():
            if target in values:
                yield f"{target}, {method}", cells(values[target], summary.definitions)


def _boxes(summary: Summary) -> Chart | None:
    """Chart of the scores of every track: a panel per metric, a row per source of the method and of the baseline."""
    muted = {target: f"{target}, {summary.baseline}" for target in summary.targets}
    rows = [
        {
            "panel": each.name,
            "name": row.target if row.method == summary.method else muted[row.target],
            "label": row.track,
            "value": row.metrics[each.name],
            "text": shown(row.metrics[each.name], each),
        }
        for each in summary.definitions
        for target in summary.targets
        for row in summary.rows
        # the mixture has no artifacts: its SAR is some 160 dB
        if row.target == target and not (row.method == summary.baseline and each.name in ARTIFACTS)
    ]
    title = "How well is each source separated, and how much do tracks differ?"
    return charts.boxes(title, rows, value=summary.main.unit, muted=list(muted.values()), is_shared=False)


def _participants(summary: Summary) -> Chart | None:
    """Chart of the method among the participants of SiSEC 2018; None when other tracks or metrics were scored."""
    if not summary.is_among_participants or BSS_EVAL[0] not in summary.definitions:
        return None
    theirs = [row for row in published.sisec18() if row.target in summary.targets]
    # the space tells the method from a participant of the same name
    own = [(f"{summary.method} ", row) for row in summary.rows if row.method == summary.method]
    every = [*own, *((row.method, row) for row in theirs)]
    medians = scores.summarize([replace(row, method=name) for name, row in every])
    means = {name: _mean_sdr(values) for name, values in medians.items()}
    rows = [
        {
            "panel": row.target,
            "name": name,
            "label": row.track,
            "value": (sdr := row.metrics["SDR"]),
            "text": shown(sdr),
        }
        for name, row in sorted(every, key=lambda item: (-means[item[0]], summary.targets.index(item[1].target)))
    ]
    title = f"Where does {summary.method} stand among SiSEC 2018's participants?"
    return charts.boxes(title, rows, value="SDR in dB", muted=[name for name in means if name != own[0][0]])


def _mean_sdr(medians: Mapping[str, Mapping[str, float]]) -> float:
    """Mean over targets of the SDR, without those that have none; minus infinity when no target has one."""
    known = [values["SDR"] for values in medians.values() if not math.isnan(values["SDR"])]
    return sum(known) / len(known) if known else -float("inf")


def _chosen(summary: Summary, where: EvaluationFolder) -> Iterator[tuple[str, str, str, Path]]:
    """Yield target, which, track and file of the passages: of the worst, the typical and the best track."""
    for target in summary.targets:
        extremes, typical = summary.extremes(target), summary.typical_track(target)
        chosen = {which: (track, where.passage(track, target)) for which, track in extremes.items()}
        if typical is not None:
            chosen[TYPICAL] = typical, where.typical(typical, target)
        for which in ("only", "worst", TYPICAL, "best"):
            if which in chosen:
                yield target, which, *chosen[which]


def _passages(summary: Summary, where: EvaluationFolder) -> Iterator[dict[str, Any]]:
    """Yield the passages for the template; also write their clips as MP3, for other pages."""
    typical = {}
    for target, which, track, path in _chosen(summary, where):
        method = MIXTURE if which == TYPICAL else summary.method
        second = _typical_second(where.store(method, track), target)
        if not path.is_file() or second is None:
            continue
        passage, time = passages.read(path), f"{int(second) // 60}:{int(second) % 60:02d}"
        sounds = {name: passages.mp3(stem, passage.sample_rate) for name, stem in passage.stems.items()}
        if which == TYPICAL:
            typical[target] = Clips(f"{track}, around {time}", sounds)
        else:
            where.clip(target, which).parent.mkdir(exist_ok=True)
            where.clip(target, which).write_bytes(sounds["estimate"])
        yield {
            "target": target,
            "which": which,
            "track": track,
            "score": shown(summary.score(track, target), summary.main),
            "time": time,
            "sounds": sounds,
            "spectrograms": figures.png(figures.spectrograms(passage), dpi=80),
        }
    clips.write(where, typical)


def _typical_second(store: Path, target: str) -> float | None:
    return passages.typical_second(scores.windows(store.read_text(), target)) if store.is_file() else None


def _track(summary: Summary, track: str, where: EvaluationFolder) -> dict[str, Any]:
    """Row of a track, for the template: windows, and for every target the SDR and the URL of the saved stem."""
    counting, windows = summary.windows.get(track, (0, 0))
    scored = []
    for target in summary.targets:
        path = where.estimate(track, target)
        address = quote(path.relative_to(where.path).as_posix()) if path.is_file() else ""
        scored.append({"score": shown(summary.score(track, target), summary.main), "address": address})
    return {"name": track, "counting": counting, "windows": windows, "targets": scored}
