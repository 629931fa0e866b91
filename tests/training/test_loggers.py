"""Logged runs are read back from W&B's offline files and TensorBoard's event files."""

import json
import re
import shutil
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import wandb
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from wandb.proto.wandb_internal_pb2 import Record

from command_process import wait_until
from unmix.training import loggers

pytestmark = pytest.mark.slow

HEADER, BLOCK = 7, 32768  # of a log in LevelDB's format, which a .wandb file is


def records(path):
    """Read all records of a .wandb file, joining those that are split between two blocks."""
    content, position, complete, parts = path.read_bytes(), HEADER, [], b""
    while position + 7 <= len(content):
        if BLOCK - position % BLOCK < 7:
            position += BLOCK - position % BLOCK
            continue
        size, kind = int.from_bytes(content[position + 4 : position + 6], "little"), content[position + 6]
        parts += content[position + 7 : position + 7 + size]
        position += 7 + size
        if kind in (1, 4):  # a complete record, or its last part
            complete.append(Record.FromString(parts))
            parts = b""
    return complete


class OfflineRun:
    """A W&B run as its offline folder holds it."""

    def __init__(self, folder):
        (path,) = folder.glob("*.wandb")
        # a process of W&B writes the file, and on a busy machine ends it after the command
        wait_until(lambda: any(record.HasField("exit") for record in records(path)))
        self.files = {str(file.relative_to(folder / "files")) for file in folder.glob("files/**/*") if file.is_file()}
        self.history, self.summary, self.config, self.exit_code, self.run, self.metrics = [], {}, {}, None, None, {}
        self.artifacts = []
        for record in records(path):
            if record.HasField("run"):
                self.run = self.run or record.run
                self._configure(record.run.config)
            if record.HasField("config"):
                self._configure(record.config)
            if record.HasField("history"):
                self.history.append({name(item): json.loads(item.value_json) for item in record.history.item})
            if record.HasField("summary"):
                self.summary |= {name(item): json.loads(item.value_json) for item in record.summary.update}
            if record.HasField("metric"):
                self.metrics[record.metric.name] = record.metric
            if record.HasField("artifact"):
                self.artifacts.append(record.artifact)
            if record.HasField("exit"):
                self.exit_code = record.exit.exit_code

    def _configure(self, config):
        self.config |= {name(item): json.loads(item.value_json) for item in config.update}

    def names(self):
        return {key for row in self.history for key in row}


def name(item):
    return item.key or item.nested_key[0]


@pytest.mark.parametrize("kind", [wandb.errors.UsageError, wandb.errors.AuthenticationError])
def test_a_missing_login_is_answered_with_what_to_do(tmp_path, monkeypatch, kind):
    def experiment(self):
        raise kind("No API key configured. Use `wandb login` to log in.")

    run = loggers.WandbRun(loggers.Job("umx-1", "drums-s42", "train", tmp_path), project="unmix")
    monkeypatch.setattr(loggers.WandbRun, "experiment", property(experiment))
    with pytest.raises(ValueError, match=r"^logger.wandb: No API key .*; or WANDB_MODE=offline logs to files$"):
        run.log_configuration({})


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")


def test_a_sweep_logs_one_run_per_job_and_one_for_the_evaluation(train_arguments, cli, tmp_path, offline, trained):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "logger=wandb", "trainer.max_epochs=2"]
    more = ["trainer.log_every_n_steps=1", "evaluation.after_training=true"]
    assert cli("train", "-m", *arguments, *more, "target=vocals,drums,bass,other") == 0
    experiment, trainings = next((tmp_path / "runs").iterdir()), []
    assert experiment.name == trained.name
    for target in ("vocals", "drums", "bass", "other"):
        (folder,) = (experiment / f"{target}-s42" / "wandb").glob("offline-run-*")
        stored = OfflineRun(folder)
        assert (stored.run.run_id, stored.run.run_group) == (f"{experiment.name}-{target}-s42", experiment.name)
        assert (stored.run.display_name, stored.run.job_type) == (f"{target}-s42", "sweep")
        assert set(stored.run.tags) == {target, "umx"}
        assert stored.exit_code == 0
        assert stored.config["model"]["hidden_size"] == 16
        assert stored.config["derived"]["effective_batch"] == 2
        assert {"val/loss", "val/sdr", "lr", "train/gradient_norm_step", "time/waiting_for_data"} <= stored.names()
        assert "time/audio_seconds_per_second" in stored.names()
        assert (stored.metrics["val/loss"].summary.min, stored.metrics["val/sdr"].summary.max) == (True, True)
        assert stored.metrics["val/loss"].step_metric == "trainer/global_step"
        track = "Actions - One Minute Smile"
        assert {f"listen/{track}/{stem}" for stem in ("mixture", "reference", "estimate")} <= stored.names()
        assert f"look/{track}" in stored.names()
        assert sum(file.endswith(".wav") for file in stored.files) == 3
        assert sum(file.endswith(".png") for file in stored.files) == 1
        assert_uploads(stored, experiment / f"{target}-s42" / "checkpoints")
        trainings.append(stored)
    (folder,) = experiment.glob("eval/*/wandb/offline-run-*")
    stored = OfflineRun(folder)
    assert (stored.run.run_group, stored.run.job_type) == (experiment.name, "evaluate")
    summary = json.loads((folder.parents[1] / "summary.json").read_text())
    assert stored.summary["test/vocals/sdr"] == summary["medians"][experiment.name]["vocals"]["SDR"]
    assert {"test/scores", "test/boxplot", "test/bass/only/estimate"} <= stored.names()
    assert sum(file.endswith(".wav") for file in stored.files) == 4 * 3
    assert (stored.summary["test/bass/only/track"], stored.config["test"]["subset"]) == ("Some Test - Track", "test")
    assert_joins([*trainings, stored], experiment.name)


