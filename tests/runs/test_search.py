"""Searches: the same command goes on with them, killed or not, fast or slow; trainings are pretended, mostly."""

import math
import os
import signal

import pytest
import torch

import searches
from searches import SPACE, pretend, table
from tensors import as_bytes

NINE = "hydra.sweeper.n_trials=9"
NARROW = "optimizer.lr=tag(log,interval(1e-4,1e-2))"  # nothing fails
MEDIAN = "hydra.sweeper.pruner=median"
HALVING = [
    "hydra.sweeper.pruner=halving",
    "hydra.sweeper.min_epochs=1",
    "trainer.max_epochs=9",
    NINE,
]


@pytest.fixture(scope="module")
def arguments(train_arguments):
    kept = [argument for argument in train_arguments if not argument.startswith(("hydra/", "model.hidden_size"))]
    return [*kept, *SPACE, "hydra/sweeper=optuna", "sweep_name=mystudy", "hydra.sweeper.n_trials=6", "target=drums"]


@pytest.fixture
def search(arguments, cli, monkeypatch, tmp_path):
    """Run a search of pretended trainings in a folder; returns its trials and engines."""

    def run(*more, out="here", code=0, **options):
        engines = []
        (tmp_path / out).mkdir(exist_ok=True)
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / out)
            pretend(patch.setattr, engines=engines, **options)
            assert cli("train", *arguments, *more) == code
        return table(tmp_path / out / "outputs"), engines

    return run


def started(engines):
    """Experiment and number of epochs of every job that was started."""
    return [(job.task.run.parent.name, job.arguments["trainer.max_epochs"]) for job in engines[0].jobs if job.steps]


def test_a_search_finds_the_bottom_and_a_finished_one_does_nothing(search, capfd):
    trials, engines = search("hydra.sweeper.n_trials=12")
    assert [trial[0] for trial in trials] == list(range(12))
    assert {trial[1] for trial in trials} <= {"COMPLETE", "FAIL"}
    assert len(started(engines)) == 12
    printed = capfd.readouterr().out
    best = min((trial for trial in trials if trial[2]), key=lambda trial: trial[2])
    assert f"best: trial {best[0]}, val/loss={best[2][0]:.4g}" in printed
    again, engines = search("hydra.sweeper.n_trials=12")
    assert again == trials
    assert engines == []
    assert "study mystudy: 12 trials" in capfd.readouterr().out


@pytest.mark.parametrize("pruner", [[], HALVING, ["hydra.sweeper.pruner=median", "hydra.sweeper.n_trials=12"]])
def test_which_job_ends_first_changes_no_trial(search, pruner):
    parallel = [*pruner, "hydra.sweeper.parallel=2"]
    assert search(*parallel, out="even")[0] == search(*parallel, out="uneven", pace=5)[0]


def test_fewer_slots_than_before_change_no_trial(search):
    assert search(out="two")[0] == search("hydra.sweeper.parallel=2", out="one", slots=1)[0]


def test_a_larger_number_of_trials_goes_on_as_if_it_had_been_given_at_once(search):
    first, _ = search("hydra.sweeper.n_trials=3")
    more, engines = search("hydra.sweeper.n_trials=6")
    assert more[:3] == first
    assert len(started(engines)) == 3
    assert more == search(out="at_once")[0]


@pytest.mark.slow
@pytest.mark.parametrize("pruner", [[], HALVING])
def test_a_search_killed_twice_has_the_trials_of_one_that_was_not(search, arguments, start, tmp_path, pruner):
    straight, _ = search(*pruner, out="straight")
    (tmp_path / "killed").mkdir()
    command = [*arguments, *pruner, f"paths.out={tmp_path / 'killed' / 'outputs'}"]
    for count, is_torn in ((13, True), (6, False)):
        before = searches.partial_kill(count, is_torn=is_torn)
        process = start("train", *command, log=tmp_path / "log", before=before)
        assert process.wait() == -9, (tmp_path / "log").read_text()
    assert "RUNNING" in {trial[1] for trial in table(tmp_path / "killed" / "outputs")}
    assert search(*pruner, out="killed")[0] == straight


