"""What follows a training: its evaluation, and loggers that are added when it is finished."""

import shlex
import shutil

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

pytestmark = pytest.mark.slow


@pytest.fixture
def without_test(small_tree, tmp_path):
    root = shutil.copytree(small_tree, tmp_path / "tree")
    shutil.rmtree(root / "test")
    return root


NOTHING = "has no track in test, so nothing is evaluated after training; python src/evaluate.py ckpt="


def test_without_test_tracks_training_warns_once_and_ends_well(toy, without_test, cli, tmp_path, capfd, monkeypatch):
    options = [f"data.root={without_test}", "evaluation.after_training=true", "trainer.max_epochs=1"]
    assert cli("train", *toy, *options, f"paths.out={tmp_path}") == 0
    output = "".join(capfd.readouterr())
    assert output.count(f"data.root: {without_test} {NOTHING}") == 1
    (experiment,) = tmp_path.glob("runs/*")
    assert not list(tmp_path.glob("runs/*/eval"))
    command = f"ckpt={experiment} subset=valid 'plugins=[my_package]'"
    assert f"python src/evaluate.py {command} scores the validation tracks" in output
    monkeypatch.setattr("unmix.runs.evaluate.EvaluateJob.run", lambda _: None)  # everything is checked before
    assert cli("evaluate", *shlex.split(command)) == 0
    assert cli("train", *toy, *options, f"paths.out={tmp_path}") == 0
    assert "all-s42: done after 1 epoch," in capfd.readouterr().out


def test_a_training_of_few_batches_says_nothing_of_the_logging_interval(toy, cli, tmp_path, capfd):
    assert cli("train", *toy, "trainer.max_epochs=1", "logger=tensorboard", f"paths.out={tmp_path}") == 0
    assert "smaller than the logging interval" not in "".join(capfd.readouterr())


def test_without_test_tracks_a_sweep_warns_once(toy, without_test, cli, tmp_path, capfd, monkeypatch):
    monkeypatch.setattr("unmix.processes.jobs.run", lambda *_, **__: None)  # starts no job
    options = [f"data.root={without_test}", "evaluation.after_training=true", f"paths.out={tmp_path}"]
    assert cli("train", "-m", *toy, *options, "model.width=4,6") == 0
    output = "".join(capfd.readouterr())
    assert output.count(f"data.root: {without_test} {NOTHING}") == 1
    assert "2 not started" in output


def test_an_evaluation_of_no_track_is_refused_in_one_line(toy_run, without_test, cli, capfd):
    options = [f"ckpt={toy_run}", "plugins=[my_package]", "data=musdb18hq", f"data.root={without_test}"]
    assert cli("evaluate", *options, "data.sample_rate=8000", "data.validation_tracks=[Held Out]") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line == f"evaluate: subset: got 'test', which has no track in {without_test}"


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_a_logger_added_to_a_finished_run_gets_its_epochs_and_scores_once(toy, toy_run, cli, tmp_path, capfd):
    shutil.copytree(toy_run.parents[1], tmp_path / "runs")
    command = [*toy, "evaluation.after_training=true", f"paths.out={tmp_path}"]
    assert cli("train", *command) == 0
    capfd.readouterr()
    assert cli("train", *command, "logger=tensorboard") == 0
    assert "all-s42: logged to tensorboard (epochs: 2)" in capfd.readouterr().out
    (run,), (evaluation,) = tmp_path.glob("runs/*/all-s42"), tmp_path.glob("runs/*/eval/*")
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("val/loss")
    expected = [(int(row[1]) - 1, pytest.approx(float(row[column]))) for row in rows[1:]]
    assert [(event.step, event.value) for event in events.Scalars("val/loss")] == expected
    assert "test/vocals/sdr" in EventAccumulator(str(evaluation / "tensorboard")).Reload().Tags()["scalars"]
    files = sorted(tmp_path.rglob("*"))
    assert cli("train", *command, "logger=tensorboard") == 0
    assert "all-s42: done after 2 epochs" in capfd.readouterr().out
    assert sorted(tmp_path.rglob("*")) == files
