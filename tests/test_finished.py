"""A finished evaluation is printed from small files, if these certainly hold the answer to a command."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from short_filters import shorten_filters
from unmix import finished
from unmix.composition import compose
from unmix.evaluation import engines
from unmix.weights import files

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def experiment(trained, cli, tmp_path_factory):
    """A copy of the trained experiment, evaluated by a command that can be told from others. Read only."""
    copy = shutil.copytree(trained, tmp_path_factory.mktemp("finished") / "runs" / trained.name)
    shutil.rmtree(copy / "eval", ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "bss_eval_blocks", engines.bss_eval_blocks)
        shorten_filters()
        assert cli("evaluate", f"ckpt={copy}", "evaluation.gpus=0") == 0
    return copy


@pytest.fixture
def own_experiment(experiment, tmp_path):
    """A copy of it to change, whose files are known to its evaluation."""
    copy = shutil.copytree(experiment, tmp_path / "runs" / experiment.name)
    path = folder_of(copy) / finished.INPUTS
    read = json.loads(path.read_text())
    read["files"] = {str(file): files.stamp(file) for file in copy.glob("*/checkpoints/best.ckpt")}
    path.write_text(json.dumps(read))
    return copy


def find(experiment, *options):
    return finished.find(compose("evaluate", [f"ckpt='{experiment}'", *options]))


def folder_of(experiment):
    (path,) = (experiment / "eval").iterdir()
    return path


def table(text):
    return [line for line in text.splitlines() if re.match("[┃│]|report: ", line)]


def test_the_scores_are_those_of_the_whole_command_whatever_its_words(experiment, musdb_tree, cli, capfd, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(finished, "find", lambda _: None)
        assert cli("evaluate", f"ckpt={experiment}") == 0
    whole = table(capfd.readouterr().out)
    assert len(whole) == 4 + 2, "a heading, four targets, and the report"
    monkeypatch.setattr("unmix.config._prepare", lambda *_, **__: pytest.fail("prepared"))
    data = ["data=musdb18hq", f"data.root={musdb_tree}", "data.validation_tracks=[Actions - One Minute Smile]"]
    for options in (
        [],
        ["evaluation.workers=2", "evaluation.engine=museval"],
        ["evaluation.gpus=null", "subset=test"],
        ["paths.out=else"],
        data,
    ):
        assert cli("evaluate", f"ckpt={experiment}/", *options) == 0
        assert table(capfd.readouterr().out.replace("//", "/")) == whole, options


def test_a_pattern_with_one_match_is_that_experiment(experiment, cli, capfd, monkeypatch):
    pattern = experiment.with_name(f"{experiment.name[:-1]}*")
    assert find(pattern) == folder_of(experiment)
    monkeypatch.setattr(finished, "find", lambda _: None)
    assert cli("evaluate", f'ckpt="{pattern}"') == 0
    assert f"report: {folder_of(experiment)}" in capfd.readouterr().out


def test_torch_is_not_imported(experiment):
    source = Path(finished.__file__).parents[1]
    code = f"""
import sys
sys.path.insert(0, {str(source)!r})
sys.argv = ["evaluate.py", {f"ckpt={experiment}"!r}]
from unmix import config
code = config.main("evaluate")
print(code, [name for name in ("torch", "pytorch_lightning") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout.splitlines()[-1] == "0 []", done.stdout + done.stderr
    assert "vocals" in done.stdout


@pytest.mark.parametrize(
    "option",
    [
        "separator.niter=0",
        "separator.niter=true",
        "subset=valid",
        "subset=tests",
        "logger=tensorboard",
        "plugins=[my_package]",
        "evaluation.residual=true",
        "evaluation.scenario=vocals",
        "evaluation.compare=umxhq",
    ],
)
def test_another_question_is_answered_by_the_whole_command(experiment, option):
    assert find(experiment) == folder_of(experiment)
    assert find(experiment, option) is None


@pytest.mark.parametrize(
    "ckpt", ["umxhq", "oracle:irm1", "wandb:a/b/c:best", "nowhere", "{0}/*/checkpoints/best.ckpt", "{0}/drums-s42"]
)
def test_other_checkpoints_are_looked_up(experiment, ckpt):
    assert find(ckpt.format(experiment)) is None


def replace_by_a_copy(experiment, _):
    path = experiment / "drums-s42" / "checkpoints" / "best.ckpt"
    path.rename(path.with_name("old"))
    shutil.copy2(path.with_name("old"), path)


def add_a_seed(experiment, _):
    shutil.copytree(experiment / "drums-s42", experiment / "drums-s43")


def remove_scores(experiment, _):
    next((folder_of(experiment) / "tracks").iterdir()).unlink()


def interrupt(experiment, _):
    path = folder_of(experiment) / "status.json"
    path.write_text(path.read_text().replace('"done"', '"interrupted"'))


def lengthen_a_track(_, data):
    path = next(data.glob("test/*/vocals.wav"))
    path.write_bytes(path.read_bytes() + bytes(4))


def remove_a_stem(_, data):
    next(data.glob("test/*/vocals.wav")).unlink()


@pytest.mark.parametrize(
    "change", [replace_by_a_copy, add_a_seed, remove_scores, interrupt, lengthen_a_track, remove_a_stem]
)
def test_after_a_change_the_whole_command_runs(own_experiment, musdb_tree, tmp_path, change):
    data = shutil.copytree(musdb_tree, tmp_path / "data")
    options = ["data=musdb18hq", f"data.root='{data}'", "data.validation_tracks=[Actions - One Minute Smile]"]
    assert find(own_experiment, *options) == folder_of(own_experiment)
    change(own_experiment, data)
    assert find(own_experiment, *options) is None


def test_the_report_keeps_the_command_that_made_the_scores(own_experiment, experiment, cli):
    where = folder_of(own_experiment)
    before = json.loads((where / "summary.json").read_text())
    assert f"ckpt='{experiment}'" in before["command"]
    assert cli("evaluate", f"ckpt={own_experiment}", "evaluation.compare=umxhq") == 0
    after = json.loads((where / "summary.json").read_text())
    assert "umxhq" in after["published"]
    assert after["command"] == before["command"]
    page = (where / "report.html").read_text()
    assert "umxhq as published" in page
    assert "evaluation.gpus=0" in page
    assert "evaluation.compare" not in page
