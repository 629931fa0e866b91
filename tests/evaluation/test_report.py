import json
import math
from io import StringIO

import pytest
import torch
from rich.console import Console

from unmix.evaluation import published, report
from unmix.evaluation.passages import Passage
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.table import METRICS, print_table, shown

TRACKS = ("A <b> - C", "D - E", "F - G")
TARGETS = ("vocals", "drums", "bass", "other")
FRAMES = [{"time": 67.0, "metrics": {"SDR": 1.0}}]


def make_summary():
    values = {"ours": 6.0, "mixture": 1.0}
    rows = [
        TrackScore(method, track, target, dict.fromkeys(METRICS, value + shift))
        for method, value in values.items()
        for shift, track in enumerate(TRACKS)
        for target in TARGETS
    ]
    return report.Summary("ours", "mixture", rows, {"niter": 1})


def test_table_shows_ours_beside_the_baseline():
    text = StringIO()
    print_table(make_summary().medians, 3, Console(file=text, width=120))
    assert "vocals" in text.getvalue()
    assert "7.00 [2.00]" in text.getvalue()


def test_what_is_beyond_rounding_is_shown_as_such():
    assert [shown(value) for value in (6.125, -3.0, 119.999, 176.79, math.nan)] == [
        "6.12",
        "-3.00",
        "120.00",
        ">120",
        "nan",
    ]


def test_report_is_one_page_with_escaped_names_and_players_of_what_was_saved(tmp_path):
    where = EvaluationFolder(tmp_path)
    saved = tmp_path / "estimates" / "D - E" / "bass.wav"
    saved.parent.mkdir(parents=True)
    saved.touch()
    for track in TRACKS:
        where.store("ours", track).parent.mkdir(exist_ok=True)
        where.store("ours", track).write_text(json.dumps({"targets": [{"name": t, "frames": FRAMES} for t in TARGETS]}))
        passage = Passage(*torch.rand(3, 2, 8000) - 0.5, 8000)
        for target in TARGETS:
            passage.write(where.passage(track, target))
    report.write(make_summary(), where)
    text = (tmp_path / "report.html").read_text()
    assert "A &lt;b&gt; - C" in text
    assert text.count("<audio") == 1 + 4 * 2 * 3  # what was saved; and of each target, of worst and best, three stems
    assert text.count("data:audio/mpeg;base64,") == 4 * 2 * 3
    assert text.count("spectrograms of") == 4 * 2
    assert "vocals, worst: A &lt;b&gt; - C" in text
    assert "around 1:07" in text
    assert "Among SiSEC" not in text
    played = {path.relative_to(tmp_path / "passages").parts[0] for path in tmp_path.glob("passages/*/*.wav")}
    assert played == {TRACKS[0], TRACKS[2]}
    assert 'src="data:image/png;base64,' in text
    assert text.count("<script") == 1  # that which sorts: names are escaped
    assert json.loads((tmp_path / "summary.json").read_text())["medians"]["ours"]["bass"]["SDR"] == 7.0
    assert (tmp_path / "boxplot.png").read_bytes().startswith(b"\x89PNG")


def test_a_report_that_says_the_same_is_not_written_again(tmp_path):
    where, summary = EvaluationFolder(tmp_path), make_summary()
    for track in TRACKS:
        where.store("ours", track).parent.mkdir(exist_ok=True)
        where.store("ours", track).write_text(json.dumps({"targets": [{"name": t, "frames": FRAMES} for t in TARGETS]}))
    report.write(summary, where)
    page = tmp_path / "report.html"
    page.write_text("the old one")
    report.write(summary, where)
    assert page.read_text() == "the old one"
    report.write(report.Summary("ours", "mixture", summary.rows, {"niter": 2}), where)
    assert page.read_text() != "the old one"


@pytest.mark.parametrize(
    ("sdrs", "expected"),
    [
        ((3.0, 1.0, 2.0), {"worst": "D - E", "best": "A <b> - C"}),
        ((math.nan, 1.0, 2.0), {"worst": "D - E", "best": "F - G"}),
        ((math.nan, 1.0, math.nan), {"only": "D - E"}),
        ((math.nan,) * 3, {}),
    ],
)
def test_the_worst_and_the_best_track_are_of_those_with_a_score(sdrs, expected):
    rows = [
        TrackScore("ours", track, "bass", dict.fromkeys(METRICS, sdr)) for track, sdr in zip(TRACKS, sdrs, strict=True)
    ]
    assert report.Summary("ours", "mixture", rows, {}).extremes("bass") == expected


@pytest.mark.parametrize(("seconds", "change", "expected"), [(240, "", True), (7, "", False), (240, "?", False)])
def test_only_the_whole_test_tracks_of_musdb_are_compared_with_sisec_s_participants(seconds, change, expected):
    rows = [TrackScore("ours", f"{one.track}{change}", one.target, one.metrics) for one in published.sisec18()]
    windows = {row.track: (seconds - 1, seconds) for row in rows}
    assert report.Summary("ours", "mixture", rows, {}, windows).is_among_participants is expected
