"""Two gloo processes, the CPU's double of two GPUs: alone, in a sweep, and continued by one."""

import csv
import json
import signal

import pytest
import torch

from command_process import wait_until
from unmix.composition import compose
from unmix.experiments import status
from unmix.runs.build import build_module, make_datamodule
from unmix.weights import checkpoint

VALID = ["Actions - One Minute Smile", "Leaf - Summerghost", "Meaxic - Take A Step"]  # do not divide by two
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arguments(train_arguments, write_tree, tmp_path_factory):
    root = write_tree(tmp_path_factory.mktemp("ddp") / "tree", ["A - B", "C - D", *VALID], ["T - T"])
    kept = [one for one in train_arguments if not one.startswith(("hydra/", "data.root", "data.validation"))]
    return [*kept, f"data.root={root}", f"data.validation_tracks=[{','.join(VALID)}]", "target=bass"]


def only_run(out):
    (run,) = out.glob("runs/*/bass-s42")
    return run


def rows_of(run):
    return list(csv.DictReader((run / "metrics.csv").open()))


def test_a_sweep_of_distributed_jobs_runs_each_once_and_validates_every_track_once(arguments, cli, capfd, tmp_path):
    assert cli("train", "-m", *arguments, "trainer=ddp_cpu", f"paths.out={tmp_path}") == 0, capfd.readouterr()
    run = only_run(tmp_path)
    assert status.read(run).state == "done"
    assert len(list((tmp_path / "sweeps").iterdir())) == 1
    last = rows_of(run)[-1]
    assert (len(rows_of(run)), last["val/sdr_tracks"]) == (2, "3")

    # One process gets the same validation loss from the saved weights.
    cfg = compose("train", [*arguments, f"paths.out={tmp_path}"])
    datamodule, module = make_datamodule(cfg.data), build_module(cfg)
    module.model.load_state_dict(checkpoint.read(run / "checkpoints" / "last.ckpt").state)
    module.eval()
    losses = []
    with torch.no_grad():
        for batch in datamodule.val_dataloader():
            track = datamodule.on_after_batch_transfer(batch, 0)
            losses.append(module.objective(module.model, track["mixture"], track)["magnitude_mse"])
    assert float(last["val/loss"]) == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_a_run_begun_by_two_processes_is_continued_by_one(arguments, start, cli, capfd, tmp_path):
    options, log = [*arguments, f"paths.out={tmp_path}", "data.samples_per_track=6"], tmp_path / "log"
    process = start("train", *options, "trainer.max_epochs=1000", "trainer=ddp_cpu", log=log)
    wait_until(lambda: epoch_of(tmp_path) >= 2 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 75, log.read_text()
    run = only_run(tmp_path)
    assert status.read(run).state == "interrupted"
    epochs = status.read(run).epoch
    assert cli("train", *options, f"trainer.max_epochs={epochs + 2}") == 0
    assert "continues at epoch" in capfd.readouterr().out
    rows = rows_of(run)
    assert [int(row["step"]) for row in rows] == [6 * (epoch + 1) for epoch in range(epochs + 2)]


def epoch_of(out):
    """Epochs that the only run has finished."""
    return max((json.loads(path.read_text())["epoch"] for path in out.glob("runs/*/*/status.json")), default=0)


def test_distributed_jobs_within_one_process_are_refused_with_the_reason(arguments, cli, capfd, tmp_path):
    options = [*arguments, f"paths.out={tmp_path / 'out'}", "trainer=ddp_cpu", "hydra/launcher=basic"]
    assert cli("train", "-m", *options) == 2
    assert "would start the whole sweep again; leave hydra/launcher=process" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_batch_that_ranks_cannot_share_is_refused(arguments, cli, capfd, tmp_path):
    options = [*arguments, f"paths.out={tmp_path / 'out'}", "trainer=ddp_cpu", "data.batch_size=15"]
    assert cli("train", *options) == 2
    assert "data.batch_size: got 15, which does not divide by the 2 ranks" in capfd.readouterr().err
    assert not list(tmp_path.iterdir())
