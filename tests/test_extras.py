"""Settings that need an optional package are refused before anything is written when it is not installed."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from unmix import extras
from unmix.composition import compose

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]

NEEDED = [
    ("evaluate", ["ckpt=x", "evaluation.engine=museval"], "museval", "museval"),
    ("evaluate", ["ckpt=x", "metrics=[csdr,log_wmse]"], "torch_log_wmse", "metrics"),
    ("separate", ["ckpt=x", "input=y", "separator.wiener=norbert"], "norbert", "norbert"),
    ("train", ["logger=tensorboard"], "tensorboard", "tensorboard"),
    ("listen", ["ckpt=x", "format=webmushra"], "pyloudnorm", "pyloudnorm"),
    ("report", ["ckpt=x", "format=wandb"], "wandb_workspaces", "dashboard"),
    ("dashboard", [], "wandb_workspaces", "dashboard"),
]


@pytest.fixture
def missing(monkeypatch):
    """Pretends that a package is not installed."""

    def pretend(name):
        monkeypatch.setattr(extras, "find_spec", lambda package: None if package == name else object())

    return pretend


@pytest.mark.parametrize(("command", "overrides", "package", "extra"), NEEDED)
def test_a_setting_without_its_package_is_refused(missing, command, overrides, package, extra):
    cfg = compose(command, overrides)
    extras.check(command, cfg)
    missing(package)
    with pytest.raises(ValueError, match=rf"needs the package {package}, which is not installed.*'unmix\[{extra}\]'"):
        extras.check(command, cfg)


def test_defaults_need_no_optional_package(missing, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda package: None)
    for command, overrides in (("train", []), ("evaluate", ["ckpt=x"]), ("separate", ["ckpt=x", "input=y"])):
        extras.check(command, compose(command, overrides))


@pytest.mark.parametrize("extra", sorted({extra for *_, extra in NEEDED}))
def test_every_extra_is_declared_and_installed_for_development(extra):
    assert extra in PROJECT["optional-dependencies"]
    assert extra in PROJECT["optional-dependencies"]["dev"][0]


def test_a_command_says_so_in_one_line(cli, capfd, missing, tmp_path):
    missing("tensorboard")
    assert cli("train", "experiment=demo", "logger=tensorboard", f"paths.out={tmp_path}") == 2
    assert capfd.readouterr().err.startswith(
        "train: logger=tensorboard: needs the package tensorboard, which is not installed"
    )
    assert not list(tmp_path.iterdir())


def test_a_python_without_any_package_is_answered_in_one_line():
    command = [sys.executable, "-S", "src/train.py", "experiment=demo"]  # -S leaves out what is installed
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    root = Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"train: {sys.executable} lacks the package hydra: make install creates .venv, then source ")
