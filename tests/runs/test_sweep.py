"""Sweeps: how devices are divided, what is said of jobs, and odd folder names on the real launcher."""

import json
import os
import signal
import sys
from types import ModuleType

import pytest
import torch
import yaml
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper

from unmix.composition import compose
from unmix.errors import JobFailed
from unmix.experiments import status
from unmix.plans import plan_all
from unmix.runs import inspection, preflight, sweep, train
from unmix.runs.devices import Devices


def devices(monkeypatch, count, slots, gpus="null"):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Devices(plan_all([compose("train", [f"trainer.gpus={gpus}"])]), slots)


@pytest.mark.parametrize(
    ("count", "gpus", "slots", "expected"),
    [
        (0, "null", "auto", 1),
        (0, "0", 3, 3),
        (4, "null", "auto", 4),
        (4, "2", "auto", 2),
        (4, "1", 2, 2),
        (4, "0", "auto", 1),
    ],
)
def test_slots_follow_from_the_machine_and_the_command(monkeypatch, count, gpus, slots, expected):
    assert devices(monkeypatch, count, slots, gpus).slots == expected


def test_every_slot_has_gpus_of_its_own(monkeypatch):
    divided = devices(monkeypatch, 4, "auto", 2)
    assert [divided.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0,1", "2,3"]


def test_gpus_that_were_hidden_stay_hidden(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    divided = Devices(plan_all([compose("train", [])]), "auto")
    assert [divided.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["5", "7"]


@pytest.mark.parametrize(
    ("slots", "message"), [(3, "2 GPUs a job and 4 GPUs allow 2"), (0, "from 1 on"), ("x", "or auto")]
)
def test_more_slots_than_gpus_allow_are_refused(monkeypatch, slots, message):
    with pytest.raises(ValueError, match=message):
        devices(monkeypatch, 4, slots, 2)


@pytest.mark.parametrize(("limit", "expected"), [(7, 7), (-1, None)])
def test_an_unlimited_length_has_no_number_of_epochs(limit, expected):
    assert sweep._num_epochs(compose("train", [f"trainer.max_epochs={limit}"])) == expected


def test_dry_run_shows_every_job_and_writes_nothing(train_arguments, cli, capfd, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "dry_run=true"]
    assert cli("train", "-m", *options, "target=drums", "model.bidirectional=true,false") == 0
    output = capfd.readouterr().out
    assert "2 jobs, none started" in output
    assert output.count("new") == 2
    assert not (tmp_path / "out").exists()


def test_what_jobs_have_in_common_is_checked_once(train_arguments, cli, capfd, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(inspection, "num_parameters", lambda module: made.append("count") or 1)
    for name in ("check_model", "make_datamodule"):
        check = getattr(preflight, name)
        monkeypatch.setattr(preflight, name, lambda cfg, name=name, check=check: made.append(name) or check(cfg))
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "dry_run=true"]
    assert cli("train", "-m", *options, "seed=1,2,3", "model.num_layers=1,2") == 0, capfd.readouterr()
    assert sorted(made) == ["check_model"] * 2 + ["count"] * 2 + ["make_datamodule"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("model.hidden_size=16,17", "job 2 of 2 (model.hidden_size=17): model.hidden_size: got 17"),
        ("data.segment_seconds=0.5,60", "job 2 of 2 (data.segment_seconds=60): data.segment_seconds: got 60 s"),
        ("callbacks.early_stopping.monitor=val/loss,val/los", "job 2 of 2 (callbacks.early_stopping.monitor=val/los)"),
        ("optimizer.lr=0.1,x", "job 2 of 2 (optimizer.lr=x): optimizer.lr: got 'x'"),
        ('init_from="a.ckpt","b.ckpt"', 'job 1 of 2 (init_from="a.ckpt"): init_from: a.ckpt does not exist'),
        ("+model.extra=1,2", "train: model.extra: got 'extra', allowed targets"),
    ],
)
def test_a_job_of_a_sweep_that_is_wrong_is_named(train_arguments, cli, capfd, tmp_path, wrong, message):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "dry_run=true"]
    assert cli("train", "-m", *options, wrong) == 2
    assert message in capfd.readouterr().err


def test_dry_run_warns_of_data_without_test_tracks(train_arguments, cli, capfd, tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ["Actions - One Minute Smile", "Other Band - Song"])
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", f"data.root={root}", "dry_run=true"]
    assert cli("train", *options) == 0
    assert "no track in test" not in "".join(capfd.readouterr())  # nothing would be evaluated anyway
    assert cli("train", *options, "evaluation.after_training=true") == 0
    output = "".join(capfd.readouterr())
    assert "1 job, none started" in output
    assert output.count(f"data.root: {root} has no track in test, so nothing is evaluated") == 1


@pytest.mark.slow
def test_a_sweep_runs_in_an_oddly_named_folder_and_a_failed_job_stops_no_other(
    train_arguments, cli, capfd, monkeypatch, tmp_path
):
    out, broken = tmp_path / "It's (my) = déjà, vu & co #1", tmp_path / "data"
    options = [one for one in train_arguments if not one.startswith("hydra/")] + [f"paths.out={out}", "slots=2"]
    command = ["train", "-m", *options, "target=drums,bass", "trainer.max_epochs=1"]
    broken.mkdir()
    (broken / "statistics").touch()  # where a folder should be: both jobs fail
    with monkeypatch.context() as patch:
        patch.setenv("UNMIX_DATA", str(broken))
        assert cli(*command) == 1
    printed = capfd.readouterr()
    assert "2 failed" in printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("train: 2 of 2 jobs failed; ")
    assert "Traceback" not in printed.out
    assert cli(*command) == 0, capfd.readouterr()  # neither had made a step, so neither blocks the command
    assert {status.read(path.parent).state for path in out.glob("runs/*/*/status.json")} == {"done"}
    (journal, *_) = sorted(out.glob("sweeps/*/jobs.jsonl"))[-1:]
    assert {json.loads(line)["state"] for line in journal.read_text().splitlines()} >= {"running", "done"}
    names = {yaml.safe_load(path.read_text())["sweep_name"] for path in out.glob("runs/*/*/config.yaml")}
    assert names == {journal.parent.name}, "jobs share the name of the sweep's folder"
    capfd.readouterr()
    assert cli(*command) == 0
    assert capfd.readouterr().out.count("done after 1 epoch,") == 2


def fail_at(target, error):
    """Let the training of a target fail."""
    make = train.make_module

    def failing(cfg, datamodule):
        if cfg.target == target:
            raise error
        return make(cfg, datamodule)

    return failing


@pytest.fixture
def sweep_here(train_arguments, cli, capfd, tmp_path):
    """Exit code and output of a sweep over three targets in this process."""

    def run(*arguments):
        command = ["-m", *train_arguments, f"paths.out={tmp_path / 'out'}", "trainer.max_epochs=1"]
        code = cli("train", *command, "target=drums,bass,other", *arguments)
        return code, capfd.readouterr()

    return run


@pytest.mark.slow
def test_a_failed_job_of_a_sweep_in_this_process_is_said_in_one_line_and_stops_no_other(sweep_here, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(train, "make_module", fail_at("bass", OSError("the disk is full")))
        code, printed = sweep_here()
    assert code == 1
    assert "2 done, 1 failed, 0 not started" in printed.out
    assert "[2/3] failed: the disk is full" in printed.out
    assert printed.err.splitlines() == ["train: 1 of 3 jobs failed; target=bass: the disk is full"]
    code, printed = sweep_here("retry=true")
    assert code == 0
    assert "1 done, 0 failed, 0 not started" in printed.out


@pytest.mark.slow
def test_a_defect_in_a_job_is_shown_with_its_traceback(sweep_here, monkeypatch):
    monkeypatch.setattr(train, "make_module", fail_at("drums", KeyError("a defect")))
    code, printed = sweep_here("fail_fast=true")
    assert code == 1
    assert "0 done, 1 failed, 2 not started" in printed.out
    assert printed.out.count("Traceback") == 1
    assert printed.err.splitlines() == ["train: 1 of 3 jobs failed; target=drums: 'a defect'"]


@pytest.mark.slow
def test_a_sweep_in_this_process_ends_when_it_is_stopped(sweep_here, monkeypatch):
    monkeypatch.setattr(train, "make_module", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        sweep_here()
    assert ended.value.code == 130


class OneJobSweeper(Sweeper):
    """A sweeper of another package: it runs one job, and fails with it."""

    __module__ = "hydra_plugins.one_job"

    def setup(self, **context):
        self.launcher = Plugins.instance().instantiate_launcher(**context)

    def sweep(self, arguments):
        (returned,) = self.launcher.launch([arguments], 0)
        return returned.return_value


def test_a_failed_job_of_another_sweeper_is_said_without_a_traceback(
    train_arguments, cli, capfd, monkeypatch, tmp_path
):
    module = ModuleType(OneJobSweeper.__module__)
    module.OneJobSweeper = OneJobSweeper
    monkeypatch.setitem(sys.modules, OneJobSweeper.__module__, module)
    Plugins.instance().register(OneJobSweeper)
    (tmp_path / "hydra" / "sweeper").mkdir(parents=True)
    text = "_target_: hydra_plugins.one_job.OneJobSweeper\n"
    (tmp_path / "hydra" / "sweeper" / "one_job.yaml").write_text(text)
    monkeypatch.setattr("unmix.runs.sweep.launch", lambda *_, **__: [JobFailed("drums-s42: the disk is full")])
    options = [one for one in train_arguments if not one.startswith("hydra/")] + [f"paths.out={tmp_path / 'out'}"]
    command = ["-m", "--config-dir", str(tmp_path), *options, "hydra/sweeper=one_job", "target=drums"]
    assert cli("train", *command) == 1
    assert capfd.readouterr().err.splitlines() == ["train: drums-s42: the disk is full"]
