"""docs/reference/files.md names every file of a run and of an evaluation, and every key and column in them."""

import csv
import json
import re
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from short_filters import shorten_filters
from unmix.evaluation import engines
from unmix.experiments.status import Status
from unmix.processes.jobs import Task
from unmix.processes.pool import ChildProcess
from unmix.reports.progress import Line, Progress

PAGE = (Path(__file__).parents[1] / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
WITH_OTHER_METRICS = {"metrics"}  # a key of summary.json that the usual metrics do not need


def documented(heading):
    """Names in the first column of the table below a heading."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall("`(.+?)`", cell)]


def listed(heading, folder):
    """Whether each file in a folder is one of the documented ones, in which `<...>` stands for any name."""
    patterns = [re.sub("<.+?>", "[^/]+", re.escape(name)) for name in documented(heading)]
    matches = [re.compile(pattern + ".*" * pattern.endswith("/")).fullmatch for pattern in patterns]
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return {file: any(match(file) for match in matches) for file in files}


@pytest.fixture(scope="module")
def evaluation(trained, cli):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "bss_eval_blocks", engines.bss_eval_blocks)  # undone at the end
        shorten_filters()
        assert cli("evaluate", f"ckpt={trained}", "evaluation.workers=0", "evaluation.save_estimates=true") == 0
    (path,) = (trained / "eval").iterdir()
    return path


def columns(path):
    return next(csv.reader(path.open(encoding="utf-8")))


def keys(path):
    return list(json.loads(path.read_text(encoding="utf-8")))


def test_every_key_of_a_status_is_documented_in_the_order_of_the_file():
    assert documented("status.json") == [field.name for field in fields(Status)]


def test_every_file_and_key_of_a_run_is_documented(trained):
    run = trained / "vocals-s42"
    assert set(listed("A run", run).values()) == {True}
    assert sorted(columns(run / "metrics.csv")) == sorted(documented("metrics.csv"))
    assert keys(run / "env.json") == documented("env.json")
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert list(content["unmix"]) == documented("Checkpoints")
    assert all(name.startswith("model.") for name in content["state_dict"])


def test_every_file_and_key_of_an_evaluation_is_documented(evaluation):
    assert [file for file, is_listed in listed("An evaluation", evaluation).items() if not is_listed] == []
    assert columns(evaluation / "scores.csv") == documented("scores.csv")
    assert [key for key in documented("summary.json") if key not in WITH_OTHER_METRICS] == keys(
        evaluation / "summary.json"
    )
    assert keys(evaluation / "inputs.json") == documented("inputs.json")
    for path in evaluation.glob("tracks/*.json"):
        assert set(keys(path)) == set(documented("Scores of a track"))


def test_every_column_of_a_leaderboard_is_documented(evaluation, trained, cli):
    out = trained.parents[1]
    assert cli("leaderboard", f"paths.out={out}") == 0
    header = columns(out / "leaderboard.csv")
    assert [name for name in header if "." not in name] == documented("leaderboard.csv")
    assert [name for name in header if "." in name] == [
        f"sdr.{target}" for target in ("vocals", "drums", "bass", "other")
    ]


def test_every_key_of_a_change_of_a_job_is_documented(tmp_path):
    line = Line(1, "lr=1", tmp_path / "runs" / "umx-1" / "vocals-s1", 10, 1234567)
    job = ChildProcess(Task([sys.executable], line.run, tmp_path / "log", {}, lambda: True))
    with Progress([line], [job], tmp_path / "jobs.jsonl"):
        pass
    assert keys(tmp_path / "jobs.jsonl") == documented("jobs.jsonl")
