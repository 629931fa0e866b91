"""Options that are off by default, tested through `train.py`."""

import json
import re

import pytest
import torch

from unmix import load_separator
from unmix.composition import compose
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS
from unmix.runs.build import make_datamodule
from unmix.training.module import SeparationModule
from unmix.training.profiling import LargestBatch

pytestmark = pytest.mark.slow


def run(cli, train_arguments, out, *arguments):
    assert cli("train", *train_arguments, f"paths.out={out}", "target=drums", "trainer.max_epochs=2", *arguments) == 0
    (folder,) = (out / "runs").glob("*/drums-s42")
    return folder


def read(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)


def test_a_moving_average_is_saved_and_validated(cli, train_arguments, tmp_path, trained):
    averaged = read(run(cli, train_arguments, tmp_path, "callbacks=ema", "callbacks.ema.decay=0.9"))
    plain = read(trained / "drums-s42")["state_dict"]
    assert all(torch.equal(value, plain[name]) for name, value in averaged["current_model_state"].items())
    for name in ("model.network.fc1.weight", "model.network.bn1.running_var"):
        assert not torch.equal(averaged["state_dict"][name], plain[name])
    (folder,) = (tmp_path / "runs").iterdir()
    network = load_separator(folder, "cpu", niter=0).networks["drums"]
    best = read(folder / "drums-s42", "best")["state_dict"]
    assert torch.equal(network.fc1.weight, best["model.network.fc1.weight"]), "the average separates"


def test_a_run_with_a_moving_average_resumes_bit_for_bit(cli, train_arguments, tmp_path):
    options = ["callbacks=ema", "callbacks.ema.decay=0.9", "scheduler=cosine", "scheduler.num_epochs=2"]
    uninterrupted = read(run(cli, train_arguments, tmp_path / "uninterrupted", *options))
    arguments = [*train_arguments, f"paths.out={tmp_path / 'resumed'}", "target=drums", *options]
    assert cli("train", *arguments, "trainer.max_epochs=1") == 0
    resumed = read(run(cli, train_arguments, tmp_path / "resumed", *options))
    for part in ("state_dict", "current_model_state"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in uninterrupted[part].items())
    assert uninterrupted["lr_schedulers"] == resumed["lr_schedulers"]


def test_frozen_statistics_keep_their_initial_values(cli, train_arguments, tmp_path):
    arguments = ["model.trainable_statistics=false", "optimizer=adamw", "trainer.gradient_clip_val=1.0"]
    folder = run(cli, train_arguments, tmp_path, *arguments)
    first = run(cli, train_arguments, tmp_path / "moved", *arguments[1:])
    frozen, moved = read(folder)["state_dict"], read(first)["state_dict"]
    again = run(cli, train_arguments, tmp_path / "seed", *arguments, "optimizer.lr=1e-2")
    assert torch.equal(frozen["model.network.input_mean"], read(again)["state_dict"]["model.network.input_mean"])
    assert not torch.equal(frozen["model.network.input_mean"], moved["model.network.input_mean"])


@pytest.mark.parametrize("num_batches", [8, 6, 2])
def test_a_profile_is_a_table_and_a_trace(cli, train_arguments, tmp_path, capfd, num_batches):
    excluded = ("data.samples_per_track", "trainer.max")
    arguments = [argument for argument in train_arguments if not argument.startswith(excluded)]
    more = [f"paths.out={tmp_path}", f"trainer.limit_train_batches={num_batches}", "data.samples_per_track=8"]
    assert cli("train", *arguments, "debug=profile", *more) == 0
    (folder,) = (tmp_path / "debug").iterdir()
    assert (folder / "fit-profile.txt").is_file()
    if num_batches > 5:
        assert any(
            "lstm" in event.get("name", "") for event in json.loads((folder / "trace.json").read_text())["traceEvents"]
        )
        assert "Self CPU" in capfd.readouterr().out


def test_debug_batch_size_finds_the_largest_batch_that_fits(cli, train_arguments, tmp_path, capfd, monkeypatch):
    step = SeparationModule.training_step

    def training_step(module, batch, batch_idx):
        if len(batch["mixture"]) > 12:
            raise RuntimeError("CUDA out of memory.")  # Lightning recognises this message
        return step(module, batch, batch_idx)

    monkeypatch.setattr(SeparationModule, "training_step", training_step)
    monkeypatch.setattr(LargestBatch, "DEVICES", ("cpu", "cuda"))
    excluded = ("data.samples_per_track", "trainer.max")
    arguments = [argument for argument in train_arguments if not argument.startswith(excluded)]
    more = [f"paths.out={tmp_path}", "data.samples_per_track=100", "callbacks.batch_size.steps_per_trial=1"]
    assert cli("train", *arguments, "debug=batch_size", *more) == 0
    logged = re.search(r"largest batch that fits: data.batch_size=(\d+)", capfd.readouterr().out)
    assert 10 <= int(logged[1]) <= 12, "Lightning leaves a margin"


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_debug_batch_size_is_refused_without_a_gpu(cli, train_arguments, tmp_path, capfd):
    assert cli("train", *train_arguments, "debug=batch_size", f"paths.out={tmp_path}") == 2
    assert "debug=batch_size: got the device cpu, a GPU is needed" in capfd.readouterr().err


@pytest.mark.parametrize("experiment", ["umxhq", "umx"])
def test_an_epoch_of_the_published_recipe_has_344_steps(write_tree, tmp_path, experiment):
    names = [*MUSDB_VALIDATION_TRACKS, *(f"Track {i}" for i in range(86))]  # MUSDB18's 100 training tracks
    root = write_tree(tmp_path / "data", names, num_samples=1)
    cfg = compose("train", [f"experiment={experiment}", f"data.root={root}", "data=musdb18hq"])
    datamodule = make_datamodule(cfg.data)
    datamodule.prepare_data()
    assert (len(datamodule.splits.train), len(datamodule.splits.valid)) == (86, 14)
    assert datamodule.steps_per_epoch * datamodule.batch_size == 5504
    assert datamodule.steps_per_epoch == 344
    assert (cfg.trainer.max_epochs, cfg.callbacks.early_stopping.patience, cfg.model.hidden_size) == (1000, 140, 512)
    assert (cfg.data.segment_seconds, cfg.data.batch_size, cfg.data.samples_per_track) == (6.0, 16, 64)
