"""Trials of a search in the leaderboard."""

import sys

import pytest
from optuna.trial import TrialState

from unmix.search.settings import SearchSettings
from unmix.search.space import read
from unmix.search.study import StudyFile

SPACE = read({}, ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "model.hidden_size=16,32"])


@pytest.fixture
def studied(out):
    """A study of six trials beside the runs: the lower the learning rate, the better; one failed, one was pruned."""
    path = out / "sweeps" / "mystudy" / "study.log"
    path.parent.mkdir(parents=True)
    study, settings = StudyFile(path, "mystudy"), SearchSettings()
    study.begin({}, settings)
    for number in range(7):
        values = {"optimizer.lr": 1e-3 * (number + 1), "model.hidden_size": 16 if number % 2 else 32}
        study.add(values, SPACE.dimensions, [f"umx-1/vocals-s{number}"])
        ends = {1: (TrialState.FAIL, None), 2: (TrialState.PRUNED, [9.0])}
        study.end(number, *ends.get(number, (TrialState.COMPLETE, [1.0 + number])))
    return out


def test_trials_have_a_table_of_their_own_best_first_and_charts(studied, cli, capfd):
    assert cli("leaderboard", f"paths.out={studied}") == 0
    printed = capfd.readouterr().out
    lines = printed[printed.index("Trials") :].splitlines()
    assert lines[1].split() == ["run", "rank", "state", "val_loss", "optimizer.lr", "model.hidden_size"]
    assert [line.split()[:4] for line in lines[3:9]] == [
        ["mystudy/0", "1", "complete", "1"],
        ["mystudy/3", "2", "complete", "4"],
        ["mystudy/4", "3", "complete", "5"],
        ["mystudy/5", "4", "complete", "6"],
        ["mystudy/6", "5", "complete", "7"],
        ["mystudy/2", "pruned", "9", "0.003"],
    ]
    assert "mystudy/1: see umx-1/vocals-s1" in printed
    page = (studied / "leaderboard.html").read_text()
    assert "Which settings matter in mystudy?" in page
    assert "Which settings give the lowest val_loss in mystudy? (the best in orange)" in page
    assert "mystudy/0" in (studied / "leaderboard.csv").read_text()


def test_a_selection_has_the_trials_of_its_experiments(studied, cli, capfd):
    assert cli("leaderboard", f"paths.out={studied}", "group=umx-1") == 0
    assert "mystudy/0" in capfd.readouterr().out
    assert cli("leaderboard", f"paths.out={studied}", "sort=optimizer.lr") == 0
    lines = capfd.readouterr().out.splitlines()
    assert next(line for line in lines if line.startswith("mystudy/")).startswith("mystudy/0")


def test_a_study_that_cannot_be_read_hides_nothing_else(studied, cli, capfd, monkeypatch):
    (studied / "sweeps" / "notes").mkdir()
    (studied / "sweeps" / "notes" / "study.log").write_text("my notes\nand more\n")
    assert cli("leaderboard", f"paths.out={studied}") == 0
    printed = capfd.readouterr().out
    assert "notes/study.log: is not a study of Optuna" in printed
    assert "mystudy/0" in printed
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert cli("leaderboard", f"paths.out={studied}") == 0
    assert "needs the package optuna, which is not installed: pip install 'unmix[optuna]'" in capfd.readouterr().out