def test_the_best_third_of_a_rung_goes_on_in_the_same_run_and_the_rest_is_pruned(search):
    trials, engines = search(*HALVING)
    states = [trial[1] for trial in trials]
    assert (states.count("COMPLETE"), states.count("PRUNED") + states.count("FAIL")) == (1, 8)
    lengths = {}
    for run, length in started(engines):
        lengths.setdefault(run, []).append(length)
    assert sorted(map(len, lengths.values())) == [1] * 6 + [2, 2, 3]
    assert max(lengths.values(), key=len) == [1, 3, 9]
    pruned = [trial for trial in trials if trial[1] == "PRUNED"]
    assert all(trial[2] == [trial[4][max(trial[4])]] for trial in pruned)
    first = {trial[0]: trial[4][1] for trial in trials if trial[4]}
    promoted = {trial[0] for trial in trials if len(trial[4]) >= 3}
    assert promoted == set(sorted(first, key=first.get)[: len(promoted)])


def test_a_trial_worse_than_the_median_is_stopped(search):
    trials, engines = search(MEDIAN, "hydra.sweeper.n_trials=12", "trainer.max_epochs=4", slots=1)
    pruned = [trial for trial in trials if trial[1] == "PRUNED"]
    assert pruned
    assert all(max(trial[4]) < 4 for trial in pruned)
    assert {job.exit_code for job in engines[0].jobs} >= {0, 75}


def test_a_trial_that_diverges_is_a_result_and_the_others_go_on(search, capfd):
    trials, _ = search("optimizer.lr=tag(log,interval(1e-2,5e-1))")
    assert {trial[1] for trial in trials} == {"COMPLETE", "FAIL"}
    assert "failed: val/loss is nan after step 1" in capfd.readouterr().out
    assert search("optimizer.lr=tag(log,interval(1e-2,5e-1))") == (trials, [])


