"""Progress of a sweep, from status files and processes as they stand at one moment."""

import json
import os
import re
import sys
from io import StringIO
from types import SimpleNamespace

import pytest

from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.processes.jobs import Task
from unmix.processes.pool import ChildProcess
from unmix.reports import progress
from unmix.reports.progress import Line, Progress, View, look


@pytest.fixture
def line(tmp_path):
    return Line(1, "lr=1", tmp_path / "runs" / "umx-1" / "vocals-s1", 10, 1234567)


@pytest.fixture
def job(tmp_path):
    return ChildProcess(Task([sys.executable], tmp_path / "run", tmp_path / "log", {}, lambda: True))


def give_process(job, exit_code=None):
    """Let a job run, or have ended with an exit code."""
    job.process = SimpleNamespace(poll=lambda: exit_code, pid=os.getpid())


def test_a_job_waits_until_it_has_a_process(line, job):
    assert look(line, job) == View("waiting")


@pytest.mark.parametrize(("code", "state"), [(1, "failed"), (75, "interrupted"), (130, "interrupted")])
def test_a_job_that_ended_without_a_folder_failed_or_was_stopped(line, job, code, state):
    give_process(job, code)
    assert look(line, job) == View(state)


def test_a_running_job_shows_epochs_activity_best_and_the_time_left(line, job, monkeypatch):
    give_process(job)
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    status.write(line.run, Status("umx-1", "running", epoch=2, activity="batch 3/9", best=0.25))
    assert look(line, job) == View("running", "epoch 2/10, batch 3/9", "0.2500", "")
    now[0] += 30
    status.write(line.run, Status("umx-1", "running", epoch=5, best=0.125))
    assert look(line, job) == View("running", "epoch 5/10", "0.1250", "50 s"), "10 s an epoch, five are left"


def test_a_job_without_a_limit_shows_neither_a_total_nor_the_time_left(line, job, monkeypatch):
    give_process(job)
    line.max_epochs = None
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    for epoch in (2, 5):
        status.write(line.run, Status("umx-1", "running", epoch=epoch))
        assert look(line, job) == View("running", f"epoch {epoch}", "", "")
        now[0] += 30


def test_a_trained_job_shows_what_its_evaluation_does(line, job):
    give_process(job)
    status.write(line.run, Status("umx-1", "done", epoch=10))
    status.write(
        line.run.parent / "eval" / "a", Status("umx-1", "running", activity="evaluating, 1/2 tracks", pid=os.getpid())
    )
    assert look(line, job).progress == "10 epochs, evaluating, 1/2 tracks"


def test_a_job_that_ended_within_an_epoch_shows_its_steps(line, job):
    give_process(job, 0)
    status.write(line.run, Status("umx-1", "done", epoch=1, step=14, batch=4))
    assert look(line, job).progress == "14 steps"


