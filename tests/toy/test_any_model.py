"""A model from outside of this project is trained, resumed and swept by the commands of README."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from tensors import as_bytes
from unmix.composition import CONF
from unmix.experiments import status

TRAIN = CONF.parent / "src" / "train.py"
DEFAULT_CALLBACKS = yaml.safe_load((CONF / "callbacks" / "default.yaml").read_text())
OPTIONAL_CALLBACKS = [name for name in DEFAULT_CALLBACKS if name != "checkpoints"]


def state_of(run, name="last"):
    """Weights, optimiser and schedule of a checkpoint, as bytes."""
    content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
    return as_bytes([content[key] for key in ("state_dict", "optimizer_states", "lr_schedulers")])


def test_nothing_in_the_source_knows_the_toy():
    assert not [
        path for path in TRAIN.parent.rglob("*.py") if "my_package" in path.read_text().replace("[my_package", "")
    ]


def test_a_model_and_an_objective_of_a_user_are_trained(toy_run):
    content = torch.load(toy_run / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["unmix"]["targets"] == ["vocals", "drums", "bass", "other"]
    assert content["unmix"]["config"]["model"]["_target_"] == "my_package.model.MyModel"
    assert status.read(toy_run).state == "done"
    rows = list(csv.DictReader((toy_run / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert all(float(row["val/loss"]) > 0 for row in rows)


def test_a_callback_and_a_plain_logger_need_one_yaml_each(toy_run):
    assert (toy_run / "steps.txt").read_text() == "6"
    (metrics,) = (toy_run / "csv").glob("*/metrics.csv")
    assert {"train/loss", "val/loss"} <= set(next(csv.reader(metrics.open())))
    assert yaml.safe_load(metrics.with_name("hparams.yaml").read_text())["model"]["width"] == 4


def test_the_same_command_again_says_done(toy, toy_run, cli, capfd):
    before = (toy_run / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert cli("train", *toy, f"paths.out={toy_run.parents[2]}") == 0
    assert "all-s42: done after 2 epochs" in capfd.readouterr().out
    assert (toy_run / "checkpoints" / "last.ckpt").stat().st_mtime_ns == before


def test_an_objective_of_this_project_trains_a_user_s_model(toy, cli, tmp_path):
    assert cli("train", *toy, "objective=waveform_l1", "trainer.max_epochs=1", f"paths.out={tmp_path}") == 0
    (run,) = tmp_path.glob("runs/*/all-s42")
    assert status.read(run).state == "done"


def test_a_user_s_model_trains_in_double_precision(toy, cli, tmp_path):
    assert cli("train", *toy, "trainer.precision=64-true", "trainer.max_epochs=1", f"paths.out={tmp_path}") == 0
    (path,) = tmp_path.glob("runs/*/all-s42/checkpoints/best.ckpt")
    weights = torch.load(path, weights_only=True)["state_dict"]
    assert {weight.dtype for weight in weights.values() if weight.is_floating_point()} == {torch.float64}


@pytest.mark.slow
def test_killed_within_an_epoch_the_same_command_ends_bit_for_bit_as_an_unbroken_one(
    toy, toy_run, start, cli, tmp_path
):
    marker = tmp_path / "killed"
    killer = f"+callbacks.kill={{_target_: my_package.callback.KillOnce, step: 4, marker: {marker}}}"
    command = [*toy, killer, "checkpoint.every_minutes=0", f"paths.out={tmp_path}"]
    log = tmp_path / "log"
    assert start("train", *command, log=log).wait() == -signal.SIGKILL, log.read_text()
    (run,) = tmp_path.glob("runs/*/all-s42")
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["unmix"]
    assert (marker.exists(), saved["position"]) == (True, [1, 1])
    assert run.parent.name == toy_run.parent.name
    assert cli("train", *command) == 0
    assert state_of(run) == state_of(toy_run)
    assert state_of(run, "best") == state_of(toy_run, "best")
    assert (run / "metrics.csv").read_bytes() == (toy_run / "metrics.csv").read_bytes()


@pytest.mark.slow
def test_a_sweep_trains_what_is_not_there_and_has_nothing_to_do_afterwards(toy, toy_run, cli, tmp_path, capfd):
    shutil.copytree(toy_run.parents[1], tmp_path / "runs")
    command = ["-m", *toy, "model.width=4,6", f"paths.out={tmp_path}"]
    assert cli("train", *command) == 0, capfd.readouterr()
    (new,) = {path.parent for path in tmp_path.glob("runs/*/all-s42")} - {tmp_path / "runs" / toy_run.parent.name}
    weights = torch.load(new / "all-s42" / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    assert weights["model.layers.0.weight"].shape == (6, 2, 9)
    jobs = [json.loads(line) for path in tmp_path.glob("sweeps/*/jobs.jsonl") for line in path.open()]
    assert {Path(job["run"]).parent.name for job in jobs} == {new.name, toy_run.parent.name}
    files = sorted(tmp_path.rglob("*"))
    capfd.readouterr()
    assert cli("train", *command) == 0
    assert capfd.readouterr().out.count("all-s42: done after 2 epochs") == 2
    assert sorted(tmp_path.rglob("*")) == files


def test_a_user_s_weights_are_where_training_starts(toy, toy_run, cli, tmp_path):
    options = [f"init_from={toy_run}", "optimizer.lr=1e-30", "trainer.max_epochs=1", f"paths.out={tmp_path}"]
    assert cli("train", *toy, *options) == 0
    (run,) = tmp_path.glob("runs/*/all-s42")
    before, after = (
        torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"] for folder in (toy_run, run)
    )
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith(("weight", "bias")))
    assert not torch.equal(before["model.layers.1.running_mean"], after["model.layers.1.running_mean"])


@pytest.mark.parametrize("names", [OPTIONAL_CALLBACKS, OPTIONAL_CALLBACKS[::2], OPTIONAL_CALLBACKS[1::2]], ids=",".join)
def test_every_default_callback_but_the_checkpoints_can_be_left_out(toy, cli, tmp_path, names):
    options = ["trainer.max_epochs=1", "data.samples_per_track=1", f"paths.out={tmp_path}"]
    assert cli("train", *toy, *options, *(f"callbacks.{name}=null" for name in names)) == 0
    (run,) = tmp_path.glob("runs/*/all-s42")
    assert status.read(run).state == "done"
    assert (run / "metrics.csv").exists() == ("metrics" not in names)


def test_checkpoints_cannot_be_left_out(toy, refused):
    message = "callbacks.checkpoints: got null, but a run is saved and resumed by it"
    assert message in refused("train", *toy, "callbacks.checkpoints=null")
    assert "~callbacks: a group cannot be deleted" in refused("train", *toy, "~callbacks")
    message = refused("train", *toy, "callbacks=null")
    assert "callbacks: got null, allowed default, ema, my_callbacks; one entry of a group is left out" in message


def test_a_package_is_found_in_the_working_directory_alone(toy_run, tmp_path):
    """In a process of its own, as this one has imported the package already."""
    code = "import sys; from unmix import plugins; print(plugins.check(['my_package']))"
    environment = {**os.environ, "PYTHONPATH": str(TRAIN.parent)}
    found = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment)
    assert found.stdout == "('my_package',)\n"
    elsewhere = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert "ValueError: plugins: there is no package 'my_package' in the working directory" in elsewhere.stderr
