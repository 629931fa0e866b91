"""What people look at: a table on the terminal, box plots, a page."""

import html
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from unmix.evaluation import figures, passages, published, scores
from unmix.evaluation.page import PAGE
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.table import METRICS, shown
from unmix.experiments import folder, page


@dataclass(frozen=True)
class Summary:
    """The scores of one evaluation: of `method`, and of `baseline` on the same tracks."""

    method: str
    baseline: str
    rows: Sequence[TrackScore]
    settings: dict[str, Any]
    windows: dict[str, tuple[int, int]] = field(default_factory=dict)  # by track: how many count, how many there are
    compared: str | None = None  # what was published of others, see `published.medians_of`
    whole: dict[str, dict[str, float]] = field(default_factory=dict)  # method -> target -> `scores.whole_tracks`

    @property
    def published(self) -> dict[str, dict[str, float]]:
        """Target -> metric -> dB of what is compared with."""
        return {} if self.compared is None else published.medians_of(self.compared)

    @property
    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """Method -> target -> metric -> dB, medians over tracks."""
        return scores.summarize(self.rows)

    @property
    def targets(self) -> list[str]:
        return list(self.medians[self.method])

    @property
    def num_tracks(self) -> int:
        return len({row.track for row in self.rows})

    def score(self, track: str, target: str) -> float:
        """Its SDR."""
        key = (self.method, track, target)
        return next(row.metrics["SDR"] for row in self.rows if (row.method, row.track, row.target) == key)

    def extremes(self, target: str) -> dict[str, str]:
        """Its `worst` and its `best` track by SDR; one where there is but one, none where none has a score."""
        tracks = dict.fromkeys(row.track for row in self.rows)
        known = {track: sdr for track in tracks if not math.isnan(sdr := self.score(track, target))}
        if len(known) < 2:
            return dict(zip(("only",), known, strict=False))
        return {"worst": min(known, key=known.__getitem__), "best": max(known, key=known.__getitem__)}

    @property
    def is_among_participants(self) -> bool:
        """Whether these are the whole tracks that SiSEC 2018 scored; the excerpts of seven seconds have their names."""
        return {row.track for row in self.rows} == published.tracks() and all(
            total > 10 for _, total in self.windows.values()
        )


def write(summary: Summary, where: EvaluationFolder) -> None:
    """scores.csv, boxplot.png, report.html and summary.json; none when they are there and say the same.

    Of the passages only those stay that the report plays.
    """
    content = {
        "num_tracks": summary.num_tracks,
        "medians": summary.medians,
        "means_of_medians": scores.means_of_medians(summary.rows),
        "mean_sdr_of_whole_tracks": summary.whole,
        "windows_that_count": summary.windows,
        "published": {summary.compared: summary.published} if summary.compared else {},
        **summary.settings,
    }
    path, text = where.path / "summary.json", json.dumps(content, indent=2) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    folder.write_atomically(where.path / "scores.csv", scores.to_csv(summary.rows))
    picture = figures.png(figures.box_plot(summary.rows, summary.method, summary.baseline))
    (where.path / "boxplot.png").write_bytes(picture)
    folder.write_atomically(where.path / "report.html", render(summary, picture, where))
    played = {where.passage(track, target) for target in summary.targets for track in summary.extremes(target).values()}
    for file in set((where.path / "passages").glob("*/*.wav")) - played:
        file.unlink()
        if not any(file.parent.iterdir()):
            file.parent.rmdir()
    folder.write_atomically(path, text)  # the last: it says that all is done


def render(summary: Summary, picture: bytes, where: EvaluationFolder) -> str:
    """One HTML page: medians, box plots, passages, every track with what was saved of it, and the settings."""
    tracks = list(dict.fromkeys(row.track for row in summary.rows))
    rows = [
        "<tr>"
        + page.row_head(track)
        + _windows_cell(summary, track)
        + "".join(_track_cells(summary, track, target, where) for target in summary.targets)
        for track in tracks
    ]
    heads = "".join(f"<th>{html.escape(target)}</th>" for target in summary.targets)
    methods = {**summary.medians, f"{summary.compared} as published": summary.published}
    medians = [
        f"<tr>{page.row_head(f'{target}, {method}')}"
        + "".join(f"<td>{html.escape(shown(methods[method][target][metric]))}</td>" for metric in METRICS)
        + f"<td>{shown(summary.whole[method][target]) if method in summary.whole else ''}</td>"
        for target in summary.targets
        for method in methods
        if target in methods[method]
    ]
    return PAGE.format(
        style=page.STYLE,
        script=page.SORT,
        title=html.escape(f"{summary.method}: {summary.num_tracks} tracks"),
        participants=_participants(summary),
        extremes="\n".join(_extremes(summary, where)),
        metrics="".join(f"<th>{metric}</th>" for metric in METRICS),
        medians="\n".join(medians),
        picture=page.image(picture, "box plot of the scores per target and metric"),
        heads=heads,
        rows="\n".join(rows),
        settings=html.escape(json.dumps(summary.settings, indent=2)),
    )


def _windows_cell(summary: Summary, track: str) -> str:
    count, total = summary.windows.get(track, (0, 0))
    return f"<td>{count} of {total}</td>"


def _track_cells(summary: Summary, track: str, target: str, where: EvaluationFolder) -> str:
    player = ""
    if (path := where.estimate(track, target)).is_file():
        player = f"<br>{page.player(quote(path.relative_to(where.path).as_posix()))}"
    return f"<td>{summary.score(track, target):.2f}{player}</td>"


def _participants(summary: Summary) -> str:
    if not summary.is_among_participants:
        return ""
    participants = [row for row in published.sisec18() if row.target in summary.targets]
    picture = figures.png(figures.participants_plot(summary.rows, summary.method, participants))
    return f"<h2>Among SiSEC 2018's participants</h2>{page.image(picture, 'box plots of the SDR of all participants')}"


def _extremes(summary: Summary, where: EvaluationFolder) -> Iterator[str]:
    """A few seconds of every target's worst and best track; the estimates also as files, which other pages play."""
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
            players = "".join(f"<label>{name} {page.player(page.sound(one))}</label>" for name, one in sounds.items())
            picture = figures.png(figures.spectrograms(passage), dpi=80)
            yield (
                f"<section><h3>{html.escape(target)}, {which}: {html.escape(track)}</h3>"
                f"<p>SDR {summary.score(track, target):.2f} dB; around {int(second) // 60}:{int(second) % 60:02d}</p>"
                f"<p class=players>{players}</p>"
                f"{page.image(picture, 'spectrograms of them and the error')}</section>"
            )
