import json

import pytest
import torch

from unmix.evaluation import published
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.passages import Passage
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.reports import clips, report

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
    return Summary("ours", "mixture", rows, {"niter": 1})


@pytest.mark.slow
def test_report_is_one_page_with_escaped_names_and_players_of_what_was_saved(tmp_path):
    where = EvaluationFolder(tmp_path)
    saved = tmp_path / "estimates" / "D - E" / "bass.wav"
    saved.parent.mkdir(parents=True)
    saved.touch()
    for track in TRACKS:
        where.store("ours", track).parent.mkdir(exist_ok=True)
        where.store("mixture", track).parent.mkdir(exist_ok=True)
        for method in ("ours", "mixture"):
            stored = {"targets": [{"name": t, "frames": FRAMES} for t in TARGETS]}
            where.store(method, track).write_text(json.dumps(stored))
        passage = Passage(*torch.rand(3, 2, 8000) - 0.5, 8000)
        for target in TARGETS:
            passage.write(where.passage(track, target))
            passage.write(where.typical(track, target))
    report.write(make_summary(), where)
    text = (tmp_path / "report.html").read_text()
    assert "A &lt;b&gt; - C" in text
    assert text.count("<audio") == 4 * 3 * 3  # of each target, of worst, typical and best, three stems
    assert text.count("data:audio/mpeg;base64,") == 4 * 3 * 3
    assert text.count("spectrograms of") == 4 * 3
    assert text.count('href="estimates/D%20-%20E/bass.wav"') == 1, "what was saved is a link, not a player"
    assert "vocals, worst: A &lt;b&gt; - C" in text
    assert "around 1:07" in text
    assert "Among SiSEC" not in text
    played = {path.relative_to(tmp_path / "passages").parts[0] for path in tmp_path.glob("passages/*/*.wav")}
    assert played == {TRACKS[0], TRACKS[2]}
    assert {path.parent.name for path in tmp_path.glob("typical/*/*.wav")} == {TRACKS[1]}
    kept = clips.read(where)
    assert {target: own.title for target, own in kept.items()} == dict.fromkeys(TARGETS, "D - E, around 1:07")
    assert list(kept["bass"].sounds) == ["mixture", "reference", "estimate"]
    assert 'src="data:image/png;base64,' in text
    assert text.count("<script>") == 1 + 3 + 1  # tables and players; Vega; charts: names are escaped
    assert json.loads((tmp_path / "summary.json").read_text())["medians"]["ours"]["bass"]["SDR"] == 7.0
    assert (tmp_path / "boxplot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
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
    report.write(Summary("ours", "mixture", summary.rows, {"niter": 2}), where)
    assert page.read_text() != "the old one"


def test_the_participants_of_sisec_stand_in_order_and_the_method_apart_from_one_of_its_name():
    theirs = [row for row in published.sisec18() if row.target in TARGETS]
    rows = [TrackScore("UHL2", row.track, row.target, row.metrics) for row in theirs if row.method == "IRM1"]
    windows = {row.track: (100, 100) for row in rows}
    chart = report._participants(Summary("UHL2", "mixture", rows, {}, windows=windows))
    names = chart["spec"]["encoding"]["y"]["sort"]
    assert abs(names.index("UHL2 ") - names.index("IRM1")) == 1, "equal scores"
    assert names.index("UHL2 ") < names.index("UHL2")
    assert "UHL2 " not in chart["spec"]["encoding"]["color"]["condition"]["test"]["oneOf"]
    assert report._participants(Summary("UHL2", "mixture", rows[:4], {}, windows=windows)) is None
