"""Checkpoints are complete or absent, damage is detected, and weights that are not finite are never saved."""

import csv
import logging
import shutil

import pytest
import torch

from unmix.experiments import status
from unmix.training import checkpoints
from unmix.training.checkpoints import SafeCheckpointIO, find_resumable
from unmix.training.module import SeparationModule


@pytest.fixture
def folder(trained, tmp_path):
    return shutil.copytree(trained / "drums-s42" / "checkpoints", tmp_path / "checkpoints")


def flip(path, position):
    """Flip all bits of one byte of a file."""
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)


def test_the_last_and_the_previous_checkpoint_are_kept(folder):
    assert find_resumable(folder).path.name == "last.ckpt"
    assert find_resumable(folder).record["position"] == [2, 0]
    (folder / "last.ckpt").unlink()  # killed between the two renames
    assert find_resumable(folder).path.name == "previous.ckpt"
    assert find_resumable(folder).record["position"] == [1, 0]
    assert find_resumable(folder / "nowhere") is None


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_byte_anywhere_is_detected_or_harmless(folder, share, caplog):
    path = folder / "last.ckpt"
    before = torch.load(path, weights_only=True)["state_dict"]
    flip(path, int(share * path.stat().st_size))
    with caplog.at_level(logging.WARNING):
        resumable = find_resumable(folder)
    if resumable.path == path:
        assert all(torch.equal(value, before[f"model.{name}"]) for name, value in resumable.state.items())
    else:
        assert resumable.path.name == "previous.ckpt"
        assert "is damaged" in caplog.text
        assert "resuming from previous.ckpt" in caplog.text


def test_a_flipped_weight_is_detected(folder):
    path = folder / "last.ckpt"
    weights = torch.load(path, weights_only=True)["state_dict"]["model.network.fc1.weight"].numpy().tobytes()
    flip(path, path.read_bytes().index(weights) + 1000)
    assert find_resumable(folder).path.name == "previous.ckpt"


def test_truncated_checkpoints_are_refused_when_none_is_intact(folder):
    for name in ("last.ckpt", "previous.ckpt"):
        (folder / name).write_bytes((folder / name).read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"no checkpoint to resume from; fresh=true starts anew"):
        find_resumable(folder)


def test_a_full_disk_leaves_the_previous_checkpoint_intact(tmp_path):
    path = tmp_path / "last.ckpt"
    SafeCheckpointIO().save_checkpoint({"value": 1}, path)

    def fill(content, file):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.torch, "save", fill)
        with pytest.raises(OSError, match=r"No space left on device\); the checkpoint before it is intact"):
            SafeCheckpointIO().save_checkpoint({"value": 2}, path)
    assert torch.load(path, weights_only=True) == {"value": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def run_of(out):
    (run,) = out.glob("runs/*/drums-s42")
    return run


@pytest.fixture
def command(train_arguments, tmp_path):
    return [*train_arguments, f"paths.out={tmp_path}", "target=drums", "trainer.max_epochs=3"]


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run_and_is_never_saved(command, cli, capfd, monkeypatch, tmp_path):
    original = SeparationModule.training_step

    def poisoned(module, batch, batch_idx):
        if module.current_epoch == 1:
            batch = {name: values * float("nan") for name, values in batch.items()}
        return original(module, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(SeparationModule, "training_step", poisoned)
        assert cli("train", *command) == 1
    message = capfd.readouterr().err
    assert "train/loss is nan after step 4, no checkpoint was written; lower optimizer.lr" in message
    run = run_of(tmp_path)
    assert status.read(run).state == "failed"
    for name in ("best", "last"):
        content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert content["unmix"]["position"] == [1, 0]
        assert all(bool(value.isfinite().all()) for value in content["state_dict"].values())
    # The same command prints the reason; retry=true resumes the run.
    assert cli("train", *command) == 2
    assert "failed (train/loss is nan after step 4" in (message := capfd.readouterr().err)
    assert "retry=true tries again" in message
    assert cli("train", *command, "retry=true") == 0
    assert [row["epoch"] for row in csv.DictReader((run / "metrics.csv").open())] == ["0", "1", "2"]


@pytest.mark.slow
def test_a_full_disk_during_training_is_reported_and_the_run_resumes_later(command, cli, capfd, monkeypatch, tmp_path):
    original, calls = torch.save, []

    def save(content, file):
        calls.append(content)
        if len(calls) == 4:  # last.ckpt of the second epoch
            raise OSError(28, "No space left on device")
        original(content, file)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.torch, "save", save)
        assert cli("train", *command) == 2
    assert "No space left on device" in capfd.readouterr().err
    assert status.read(run_of(tmp_path)).state == "failed"
    assert cli("train", *command, "retry=true") == 0
    assert status.read(run_of(tmp_path)).state == "done"


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "garbage\n", "epoch,step,val/loss\n0,1,2\n7,1,2\n"])
def test_damaged_metrics_are_refused(command, cli, capfd, tmp_path, text):
    assert cli("train", *command, "trainer.max_epochs=2") == 0
    (run_of(tmp_path) / "metrics.csv").write_text(text)
    assert cli("train", *command, "trainer.max_epochs=3") == 2
    assert "metrics.csv: damaged, it needs a row for each of the 2 finished epochs" in capfd.readouterr().err


@pytest.mark.slow
def test_a_half_written_row_of_an_unfinished_epoch_is_removed(command, cli, tmp_path):
    assert cli("train", *command, "trainer.max_epochs=2") == 0
    path = run_of(tmp_path) / "metrics.csv"
    rows = path.read_text()
    path.write_text(rows + "2,6,0.0")
    assert cli("train", *command) == 0
    assert path.read_text().startswith(rows)
    assert len(path.read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_run_that_stopped_early_stays_done_when_max_epochs_grows(command, cli, capfd, tmp_path):
    options = [*command, "callbacks.early_stopping.patience=1", "+callbacks.early_stopping.min_delta=1000"]
    assert cli("train", *options, "trainer.max_epochs=50") == 0
    assert "early stopping" in capfd.readouterr().out
    stopped = status.read(run_of(tmp_path))
    assert (stopped.state, stopped.stopped_early, stopped.epoch) == ("done", True, 2)
    assert cli("train", *options, "trainer.max_epochs=100") == 0
    assert "done after 2 epochs" in capfd.readouterr().out


@pytest.mark.slow
def test_a_run_killed_between_early_stopping_and_its_last_status_stays_stopped(command, cli, tmp_path):
    options = [*command, "callbacks.early_stopping.patience=1", "+callbacks.early_stopping.min_delta=1000"]
    assert cli("train", *options, "trainer.max_epochs=50") == 0
    run = run_of(tmp_path)
    status.write(run, status.read(run).beat(state="running", pid_started=1.0))
    before = (run / "checkpoints" / "last.ckpt").read_bytes()
    assert cli("train", *options, "trainer.max_epochs=50") == 0
    assert status.read(run).state == "done"
    assert (run / "checkpoints" / "last.ckpt").read_bytes() == before
