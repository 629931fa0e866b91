"""Completion on Tab, as the script of `-sc install=bash` asks for it: COMP_LINE in, words out."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unmix.completion_scripts import BASH, MARK
from unmix.composition import CONF
from unmix.schema import SCHEMAS

pytestmark = pytest.mark.slow


@pytest.fixture
def completed(cli, capfd, monkeypatch):
    def query(line, command="train"):
        monkeypatch.setenv("COMP_LINE", line)
        assert cli(command, "-sc", "query=bash") == 0
        printed = capfd.readouterr()
        assert not printed.err
        return printed.out.split()

    return query


TRAIN = "python src/train.py "
MODELS = sorted({path.stem for path in CONF.glob("model/*.yaml")} - {"umx"})


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("target=", ["vocals", "drums", "bass", "other", "all"]),
        ("target=dr", ["drums"]),
        ("-m target=vocals,", ["vocals,drums", "vocals,bass", "vocals,other", "vocals,all"]),
        ("target=[vocals,d", ["[vocals,drums"]),
        ("experiment=umxse data.validation_tracks=[a] target=", ["speech", "noise", "all"]),
        ("experiment=umx", ["umx", "umxhq", "umxl", "umxse"]),
        ("experiment=x", ["xumx", "xumx_demo"]),
        ("-m model=umx,", [f"umx,{name}" for name in MODELS]),
        ("hydra/launcher=p", ["process"]),
        ("retry=", ["true", "false"]),
        ("data.random_mix=f", ["false"]),
        ("on_busy=", ["wait", "skip", "fail"]),
        ("evaluation.engine=m", ["museval"]),
        ("data=musdb18_", ["musdb18_preview"]),
        ("trainer.precision=b", ["bf16-mixed", "bf16"]),
        ("separator.window=", ["whole"]),
        ("data.other=", ["rest"]),
    ],
)
def test_values_are_completed(completed, line, expected):
    key = line.split(" ")[-1].partition("=")[0]
    assert completed(TRAIN + line) == [f"{key}={value}" for value in expected]
    assert completed(f".venv/bin/{TRAIN}{line}") == [f"{key}={value}" for value in expected]


def test_groups_and_keys_are_completed(completed):
    assert completed(f"{TRAIN}experiment=demo e") == ["evaluation.", "evaluation=", "experiment="]
    assert completed(f"{TRAIN}experiment=demo trainer.max_e") == ["trainer.max_epochs="]
    assert completed(f"{TRAIN}trainer.max_epochs=") == ["trainer.max_epochs=1000"]


def test_a_word_behind_a_mistake_is_not_completed(completed):
    assert completed(f"{TRAIN}experiment=nothing target=") == []


def test_another_command_has_its_own_values(completed):
    line = "python src/separate.py input=x "
    assert completed(f"{line}residual=", "separate") == ["residual=true", "residual=false"]
    assert completed(f"{line}format=", "separate") == ["format=wav", "format=flac"]
    assert completed(f"{line}target=", "separate") == []


def test_fish_gets_one_word_per_line(cli, capfd, monkeypatch):
    monkeypatch.setenv("COMP_LINE", f"{TRAIN}retry=")
    assert cli("train", "-sc", "query=fish") == 0
    assert capfd.readouterr().out == "retry=true\nretry=false\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_is_printed(cli, capfd, shell):
    for what in ("install", "uninstall"):
        assert cli("train", "-sc", f"{what}={shell}") == 0
        assert "complete" in (script := capfd.readouterr().out) or "compdef" in script
        assert "python3" in script


def test_an_unknown_shell_is_refused_in_a_line(cli, capfd):
    assert cli("train", "-sc", "install=tcsh") == 2
    assert "tcsh" in capfd.readouterr().err


def bash(line, folder, python="python"):
    """What bash itself proposes for a line, in a folder with entry points in src/."""
    path = f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    code = (
        f"{BASH}\nCOMP_LINE='{python} {line}'; COMP_POINT=${{#COMP_LINE}}; read -ra COMP_WORDS <<< \"$COMP_LINE\"\n"
        'COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _unmix; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = ["bash", "--norc", "-c", code]
    ended = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout.split()


def test_bash_proposes_what_follows_the_equals_sign():
    assert bash("src/train.py experiment=demo target=v", CONF.parent) == ["vocals"]
    assert bash("src/train.py experiment=demo experi", CONF.parent, sys.executable) == ["experiment="]


def test_a_script_that_is_not_ours_is_not_run_on_tab(tmp_path):
    (tmp_path / "other.py").write_text("open('ran', 'w')\n")
    assert bash("other.py target=", tmp_path) == []
    assert not (tmp_path / "ran").exists()


def test_every_entry_point_has_the_mark_by_which_the_scripts_know_it():
    for command in SCHEMAS:
        assert re.search(MARK, (CONF.parent / "src" / f"{command}.py").read_text(), re.MULTILINE)
