"""Sweeps: how devices are divided, what is said of jobs, and odd folder names on the real launcher."""

import json

import pytest
import torch

from unmix.composition import compose
from unmix.experiments import status
from unmix.plans import plan_all
from unmix.runs.sweep import Devices


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
    assert [divided.environment("e", slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["0,1", "2,3"]


def test_gpus_that_were_hidden_stay_hidden(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    divided = Devices(plan_all([compose("train", [])]), "auto")
    assert [divided.environment("e", slot)["CUDA_VISIBLE_DEVICES"] for slot in range(2)] == ["5", "7"]


@pytest.mark.parametrize(
    ("slots", "message"), [(3, "2 GPUs a job and 4 GPUs allow 2"), (0, "from 1 on"), ("x", "or auto")]
)
def test_more_slots_than_gpus_allow_are_refused(monkeypatch, slots, message):
    with pytest.raises(ValueError, match=message):
        devices(monkeypatch, 4, slots, 2)


def test_dry_run_shows_every_job_and_writes_nothing(train_arguments, cli, capfd, tmp_path):
    options = [*train_arguments, f"paths.out={tmp_path / 'out'}", "dry_run=true"]
    assert cli("train", "-m", *options, "target=drums", "model.bidirectional=true,false") == 0
    output = capfd.readouterr().out
    assert "2 jobs, none started" in output
    assert output.count("new") == 2
    assert not (tmp_path / "out").exists()


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
    assert "2 failed" in capfd.readouterr().out
    assert cli(*command) == 0, capfd.readouterr()  # neither had made a step, so neither blocks the command
    assert {status.read(path.parent).state for path in out.glob("runs/*/*/status.json")} == {"done"}
    (journal, *_) = sorted(out.glob("sweeps/*/jobs.jsonl"))[-1:]
    assert {json.loads(line)["state"] for line in journal.read_text().splitlines()} >= {"running", "done"}
    capfd.readouterr()
    assert cli(*command) == 0
    assert capfd.readouterr().out.count("done after 1 epoch,") == 2