def test_a_trial_that_failed_otherwise_is_tried_again_by_the_same_command(search, capfd, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(searches, "TOO_LARGE", 32)
        first, _ = search(NARROW, code=1)
        printed = capfd.readouterr()
        (line,) = printed.err.splitlines()
        failed = [trial for trial in first if trial[1] == "WAITING"]
        reason = f"trial {failed[0][0]}: out of memory"
        assert line.startswith(f"train: {len(failed)} of {len(first)} trials failed; {reason}")
        assert line.endswith("; the same command tries again")
        assert f"{len(failed)} to be tried again" in printed.out
        assert {trial[3]["model.hidden_size"] for trial in failed} == {32}
        again, engines = search(NARROW, code=1)
        assert again == first
        assert len(started(engines)) == len(failed), "each is tried once"
    trials, engines = search(NARROW)
    assert [trial[3] for trial in trials] == [trial[3] for trial in first]
    assert {trial[1] for trial in trials} == {"COMPLETE"}
    assert [job.steps for job in engines[0].jobs] == [2] * len(failed), "one epoch was left, and the end"


def test_a_trial_that_failed_competes_in_its_bracket_when_it_is_tried_again(search, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(searches, "TOO_LARGE", 32)
        first, _ = search(NARROW, *HALVING, code=1)
    trials, _ = search(NARROW, *HALVING)
    assert {trial[1] for trial in first} == {"COMPLETE", "PRUNED", "WAITING"}
    assert {trial[1] for trial in trials} == {"COMPLETE", "PRUNED"}
    ended = [trial for trial in first if trial[1] != "WAITING"]
    assert [trial for trial in trials if trial[0] in {each[0] for each in ended}] == ended
    assert [trial[3] for trial in trials] == [trial[3] for trial in first]


def test_new_trials_wait_for_those_that_are_tried_again(search, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(searches, "TOO_LARGE", 32)
        search(NARROW, "hydra.sweeper.n_trials=3", code=1)
    assert search(NARROW)[0] == search(NARROW, out="straight")[0]


def test_a_trial_without_a_value_has_failed(search, capfd, monkeypatch):
    monkeypatch.setattr(searches, "COLUMNS", "epoch,step,val/other,val/sdr\n")
    trials, _ = search(NARROW, "hydra.sweeper.n_trials=2", code=1)
    assert {trial[1] for trial in trials} == {"WAITING"}
    assert "metrics.csv has no val/loss" in capfd.readouterr().out


def test_fail_fast_leaves_a_failed_trial_to_the_same_command_with_retry(search, capfd, monkeypatch):
    wide = ["optimizer.lr=tag(log,interval(1e-2,5e-1))", "fail_fast=true"]
    trials, _ = search(*wide, code=1)
    assert [trial[1] for trial in trials].count("RUNNING") >= 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "val/loss is nan after step 1" in line
    monkeypatch.setattr(searches, "FAILING", math.inf)
    trials, _ = search(*wide, "retry=true")
    assert {trial[1] for trial in trials} == {"COMPLETE"}


def test_several_targets_make_one_trial_whose_value_is_their_mean(search):
    trials, engines = search("target=drums,bass", "hydra.sweeper.n_trials=2", "trainer.max_epochs=1", NARROW)
    assert len(started(engines)) == 4
    for _, _, values, params, by_epoch, attributes in trials:
        words = {name: str(value) for name, value in params.items()}
        expected = (searches.loss({**words, "target": "drums"}, 1) + searches.loss({**words, "target": "bass"}, 1)) / 2
        assert values == pytest.approx([expected])
        assert by_epoch == {1: values[0]}
        assert [run.rpartition("/")[2] for run in attributes["runs"]] == ["drums-s42", "bass-s42"]


def test_several_objectives_give_the_trials_that_no_other_is_better_than(search, capfd):
    trials, _ = search("hydra.sweeper.objective=[val/loss,parameters]", "hydra.sweeper.n_trials=8")
    assert all(len(trial[2]) == 2 for trial in trials if trial[2])
    assert all(trial[4] == {} for trial in trials)
    printed = [line for line in capfd.readouterr().out.splitlines() if line.startswith("best: ")]
    sizes = {trial[3]["model.hidden_size"] for trial in trials if trial[2]}
    assert len(sizes) == 2
    assert any("hidden_size=16" in line for line in printed)


def test_the_objective_may_be_one_that_is_better_high(search, capfd):
    trials, _ = search("hydra.sweeper.objective=val/sdr")
    best = max((trial for trial in trials if trial[2]), key=lambda trial: trial[2])
    assert f"best: trial {best[0]}, val/sdr" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ([], "0 of 6 trials of mystudy are done; the same command goes on"),
        (["-m", "hydra/sweeper=basic", "optimizer.lr=1e-3,1e-4", "model.hidden_size=16"], "the same command goes on"),
    ],
)
def test_ctrl_c_in_a_search_or_a_sweep_is_said_once(arguments, cli, capfd, monkeypatch, tmp_path, words, kept):
    def step(engine, *, may_start):
        os.kill(os.getpid(), signal.SIGINT)

    pretend(monkeypatch.setattr)
    monkeypatch.setattr(searches.PretendedEngine, "step", step)
    kept_words = without(arguments, ("hydra", *(word.partition("=")[0] for word in words if "=" in word)))
    given = [*kept_words, *words] if words else arguments
    with pytest.raises(SystemExit) as ended:
        cli("train", *given, f"paths.out={tmp_path / 'out'}")
    assert ended.value.code == 130
    printed = capfd.readouterr()
    assert "stopped by" not in printed.out
    assert [line for line in printed.err.splitlines() if "stopped" in line] == [f"stopped by Ctrl-C; {kept}"]


def test_dry_run_prints_the_space_and_writes_nothing(arguments, cli, capfd, tmp_path):
    options = [f"paths.out={tmp_path / 'out'}", "dry_run=true", *HALVING]
    assert cli("train", *arguments, *options) == 0
    printed = capfd.readouterr().out
    assert "9 trials of 1 job, 0 done, 0 to be continued, 9 new; none started" in printed
    assert "rungs of 1, 3, 9 epochs" in printed
    assert "optimizer.lr: 0.0001 to 0.1, logarithmic" in printed
    assert "model.hidden_size: 16 or 32" in printed
    assert not (tmp_path / "out").exists()


REFUSED = [
    ("hydra.sweeper.n_trials=0", "hydra.sweeper.n_trials: got 0, allowed 1 or more"),
    ("hydra.sweeper.objective=val/los", "hydra.sweeper.objective: got 'val/los', allowed val/loss, val/sdr"),
    ("hydra.sweeper.sampler=tpee", "hydra.sweeper.sampler: got 'tpee', allowed tpe, random; did you mean 'tpe'?"),
    ("hydra.sweeper.pruner=medain", "did you mean 'median'?"),
    (
        "hydra.sweeper.pruner=asha",
        "hydra.sweeper.pruner: got 'asha', whose promotions depend on which trial ends first",
    ),
    ("hydra.sweeper.trials=3", "did you mean 'n_trials'?"),
    ("optimizer.lr=interval(1,0.5)", "optimizer.lr: got interval(1,0.5), the first number must be below the second"),
    ("optimizer.lr=interval(1,1)", "the first number must be below the second"),
    ("optimizer.lr=tag(log,interval(0,1))", "a logarithmic interval begins above 0"),
    ("optimizer.lr=tag(lgo,interval(0,1))", "optimizer.lr: tag: got 'lgo', allowed log; did you mean 'log'?"),
    ("optimizer.lr=range(3,1)", "optimizer.lr: got range(3,1), which holds no number"),
    ("model.hidden_size=choice(16,16)", "model.hidden_size: got choice(16,16), which names 16 twice"),
    ("model.hiden_size=choice(16,32)", "model.hiden_size: got 'hiden_size'"),
    ("optimizer.lr=interval(-1,1)", "optimizer.lr: got -1.0, allowed above 0"),
    ("model.hidden_size=choice(16,word)", "model.hidden_size"),
    ("seed=interval(1,2)", "seed is not searched; a list, as seed=a,b, makes a job for each value"),
    ("model=glob(*)", "model: got glob(*), list the values instead"),
    ("callbacks.metrics=null", "callbacks.metrics: got null, but a search reads the file that it writes"),
    ("fresh=true", "fresh: got true, but a search goes on with its trials"),
    ("hydra/launcher=basic", "hydra/launcher: got basic, which cannot run the jobs of a search"),
    ("sweep_name=a/b", "sweep_name: got 'a/b', a name without / is needed"),
]


@pytest.mark.parametrize(("argument", "message"), REFUSED)
def test_what_a_search_cannot_do_is_refused_in_one_line(arguments, cli, capfd, tmp_path, argument, message):
    assert cli("train", *arguments, f"paths.out={tmp_path / 'out'}", argument) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            ["hydra.sweeper.pruner=halving", "trainer.max_epochs=2"],
            "needs at least 3 times hydra.sweeper.min_epochs (1)",
        ),
        ([*HALVING, "hydra.sweeper.n_trials=10"], "hydra.sweeper.n_trials: got 10, allowed 9 or 18: all trials of a"),
        ([*HALVING, "scheduler=cosine"], "the configuration depends on trainer.max_epochs, as scheduler=cosine does"),
        (["hydra.sweeper.pruner=median", "trainer.max_epochs=-1"], "which needs trainer.max_epochs"),
        (["hydra.sweeper.pruner=median", "hydra.sweeper.objective=[val/loss,val/sdr]"], "only none is allowed"),
    ],
)
def test_pruners_say_what_they_need(arguments, cli, capfd, tmp_path, added, message):
    assert cli("train", *arguments, f"paths.out={tmp_path / 'out'}", *added) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def without(arguments, beginning):
    return [argument for argument in arguments if not argument.startswith(beginning)]