def test_every_change_is_a_line_and_another_batch_is_none(line, job, tmp_path, capsys, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    journal = tmp_path / "sweep" / "jobs.jsonl"
    with Progress([line], [job], journal) as shown:
        shown.update()
        give_process(job)
        for epoch, activity in ((0, "batch 1/9"), (0, "batch 2/9"), (1, "validating")):
            now[0] += 60
            status.write(line.run, Status("umx-1", "running", epoch=epoch, activity=activity))
            shown.update()
    entries = [json.loads(text) for text in journal.read_text().splitlines()]
    assert [(entry["state"], entry["progress"]) for entry in entries] == [
        ("waiting", ""),
        ("running", "epoch 0/10, batch 1/9"),
        ("running", "epoch 1/10, validating"),
    ]
    assert capsys.readouterr().out.splitlines() == [
        "[1/1] lr=1: running epoch 0/10",
        "[1/1] lr=1: running epoch 1/10, 18 min left",
    ]


def test_the_table_has_a_row_per_job(line, job, tmp_path):
    table = Progress([line], [job], tmp_path / "jobs.jsonl")._table([View("running", "epoch 1/10", "0.5", "1.2 min")])
    cells = {column.header: list(column.cells) for column in table.columns}
    assert cells == {
        "": ["1"],
        "job": ["lr=1"],
        "parameters": ["1,234,567"],
        "state": ["running"],
        "progress": ["epoch 1/10"],
        "best val/loss": ["0.5"],
        "time left": ["1.2 min"],
    }


def test_states_are_counted_in_the_end(line, job, tmp_path, capsys):
    Progress([line], [job], tmp_path / "jobs.jsonl").summarize(["done", "new", "done", "continues"])
    assert capsys.readouterr().out == "2 done, 1 not started, 1 interrupted\n"


class Terminal(StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("stream", "environment", "is_coloured"),
    [(Terminal(), {}, True), (Terminal(), {"NO_COLOR": "1"}, False), (StringIO(), {}, False)],
)
def test_colours_are_for_terminals_whose_user_wants_them(tmp_path, monkeypatch, stream, environment, is_coloured):
    for name, value in {"TERM": "xterm-256color", **environment}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", stream)
    Progress([], [], tmp_path / "jobs.jsonl").summarize(["done"])
    assert "1 done" in re.sub("\x1b\\[[0-9;]*m", "", stream.getvalue())
    assert bool(re.search("\x1b\\[[0-9;]*3[0-9]", stream.getvalue())) == is_coloured
    assert "\x1b" not in stream.getvalue() or stream.isatty()


@pytest.fixture
def many(tmp_path):
    """Nine lines and jobs: the third runs, the fifth failed, the sixth is done, the others wait."""
    lines = [Line(n, f"seed={n}", tmp_path / "runs" / f"vocals-s{n}", 10, 1) for n in range(1, 10)]
    jobs = [ChildProcess(Task([], line.run, tmp_path / "log", {}, lambda: True)) for line in lines]
    for line in lines:
        status.write(line.run, Status("e", "done" if line.number == 6 else "failed", epoch=3))
    for number, code in ((3, None), (5, 1), (6, 0)):
        give_process(jobs[number - 1], code)
    return lines, jobs


def test_only_running_jobs_are_read_again_and_those_that_ended_once(many, tmp_path, monkeypatch):
    read, lines_read = status.read, []
    monkeypatch.setattr(status, "read", lambda run: lines_read.append(int(run.name[-1])) or read(run))
    shown = Progress(*many, tmp_path / "sweep" / "jobs.jsonl")
    with shown:
        for _ in range(3):
            shown.update()
    assert sorted(lines_read) == [3, 3, 3, 3, 5, 6], "the last one at the end"


def test_a_table_that_is_too_long_for_the_terminal_shows_the_jobs_that_matter_and_counts(many, tmp_path, monkeypatch):
    shown = Progress(*many, tmp_path / "jobs.jsonl")
    views = [shown._view(line, job, is_due=True) for line, job in zip(*many, strict=True)]
    monkeypatch.setattr(type(shown.console), "size", SimpleNamespace(height=progress.BORDERS + 3, width=80))
    table = shown._table(views)
    assert list(table.columns[0].cells) == ["3", "5", "1"], "running, failed, then the next ones that wait"
    assert table.caption == "6 waiting, 1 running, 1 failed, 1 done"
    monkeypatch.setattr(type(shown.console), "size", SimpleNamespace(height=progress.BORDERS + 9, width=80))
    table = shown._table(views)
    assert list(table.columns[0].cells) == [str(line.number) for line in many[0]]
    assert table.caption is None


def test_many_running_jobs_take_turns_to_be_read(many, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "MOST_READS", 3)
    for job in many[1]:
        give_process(job)
    read, lines_read = status.read, []
    monkeypatch.setattr(status, "read", lambda run: lines_read.append(int(run.name[-1])) or read(run))
    shown = Progress(*many, tmp_path / "sweep" / "jobs.jsonl")
    shown.journal.parent.mkdir()
    for _ in range(3):
        before = len(lines_read)
        shown.update()
        assert len(lines_read) == before + 3
        assert {view.state for view in shown.shown.values()} == {"running"}
    assert sorted(lines_read) == list(range(1, 10))
    assert {view.progress for view in shown.shown.values()} == {"epoch 3/10", "3 epochs"}, "also of those not read now"
