"""What the same command would do, from the files that are there."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmix import plans, run_loggers, survey
from unmix.composition import compose
from unmix.experiments import status
from unmix.experiments.status import Status, running_here

pytestmark = pytest.mark.slow

LENGTH = {"max_epochs": 10, "max_steps": -1, "max_time": None}


@pytest.fixture
def planned(tmp_path):
    """The plan of a command, given the status of its folder."""

    def make(found=None, *overrides):
        cfg = compose("train", [f"paths.out={tmp_path}", "trainer.max_epochs=10", *overrides])
        first = plans.plan(cfg)
        if found is not None:
            first.run.mkdir(parents=True, exist_ok=True)
            status.write(first.run, found)
        return plans.plan(cfg)

    return make


def done(**changes):
    return Status("e", "done", epoch=10, step=20, length=LENGTH, best=1.5, weights="w").beat(**changes)


@pytest.mark.parametrize(
    ("found", "overrides", "state"),
    [
        (None, [], "new"),
        (done(), [], "done"),
        (done(), ["trainer.max_epochs=5"], "done"),
        (done(), ["trainer.max_epochs=11"], "continues"),
        (done(stopped_early=True), ["trainer.max_epochs=11"], "done"),
        (done(), ["trainer.max_epochs=-1"], "continues"),
        (done(), ["fresh=true"], "new"),
        (done(state="interrupted"), [], "continues"),
        (done(state="failed", reason="no good"), [], "failed"),
        (done(state="failed", reason="no good"), ["retry=true"], "continues"),
        (done(state="failed", reason="no good", step=0), [], "new"),
        (done(state="failed", reason="no good", step=0), ["retry=true"], "new"),
        (running_here("e"), [], "running"),
        (running_here("e").beat(pid_started=1.0), [], "continues"),
    ],
)
def test_state_of_a_run_is_what_the_same_command_would_find(planned, found, overrides, state):
    assert planned(found, *overrides).state == state


def test_a_failed_run_says_why_and_what_to_do(planned):
    assert str(planned(done(state="failed", reason="no good"))).endswith("failed (no good); retry=true tries again")


def test_an_attempt_that_failed_before_its_first_step_is_told_and_stops_nobody(planned):
    text = str(planned(done(state="failed", reason="no network", step=0)))
    assert text.endswith("new; the last attempt failed before its first step (no network)")


@pytest.mark.parametrize(
    ("changes", "duration"), [({}, "10 epochs"), ({"epoch": 0, "step": 120, "batch": 120}, "120 steps")]
)
def test_a_done_run_says_how_long_it_was_trained(planned, changes, duration):
    assert str(planned(done(**changes))).endswith(f": done after {duration}, best val/loss 1.5000")


@given(st.integers(1, 50), st.integers(1, 50), st.sampled_from(plans.LENGTHS))
def test_a_run_is_done_at_its_length_and_below(reached, asked, name):
    values = (reached, asked) if name != "max_time" else (f"00:00:00:{reached}", f"00:00:00:{asked}")
    unlimited = {"max_epochs": -1, "max_steps": -1, "max_time": None}
    found = done(length={**unlimited, name: values[0]})
    assert plans.is_done(found, {**unlimited, name: values[1]}) == (asked <= reached)
    assert not plans.is_done(found, unlimited)


def finish(plan, name, **changes):
    """Write the status of a finished run of the same experiment."""
    folder = plan.run.with_name(name)
    folder.mkdir(parents=True, exist_ok=True)
    status.write(folder, done(**changes))


def test_an_evaluation_counts_only_for_exactly_these_weights(planned):
    plan = planned(done())
    for source in plan.sources:
        finish(plan, f"{source}-s42", weights=source, targets=(source,))
    assert plan.wants_evaluation
    assert not plan.is_finished
    where = plan.run.parent / "eval" / "hq-test-abc"
    where.mkdir(parents=True)
    summary = {
        "weights": {source: source for source in plan.sources},
        "subset": "test",
        "separator": dict(plan.cfg.separator),
    }
    others = ({"separator": {"niter": 2}}, {"weights": {"vocals": "other"}}, {"beside_accompaniment": "vocals"})
    for change, found in (({}, where), *((other, None) for other in others)):
        (where / "summary.json").write_text(json.dumps({**summary, **change}))
        assert plan.evaluation == found
        assert plan.is_finished == (found is not None)


def test_three_targets_are_not_evaluated(planned):
    plan = planned(done())
    for source in plan.sources[:3]:
        finish(plan, f"{source}-s42", targets=(source,))
    finish(plan, f"{plan.sources[3]}-s43", targets=(plan.sources[3],))  # of another seed
    assert not plan.wants_evaluation
    assert plan.is_finished


def test_one_run_of_all_targets_is_evaluated(planned):
    plan = planned(None, "target=all")
    assert plan.run.name == "all-s42"
    finish(plan, "all-s42", weights="w", targets=tuple(plan.sources))
    assert plan.weights == dict.fromkeys(plan.sources, "w")
    assert plan.wants_evaluation


def test_of_several_runs_of_a_source_the_one_with_fewest_others_then_the_best_counts(planned):
    plan = planned()
    finish(plan, "all-s42", weights="all", targets=tuple(plan.sources), best=0.1)
    finish(plan, "vocals+drums-s42", weights="two", targets=("vocals", "drums"), best=0.9)
    finish(plan, "drums+bass-s42", weights="better two", targets=("drums", "bass"), best=0.8)
    finish(plan, "vocals-s42", weights="one", best=2.0)  # a file that does not say its targets: its folder's name does
    assert plan.weights == {"vocals": "one", "drums": "better two", "bass": "better two", "other": "all"}


def test_a_configuration_that_changed_while_a_job_waited_is_refused(planned, monkeypatch):
    monkeypatch.setenv(plans.EXPECTED_EXPERIMENT, "umx-00000000")
    with pytest.raises(ValueError, match="this job was planned as umx-00000000 and is umx-"):
        planned()


@pytest.mark.parametrize(("folders", "has_test"), [(["train/A"], False), (["train/A", "test/B"], True), ([], True)])
def test_without_test_tracks_a_trained_seed_is_finished_and_a_warning_says_so(
    planned, tmp_path, caplog, folders, has_test
):
    root = tmp_path / "tree"
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "mixture.wav").touch()
    plan = planned(done(), f"data.root={root}")
    for source in plan.sources:
        finish(plan, f"{source}-s42", weights=source, targets=(source,))
    assert plan.wants_evaluation == has_test
    assert plan.is_finished == (not has_test)
    plans.warn_of_no_test([plan])
    assert not caplog.text, "nothing is trained"
    longer = [f"data.root={root}", "trainer.max_epochs=11"]
    plans.warn_of_no_test([planned(None, *longer), planned(None, *longer, "target=drums")])
    assert caplog.text.count(f"data.root: {root} has no track in test, so nothing is evaluated") == (not has_test)
    caplog.clear()
    plans.warn_of_no_test([planned(None, *longer, "evaluation.after_training=false")])
    assert not caplog.text


def test_fresh_says_that_an_old_run_will_be_moved(planned):
    plan = planned(None, "fresh=true")
    assert str(plan) == f"{plan.run}: new"
    plan = planned(done(), "fresh=true")
    assert str(plan) == f"{plan.run}: new; the old run will be moved to {plan.run.parent}/old"


@pytest.mark.parametrize(
    ("targets", "option"),
    [(["vocals"], " evaluation.residual=true"), (["all"], ""), (["vocals", "drums", "bass", "other"], "")],
)
def test_the_warning_of_no_test_tracks_names_a_command_that_scores_the_others(
    planned, tmp_path, caplog, targets, option
):
    (tmp_path / "tree" / "train" / "A").mkdir(parents=True)
    (tmp_path / "tree" / "train" / "A" / "mixture.wav").touch()
    jobs = [planned(None, f"data.root={tmp_path / 'tree'}", f"target={target}") for target in targets]
    plans.warn_of_no_test(jobs)
    assert caplog.text.count(f"python src/evaluate.py ckpt={jobs[0].run.parent} subset=valid{option} scores") == 1


@pytest.mark.parametrize(("logger", "folder"), [("wandb", "wandb"), ("tensorboard", "tensorboard")])
def test_a_finished_run_and_its_evaluation_are_logged_to_a_logger_that_is_added(planned, logger, folder):
    plan = planned(done(targets=("vocals", "drums", "bass", "other")), f"logger={logger}", "target=all")
    where = plan.run.parent / "eval" / "hq-test-abc"
    where.mkdir(parents=True)
    summary = {"weights": plan.weights, "subset": "test", "separator": dict(plan.cfg.separator)}
    (where / "summary.json").write_text(json.dumps(summary))
    for path in (plan.run, where):
        assert plan.unlogged(path) == [logger]
        assert not plan.is_finished
        (path / folder).mkdir()
    assert plan.is_finished
    assert planned(None, f"logger={logger}", f"logger.{logger}=null", "target=all").unlogged(where.parent) == []


def test_a_logger_of_which_nothing_is_known_keeps_no_run_unfinished(planned):
    plan = planned(done(), "+logger.csv._target_=pytorch_lightning.loggers.CSVLogger", "+logger.csv.save_dir=x")
    assert plan.unlogged(plan.run) == []
    assert plan.is_finished


def test_jobs_that_are_planned_together_read_each_folder_once(tmp_path, monkeypatch):
    root = tmp_path / "tree"
    (root / "test" / "A").mkdir(parents=True)
    (root / "test" / "A" / "mixture.wav").touch()
    overrides = [f"paths.out={tmp_path}", f"data.root={root}"]
    cfgs = [
        compose("train", [*overrides, f"target={target}", f"seed={seed}"])
        for seed in (1, 2)
        for target in ("vocals", "drums", "bass", "other")
    ]
    for one in plans.plan_all(cfgs):
        status.write(one.run, done(targets=tuple(one.targets), length={**LENGTH, "max_epochs": 1000}))
    together = plans.plan_all(cfgs)
    reads = []
    monkeypatch.setattr(survey.status, "read", lambda run: reads.append(run) or status.Status("e", "done"))
    listings = []
    read_from = survey.library.from_settings
    monkeypatch.setattr(survey.library, "from_settings", lambda *a: listings.append(a) or read_from(*a))
    assert not any(one.is_finished for one in together), "neither seed is evaluated"
    assert sorted(reads) == sorted(one.run for one in together)
    assert len(listings) == 1
    assert not plans.plan(cfgs[0]).is_finished
    assert len(listings) == 2, "a lone plan looks again"


def test_a_logger_added_after_a_run_that_cannot_get_it_is_named_once(planned, capsys):
    csv = ["+logger.csv._target_=pytorch_lightning.loggers.CSVLogger", "+logger.csv.save_dir=x"]
    finished = planned(done(), *csv)
    (finished.run / "config.yaml").write_text("logger: null")
    run_loggers.print_never_logged([(finished.cfg.logger, finished.run)] * 2)
    assert capsys.readouterr().out.count("logger.csv: added after the training, of which it gets nothing; ") == 1
    (finished.run / "config.yaml").write_text("logger: {mine: {_target_: pytorch_lightning.loggers.CSVLogger}}")
    new = planned(None, *csv, "target=drums")
    run_loggers.print_never_logged([(each.cfg.logger, each.run) for each in (finished, new)])
    assert not capsys.readouterr().out