def assert_uploads(stored, checkpoints):
    """`wandb sync` uploads both checkpoints, from files that stay as they are when the training goes on."""
    assert [set(artifact.aliases) - {"latest"} for artifact in stored.artifacts] == [{"best"}, set()]
    for artifact, name in zip(stored.artifacts, ("best.ckpt", "last.ckpt"), strict=True):
        assert (artifact.name, artifact.type) == (stored.run.run_id, "model")
        (entry,) = artifact.manifest.contents
        assert entry.path == "model.ckpt"
        assert Path(entry.local_path).read_bytes() == (checkpoints / name).read_bytes()
        assert Path(entry.local_path) != checkpoints / name


def assert_joins(runs, experiment):
    """Hyperparameters and test scores are columns of one table: the same keys with the same types in all runs."""
    table = pd.json_normalize([run.config | {"sdr": run.summary.get("test/sdr")} for run in runs])
    assert set(table.experiment) == {experiment}
    (sweep,) = set(table.sweep)
    assert re.fullmatch(r"\d{8}-\d{6}", sweep)
    *trainings, evaluation = (flat(run.config) for run in runs)
    assert evaluation["target"] == "all"
    hyperparameters = [key for key in trainings[0] if key.startswith(("model.", "optimizer.", "data.", "trainer."))]
    assert {"model.hidden_size", "optimizer.lr"} <= set(hyperparameters)
    for key in set(hyperparameters) - {"model.targets"}:  # those of one training
        assert evaluation[key] == trainings[0][key], key
        assert type(evaluation[key]) is type(trainings[0][key])
    (scored,) = table[table.sdr.notna()].to_dict("records")
    medians = [runs[-1].summary[f"test/{target}/sdr"] for target in ("vocals", "drums", "bass", "other")]
    assert (scored["model.hidden_size"], scored["sdr"]) == (16, pytest.approx(np.mean(medians)))


def flat(config, prefix=""):
    """Dotted name -> value."""
    nested = [flat(value, f"{prefix}{key}.") for key, value in config.items() if isinstance(value, dict)]
    plain = {f"{prefix}{key}": value for key, value in config.items() if not isinstance(value, dict)}
    return {name: value for part in (plain, *nested) for name, value in part.items()}


def test_loggers_change_no_result(train_arguments, cli, tmp_path, offline, trained):
    assert cli("train", *train_arguments, f"paths.out={tmp_path}", "logger=wandb", "target=drums") == 0
    (path,) = tmp_path.glob("runs/*/drums-s42/metrics.csv")
    assert path.read_text() == (trained / "drums-s42" / "metrics.csv").read_text()


def test_a_run_that_was_finished_without_wandb_is_logged_like_any_other(
    train_arguments, cli, tmp_path, offline, trained
):
    shutil.copytree(trained / "drums-s42", tmp_path / "runs" / trained.name / "drums-s42")
    assert cli("train", *train_arguments, f"paths.out={tmp_path}", "logger=wandb", "target=drums") == 0
    (folder,) = tmp_path.glob("runs/*/drums-s42/wandb/offline-run-*")
    stored = OfflineRun(folder)
    assert (stored.run.run_id, stored.exit_code) == (f"{trained.name}-drums-s42", 0)
    assert stored.config["model"]["hidden_size"] == 16
    assert [row["trainer/global_step"] for row in stored.history if "val/loss" in row] == [1, 3]
    assert {"train/loss", "val/sdr", "lr", "epoch"} <= stored.names()
    assert_uploads(OfflineRun(folder), folder.parents[1] / "checkpoints")