def test_a_search_needs_a_name_a_space_and_the_package(arguments, cli, capfd, tmp_path, monkeypatch):
    out = f"paths.out={tmp_path / 'out'}"
    assert cli("train", *without(arguments, "sweep_name"), out) == 2
    assert "sweep_name: needed for a search" in capfd.readouterr().err
    assert cli("train", *without(arguments, ("optimizer.lr", "model.hidden_size")), out) == 2
    assert "search: no setting is searched; give an interval" in capfd.readouterr().err
    monkeypatch.setattr("unmix.extras.find_spec", lambda package: None if package == "optuna" else object())
    assert cli("train", *arguments, out) == 2
    assert "needs the package optuna, which is not installed: pip install 'unmix[optuna]'" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_search_under_the_same_name_is_refused_naming_what_differs(
    search, arguments, cli, capfd, tmp_path, monkeypatch
):
    before, _ = search("hydra.sweeper.n_trials=3")
    capfd.readouterr()
    monkeypatch.chdir(tmp_path / "here")
    for argument, message in (
        ("optimizer.weight_decay=0.5", "begun with optimizer.weight_decay=1e-05, now 0.5"),
        ("optimizer.lr=interval(1e-4,1e-2)", "optimizer.lr=0.0001 to 0.1, logarithmic, now 0.0001 to 0.01"),
        ("hydra.sweeper.seed=1", "hydra.sweeper.seed=0, now 1"),
        ("hydra.sweeper.parallel=7", "hydra.sweeper.parallel=2, now 7"),
        ("trainer.max_epochs=3", "trainer.max_epochs=2, now 3"),
        ("target=bass", "target=drums, now bass"),
        ("hydra.sweeper.n_trials=2", "got 2, the study mystudy has 3 trials: it is the number in all"),
    ):
        assert cli("train", *arguments, argument) == 2
        assert message in capfd.readouterr().err
    assert table(tmp_path / "here" / "outputs") == before


