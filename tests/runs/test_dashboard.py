import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import wandb
import yaml
from wandb.errors import CommError
from wandb.sdk.launch.sweeps.utils import create_sweep_command_args
from wandb_workspaces.workspaces import Workspace

from unmix.composition import compose

SWEEP = Path(__file__).parents[2] / "conf" / "wandb" / "sweep.yaml"
TRAIN = Path(__file__).parents[2] / "src" / "train.py"


def test_without_a_login_the_specification_is_printed(cli, capfd):
    assert cli("dashboard") == 0
    text = capfd.readouterr().out
    sections = json.loads(text)["spec"]["section"]["panelBankConfig"]["sections"]
    assert [one["name"] for one in sections][:5] == [
        "Overview by target",
        "Sweep",
        "Test scores",
        "Listening",
        "System",
    ]
    for name in (
        "val/sdr",
        "train/gradient_norm_step",
        "config:model.value.hidden_size",
        "summary:val/loss",
        "test/vocals/sdr",
        "test/bass/worst/estimate",
        "test/boxplot",
        "time/waiting_for_data",
    ):
        assert f'"{name}"' in text, name


def test_saving_needs_an_owner_and_a_login(cli, capfd, monkeypatch):
    assert cli("dashboard", "save=true") == 2
    assert "dashboard: entity: not given" in capfd.readouterr().err
    monkeypatch.setattr(wandb, "login", lambda prompt: False)
    assert cli("dashboard", "save=true", "entity=me") == 2
    assert "nobody is logged in to W&B" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("WANDB_API_KEY", "short", "W&B does not take the login (WANDB_API_KEY invalid: API key must have 40+ char"),
        ("WANDB_MODE", "offline", "WANDB_MODE is offline; unset it, or leave save=true away"),
    ],
)
def test_a_login_that_cannot_be_used_is_one_line(cli, capfd, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    assert cli("dashboard", "save=true", "entity=me") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"dashboard: save: got true, but {expected}")


def test_a_workspace_is_saved_and_its_address_said(cli, capfd, monkeypatch):
    monkeypatch.setattr(wandb, "login", lambda prompt: True)
    saved = []
    monkeypatch.setattr(Workspace, "save", lambda workspace: saved.append(workspace))
    monkeypatch.setattr(Workspace, "url", property(lambda workspace: f"address of {workspace.project}"))
    assert cli("dashboard", "save=true", "entity=me", "project=mine") == 0
    assert "address of mine" in capfd.readouterr().out
    assert (saved[0].entity, saved[0].name) == ("me", "Open-Unmix")

    def refuse(workspace):
        raise CommError("404 entity not found")

    monkeypatch.setattr(Workspace, "save", refuse)
    assert cli("dashboard", "save=true", "entity=em") == 2
    assert "W&B does not take it (404 entity not found); is entity=em right?" in capfd.readouterr().err


@pytest.fixture
def overrides():
    """Of the command that an agent makes of conf/wandb/sweep.yaml, as it makes it."""
    sweep = yaml.safe_load(SWEEP.read_text())
    chosen = {"target": "vocals", "model.hidden_size": 256, "model.bidirectional": "false", "optimizer.lr": 0.0003}
    assert set(chosen) == set(sweep["parameters"])
    arguments = create_sweep_command_args({"args": {name: {"value": value} for name, value in chosen.items()}})
    command = [
        word
        for part in sweep["command"]
        for word in (arguments["args_no_hyphens"] if part == "${args_no_hyphens}" else [part])
    ]
    assert command[:3] == ["${env}", "python", "${program}"]
    return command[3:]


def test_the_command_of_the_sweep_is_understood(overrides):
    cfg = compose("train", overrides)
    assert (cfg.model.hidden_size, cfg.model.bidirectional, cfg.optimizer.lr) == (256, False, 0.0003)
    assert cfg.logger.wandb.project == yaml.safe_load(SWEEP.read_text())["project"]


@pytest.mark.slow
def test_the_command_of_the_sweep_trains_once_under_the_agents_id(overrides, train_arguments, cli, capfd, tmp_path):
    agent = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_SWEEP_ID": "abc", "WANDB_RUN_ID": "chosen"}
    small = [*train_arguments, f"paths.out={tmp_path}", "model.hidden_size=16", "trainer.max_epochs=1"]
    # a process of its own, as an agent has it: W&B remembers the environment it began with
    subprocess.run([sys.executable, str(TRAIN), *overrides, *small], env={**os.environ, **agent}, check=True)
    (folder,) = tmp_path.glob("runs/*/*/wandb/offline-run-*")
    assert folder.name.endswith("-chosen")
    finished = (folder.parents[1] / "status.json").read_bytes()
    capfd.readouterr()
    assert cli("train", *overrides, *small) == 0  # the agent is started again
    assert f"{folder.parents[1]}: done after 1 epoch" in capfd.readouterr().out
    assert list(tmp_path.glob("runs/*/*/wandb/offline-run-*")) == [folder]
    assert (folder.parents[1] / "status.json").read_bytes() == finished