def test_a_resumed_job_continues_the_same_run(train_arguments, cli, tmp_path, offline):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "logger=wandb", "target=drums"]
    for epochs in (1, 2):
        assert cli("train", *arguments, f"trainer.max_epochs={epochs}") == 0
        (*_, folder) = sorted(tmp_path.glob("runs/*/*/wandb/offline-run-*"))
        wait_until(lambda folder=folder: time.strftime("%Y%m%d_%H%M%S") not in folder.name)  # the next one's name
    first, second = (OfflineRun(path) for path in sorted(tmp_path.glob("runs/*/*/wandb/offline-run-*")))
    assert first.run.run_id == second.run.run_id
    steps = [[row["trainer/global_step"] for row in run.history if "val/loss" in row] for run in (first, second)]
    assert steps == [[1], [3]]


def test_a_failed_run_has_exit_code_1(train_arguments, cli, tmp_path, offline):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "logger=wandb", "optimizer.lr=1e30"]
    assert cli("train", *arguments) == 1
    (folder,) = tmp_path.glob("runs/*/*/wandb/offline-run-*")
    assert OfflineRun(folder).exit_code == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)])
def test_a_run_that_is_stopped_ends_with_the_exit_code_of_the_process(train_arguments, start, tmp_path, signum, code):
    arguments = [one for one in train_arguments if not one.startswith("trainer.max_epochs")]
    environment = {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    log, options = tmp_path / "log", [f"paths.out={tmp_path}", "logger=wandb"]
    process = start("train", *arguments, *options, log=log, environment=environment)
    wait_until(lambda: process.poll() is not None or list(tmp_path.glob("runs/*/*/checkpoints/last.ckpt")))
    process.send_signal(signum)
    assert process.wait() == code, log.read_text()
    (folder,) = tmp_path.glob("runs/*/*/wandb/offline-run-*")
    assert OfflineRun(folder).exit_code == code


def test_an_agent_of_a_wandb_sweep_chooses_the_id(monkeypatch, tmp_path):
    job = loggers.Job("umx-12345678", "drums-s42", "train", tmp_path)
    assert loggers.WandbRun(job, project="unmix")._wandb_init["id"] == "umx-12345678-drums-s42"
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    assert loggers.WandbRun(job, project="unmix")._wandb_init["id"] is None


@pytest.mark.parametrize(("status", "expected"), [("success", {"best", "latest"}), ("failed", set())])
def test_online_both_checkpoints_become_versions_of_one_artifact(trained, tmp_path, status, expected):
    run = loggers.WandbRun(loggers.Job("umx-1", "drums-s42", "train", trained / "drums-s42"), project="unmix")
    sent = {}

    def log_artifact(artifact, aliases):
        sent.update(dict.fromkeys(aliases, artifact))

    codes = []
    (tmp_path / "wandb").mkdir()
    run._experiment = SimpleNamespace(
        disabled=False,
        dir=tmp_path / "wandb",
        log_artifact=log_artifact,
        finish=lambda exit_code: codes.append(exit_code),
    )
    run.finalize(status)
    assert set(sent) == expected
    assert codes == [0 if expected else 1]
    for artifact in sent.values():
        assert (artifact.name, artifact.type) == ("umx-1-drums-s42", "model")
        assert list(artifact.manifest.entries) == ["model.ckpt"]


def test_tensorboard_shows_the_same_names(train_arguments, cli, tmp_path, trained):
    more = [f"paths.out={tmp_path}", "logger=tensorboard", "target=drums", "trainer.log_every_n_steps=1"]
    assert cli("train", *train_arguments, *more) == 0
    (folder,) = tmp_path.glob("runs/*/drums-s42/tensorboard")
    tags = EventAccumulator(str(folder), size_guidance={"audio": 0, "images": 0, "scalars": 0}).Reload().Tags()
    assert {"val/loss", "val/sdr", "lr", "train/gradient_norm_step"} <= set(tags["scalars"])
    assert "listen/Actions - One Minute Smile/estimate" in tags["audio"]
    assert "look/Actions - One Minute Smile" in tags["images"]
    assert cli("evaluate", f"ckpt={trained}", "logger=tensorboard", "separator.niter=0") == 0
    (folder,) = trained.glob("eval/*/tensorboard")
    tags = EventAccumulator(str(folder), size_guidance={"audio": 0}).Reload().Tags()
    assert {"test/vocals/sdr", "test/bass/sar"} <= set(tags["scalars"])
    assert len(tags["audio"]) == 4 * 3
    shutil.rmtree(folder.parent)