@pytest.mark.parametrize("content", ["notes of mine\nand more\n", "my notes\n", "my notes", '{"a": 1}\n', "[1]\n[2]\n"])
def test_a_file_that_is_not_optunas_is_refused_and_kept(arguments, cli, capfd, tmp_path, content):
    path = tmp_path / "out" / "sweeps" / "mystudy" / "study.log"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert cli("train", *arguments, f"paths.out={tmp_path / 'out'}") == 2
    assert "study.log: is not a study of Optuna" in capfd.readouterr().err
    assert path.read_text() == content


def test_only_trainings_are_searched(cli, capfd):
    assert cli("evaluate", "-m", "ckpt=x", "hydra/sweeper=optuna") == 2
    assert "hydra/sweeper: got optuna, which searches trainings" in capfd.readouterr().err


@pytest.mark.parametrize("multirun", [["-m"], []])
def test_an_interval_without_a_search_is_answered_with_the_sweeper_that_takes_it(cli, capfd, multirun):
    assert cli("train", *multirun, "optimizer.lr=interval(1e-4,1e-2)", "data=demo") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "optimizer.lr: got interval(1e-4,1e-2)" in line
    assert "hydra/sweeper=optuna sweep_name=" in line


@pytest.mark.slow
def test_a_run_that_is_promoted_twice_is_that_of_one_training(train_arguments, cli, tmp_path):
    """The pretended trainings above assume that a run with more epochs is one that had them from the start."""
    for out, lengths in (("at_once", [3]), ("promoted", [1, 2, 3])):
        for epochs in lengths:
            command = [*train_arguments, "target=drums", f"paths.out={tmp_path / out}", f"trainer.max_epochs={epochs}"]
            assert cli("train", *command) == 0
    (straight,), (promoted,) = (list((tmp_path / out).glob("runs/*/*")) for out in ("at_once", "promoted"))
    assert (straight / "metrics.csv").read_bytes() == (promoted / "metrics.csv").read_bytes()
    weights = [torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (straight, promoted)]
    for name in ("state_dict", "optimizer_states", "lr_schedulers"):
        assert as_bytes(weights[0][name]) == as_bytes(weights[1][name]), name


def test_the_dashboard_of_optuna_opens_the_study(search, tmp_path):
    dashboard = pytest.importorskip("optuna_dashboard._storage_url")
    trials, _ = search("hydra.sweeper.n_trials=2")
    storage = dashboard.get_storage(str(tmp_path / "here" / "outputs" / "sweeps" / "mystudy" / "study.log"))
    (study,) = storage.get_all_studies()
    assert [trial.params for trial in storage.get_all_trials(study._study_id)] == [trial[3] for trial in trials]
