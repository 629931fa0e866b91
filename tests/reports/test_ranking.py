"""Losses of another objective, and scores of other tracks, are never ranked together."""

import csv
import re
from io import StringIO

import pytest
from rich.console import Console

from unmix.reports import leaderboard, leaderboard_page, ranking
from unmix.reports.leaderboard import Leaderboard

L1 = {"_target_": "unmix.training.objectives.WaveformL1"}
MSE = {"_target_": "unmix.training.objectives.MagnitudeMse"}


@pytest.fixture
def mixed(tmp_path, make_run, make_evaluation):
    """Runs of two objectives, whose losses interleave, and evaluations of two splits; one run names no objective."""
    for name, objective, best in (("a", L1, 0.1), ("b", MSE, 0.2), ("c", L1, 0.3), ("d", None, 0.4)):
        make_run(tmp_path, f"{name}-1", "vocals-s1", best=best, objective=objective)
    for name, sdr, test_set in (("a", 5.0, "hq-test"), ("b", 9.0, "hq-valid"), ("c", 6.0, "hq-test")):
        make_evaluation(tmp_path, f"{name}-1", sdr, name=f"{test_set}-{name}")
    return tmp_path


RUNS = ["b-1/vocals-s1", "d-1/vocals-s1", "a-1/vocals-s1", "c-1/vocals-s1"]
EVALUATIONS = ["c-1/hq-test-c", "a-1/hq-test-a", "b-1/hq-valid-b"]


def test_the_leaderboard_ranks_within_one_objective_and_one_split(mixed, cli, capfd):
    for sort, expected in ((), EVALUATIONS + RUNS), (("sort=val_loss",), RUNS + EVALUATIONS):
        assert cli("leaderboard", f"paths.out={mixed}", *sort) == 0
        rows = list(csv.DictReader((mixed / "leaderboard.csv").open()))
        assert [row["run"] for row in rows] == expected
        assert {row["objective"] for row in rows} == {"waveform_l1", "magnitude_mse", ""}
    titles = ["hq-test", "hq-valid", "objective magnitude_mse", "objective waveform_l1"]
    titles = [f"{kind}: {title}" for kind, title in zip(["Evaluations"] * 2 + ["Runs"] * 2, titles, strict=True)]
    text, page = capfd.readouterr().out, (mixed / "leaderboard.html").read_text()
    assert [line.strip() for line in text.splitlines() if line.strip() in titles][4:] == titles
    assert re.findall("<h2>(.*: .*)</h2>", page) == titles
    assert "validation loss of vocals (objective waveform_l1)" in page


def test_an_unknown_column_is_answered_with_a_near_one_and_a_handful_of_others(mixed, cli, capfd):
    assert cli("leaderboard", f"paths.out={mixed}", "sort=sdr.vocal") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("leaderboard: sort: got 'sdr.vocal', allowed val_loss, sdr, sdr.vocals, sdr.bass, ")
    assert line.endswith(" more; did you mean 'sdr.vocals'?")
    assert len(line) < 160


def test_any_other_column_sorts_all_rows(mixed):
    rows = leaderboard.collect(mixed).rows
    by_name = [row["run"] for row in ranking.sort_rows(rows, "run")]
    assert by_name == sorted(by_name)


def test_arguments_of_an_objective_and_the_data_are_named_where_they_differ(tmp_path, make_run):
    for name, size in (("a", 512), ("b", 1024)):
        objective = {"_target_": "mine.StftLoss", "fft_size": size}
        make_run(tmp_path, f"{name}-1", "vocals-s1", objective=objective)
    rows = leaderboard.collect(tmp_path).rows
    expected = [f"objective stft_loss, objective.fft_size={size}" for size in (1024, 512)]
    assert list(ranking.comparable(rows)) == expected
    assert list(ranking.comparable(rows[:1])) == [""]
    rows[0]["data.name"], rows[1]["data.name"] = "hq", "demo"
    assert list(ranking.comparable(rows)) == ["objective stft_loss, data demo", "objective stft_loss, data hq"]


def test_the_best_test_score_is_heard_not_a_better_one_of_other_tracks(mixed, cli):
    for run in ("c-1/eval/hq-test-c", "b-1/eval/hq-valid-b"):
        (mixed / "runs" / run / "clips").mkdir()
        (mixed / "runs" / run / "clips" / "vocals-best.mp3").write_bytes(b"sound")
    assert cli("leaderboard", f"paths.out={mixed}") == 0
    assert "<p>c-1/hq-test-c. Starting" in (mixed / "leaderboard.html").read_text()


def test_titles_have_the_metric_and_a_narrow_terminal_shows_its_column():
    rows = [
        {
            "kind": "evaluation",
            "run": f"{name}-1/hq-test-{name}",
            "state": "2 tracks",
            "test_set": "hq-test",
            "scores": f"{metric}: a ratio, dB: mean over tracks; scenario: 2 stems: vocals, bass",
            column: mean,
            f"{column}.vocals": mean,
            "model.hidden_size": 10**60,
        }
        for name, metric, column, mean in (("a", "SDR", "sdr", 5.0), ("b", "cSDR", "score.csdr", 4.0))
    ]
    assert list(ranking.comparable(rows)) == ["hq-test, SDR", "hq-test, cSDR"]
    console = Console(width=60, file=StringIO())
    leaderboard_page.print_tables(Leaderboard(), rows[1:], console)
    printed = console.file.getvalue()
    hidden = printed.partition("not shown for lack of width: ")[2].splitlines()[0].split(", ")
    assert "model.hidden_size" in hidden
    assert "score.csdr" not in hidden
