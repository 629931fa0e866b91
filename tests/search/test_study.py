"""The study file: what Optuna reads, what a kill leaves, what importances and ranks are."""

import pytest
from optuna.trial import TrialState

from unmix.search import study as study_file
from unmix.search.settings import SearchSettings
from unmix.search.space import read
from unmix.search.study import StudyFile

SETTINGS = SearchSettings(objective=["val/loss", "val/sdr"])
SPACE = read({}, ["a=interval(0,1)", "b=x,y"])


@pytest.fixture
def study(tmp_path):
    opened = StudyFile(tmp_path / "study.log", "mine")
    opened.begin({"x": 1}, SETTINGS)
    return opened


def fill(study, *values):
    for number, own in enumerate(values):
        study.add(study.suggest(SETTINGS, SPACE.dimensions, 0), SPACE.dimensions, [f"e/{number}"])
        study.end(number, TrialState.COMPLETE, own)


def test_what_is_written_is_read_again(study):
    fill(study, (1.0, 2.0))
    again = StudyFile(study.path, "mine")
    assert again.record == {"x": 1}
    assert again.objectives == ["val/loss", "val/sdr"]
    assert again.is_better_high == [False, True]
    assert again.trials == study.trials
    with pytest.raises(ValueError, match="holds the study mine, not yours"):
        StudyFile(study.path, "yours")


def test_a_line_that_was_not_finished_is_cut_off_and_the_trial_is_chosen_again(study):
    fill(study, (1.0, 2.0), (2.0, 3.0))
    content = study.path.read_bytes()
    study.path.write_bytes(content[:-30])
    study_file.repair(study.path)
    again = StudyFile(study.path, "mine")
    assert [trial.state for trial in again.trials] == [TrialState.COMPLETE, TrialState.RUNNING]
    again.end(1, TrialState.COMPLETE, (2.0, 3.0))
    assert study_file.repair(study.path) is None
    assert len(StudyFile(study.path, "mine").trials) == 2


def test_a_first_line_that_was_not_finished_is_cut_off(study):
    study.path.write_bytes(study_file.BEGINNING[:5])
    study_file.repair(study.path)
    assert study.path.read_bytes() == b""
    assert StudyFile(study.path, "mine").record is None


def test_the_results_of_trials_under_way_change_no_suggestion(study, tmp_path):
    other = StudyFile(tmp_path / "other.log", "mine")
    other.begin({}, SETTINGS)
    fill(study, *[(float(i), float(-i)) for i in range(12)])
    fill(other, *[(float(i), float(-i)) for i in range(11)], (-50.0, 50.0))
    known = [each.suggest(SETTINGS, SPACE.dimensions, 11) for each in (study, other)]
    assert known[0] == known[1]
    assert study.suggest(SETTINGS, SPACE.dimensions, 12) != other.suggest(SETTINGS, SPACE.dimensions, 12)


def test_ranks_count_those_that_are_better_in_no_objective_worse(study):
    fill(study, (1.0, 1.0), (2.0, 2.0), (2.0, 1.0), (3.0, 0.0))
    assert study_file.ranks(study.trials, study.is_better_high) == {0: 1, 1: 1, 2: 3, 3: 4}
    assert [trial.number for trial in study_file.best(study.trials, study.is_better_high)] == [0, 1]
