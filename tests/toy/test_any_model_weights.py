"""What a model from outside of this project learned is separated with, scored, exported and listed."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from my_package.model import MyModel, MyOneTargetModel

import unmix
from peak_memory import peaks_of_separations
from unmix.weights import checkpoint
from unmix.weights.find import find_checkpoints

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PLUGINS = "plugins=[my_package]"
SOURCES = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def evaluation(toy_run, cli, tmp_path_factory):
    """Folder of the scores of `toy_run`."""
    logger = ["--config-dir", "my_conf", "logger=csv", f"logger.csv.save_dir={tmp_path_factory.mktemp('log')}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HERE)
        assert cli("evaluate", *logger, f"ckpt={toy_run.parent}", PLUGINS) == 0
    (folder,) = toy_run.parent.glob("eval/*")
    return folder


def test_it_is_evaluated_by_museval(toy_run, evaluation):
    rows = list(csv.DictReader((evaluation / "scores.csv").open()))
    ours = [row for row in rows if row["method"] == toy_run.parent.name]
    assert [row["target"] for row in ours] == list(SOURCES)
    assert all(np.isfinite(float(row["SDR"])) for row in ours)


def test_it_is_listed_beside_a_run_of_open_unmix(toy_run, evaluation, small, cli, capfd):
    out = f"paths.out={toy_run.parents[2]}"
    umx = [
        "model.hidden_size=8",
        "model.bandwidth_hz=4000",
        "model.stft.fft_size=256",
        "model.stft.hop_size=64",
        "trainer.max_epochs=1",
    ]
    assert cli("train", "experiment=demo", "name=umx", *small, *umx, "target=bass", out) == 0
    assert cli("leaderboard", out) == 0
    rows = list(csv.DictReader((toy_run.parents[2] / "leaderboard.csv").open()))
    runs = {row["target"]: row for row in rows if row["kind"] == "run"}
    assert set(runs) == {"all", "bass"}
    assert all(row["state"] == "done" and float(row["val_loss"]) > 0 for row in runs.values())
    (scored,) = [row for row in rows if row["kind"] == "evaluation"]
    assert all(np.isfinite(float(scored[f"sdr.{source}"])) for source in SOURCES)


def test_a_song_of_another_rate_is_separated(toy_run, cli, song):
    assert cli("separate", f"ckpt={toy_run}", PLUGINS, f"input={song}", "residual=true", "bits=float", "gpus=0") == 0
    stems = {name: soundfile.read(song.with_suffix(f".{name}.wav")) for name in (*SOURCES, "residual")}
    assert {(samples.shape, rate) for samples, rate in stems.values()} == {((44100, 2), 44100)}
    total = sum(samples for samples, _ in stems.values())
    assert np.abs(total - soundfile.read(song)[0]).max() < 1e-5


def test_what_separate_writes_is_what_the_model_gives(toy_run, cli, tmp_path):
    mixture = torch.rand(2, 9000, generator=torch.Generator().manual_seed(0)) - 0.5
    soundfile.write(tmp_path / "song.wav", mixture.T.numpy(), 8000, subtype="FLOAT")
    options = ["bits=float", "gpus=0", "separator.chunk_seconds=2", "targets=[drums]"]
    assert cli("separate", f"ckpt={toy_run}", PLUGINS, f"input={tmp_path / 'song.wav'}", *options) == 0
    model = checkpoint.build_model(checkpoint.read(toy_run / "checkpoints" / "best.ckpt"), ["my_package"])
    with torch.no_grad():  # a chunk ends in silence, which the network sees as the end of a convolution
        expected = model(torch.nn.functional.pad(mixture, (0, 7000))[None])[0, 1, :, :9000]
    stem = torch.from_numpy(soundfile.read(tmp_path / "song.drums.wav", dtype="float32")[0].T)
    assert (stem - expected).abs().max() < 1e-6


def test_ten_minutes_are_separated_in_the_memory_of_ten_seconds(toy_run, tmp_path):
    """The stems alone would take 154 MB."""
    block = np.random.default_rng(0).integers(-9000, 9000, (10 * 8000, 2), dtype=np.int16)
    songs = [tmp_path / "short.wav", tmp_path / "long.wav"]
    for song, repeats in zip(songs, (1, 60), strict=True):
        soundfile.write(song, np.tile(block, (repeats, 1)), 8000)
    short, long = peaks_of_separations(songs, f"ckpt={toy_run}", "plugins=[my_package]")
    assert long - short < 40, f"{short:.0f} MB for ten seconds, {long:.0f} MB for ten minutes"
    assert soundfile.info(tmp_path / "long.bass.wav").frames == 60 * 80_000


def test_it_is_exported_to_safetensors_and_read_back_equal(toy_run, cli, tmp_path, refused):
    out = tmp_path / "toy.safetensors"
    assert "plugins=[my_package]" in refused("export", f"ckpt={toy_run}", "format=safetensors", f"out={out}")
    message = refused("export", f"ckpt={toy_run}", PLUGINS, f"out={tmp_path / 'umx'}")
    assert "format=safetensors" in message
    assert cli("export", f"ckpt={toy_run}", PLUGINS, "format=safetensors", f"out={out}") == 0
    before, after = find_checkpoints(toy_run)["bass"], find_checkpoints(out)["bass"]
    assert (before.targets, before.config["model"]) == (after.targets, after.config["model"])
    assert before.state.keys() == after.state.keys()
    assert all(torch.equal(before.state[name], after.state[name]) for name in before.state)
    mixture = torch.rand(1, 2, 5000)
    first, second = (
        unmix.load_separator(path, device="cpu", plugins=["my_package"])(mixture) for path in (toy_run, out)
    )
    assert torch.equal(first, second)


@pytest.fixture
def mixed(write_checkpoint, tmp_path):
    """Checkpoints of two models of one target each, of two classes, and of one of two targets."""
    return [
        write_checkpoint(tmp_path / "a" / "bass.ckpt", ["bass"], width=3),
        write_checkpoint(tmp_path / "b" / "vocals.ckpt", ["vocals"], "MyOneTargetModel"),
        write_checkpoint(tmp_path / "c" / "rest.ckpt", ["other", "drums"]),
    ]


def test_models_of_one_and_of_two_targets_make_one_separator(mixed, cli, tmp_path):
    separator = unmix.load_separator(mixed, device="cpu", plugins=["my_package"])
    assert separator.targets == SOURCES
    mixture = torch.rand(1, 2, 5000) - 0.5
    bass, vocals, rest = (checkpoint.build_model(checkpoint.read(path), ["my_package"]) for path in mixed)
    assert (type(bass), type(vocals)) == (MyModel, MyOneTargetModel)
    with torch.no_grad():
        other, drums = rest(mixture)[0]
        expected = torch.stack([vocals(mixture)[0, 0], drums, bass(mixture)[0, 0], other])
    assert torch.equal(separator(mixture)[0], expected)


@pytest.mark.parametrize("niter", [0, 1])
def test_models_of_one_and_of_two_targets_separate_a_song(mixed, cli, song, niter):
    ckpt = f"ckpt=[{','.join(map(str, mixed))}]"
    assert cli("separate", ckpt, PLUGINS, f"separator.niter={niter}", f"input={song}", "gpus=0") == 0
    assert all(soundfile.info(song.with_suffix(f".{name}.wav")).frames == 44100 for name in SOURCES)


def test_models_of_one_and_of_two_targets_are_evaluated_together(mixed, cli, tmp_path):
    ckpt = f"ckpt=[{','.join(map(str, mixed))}]"
    assert cli("evaluate", ckpt, PLUGINS, f"paths.out={tmp_path / 'out'}") == 0
    (summary,) = (tmp_path / "out").glob("evaluations/*/summary.json")
    bass, vocals, rest = map(str, mixed)
    expected = {"vocals": vocals, "drums": rest, "bass": bass, "other": rest}
    assert json.loads(summary.read_text())["checkpoints"] == expected


def test_the_wiener_filter_shares_the_mixture_among_any_models(mixed):
    separator = unmix.load_separator(mixed, device="cpu", plugins=["my_package"], niter=1)
    mixture = torch.rand(1, 2, 20_000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert (separator(mixture).sum(dim=1) - mixture).abs().max() < 1e-4
    blocks = list(separator.stream(lambda start, stop: mixture[0, :, start:stop], 20_000))
    assert (torch.cat(blocks, dim=-1).sum(dim=0) - mixture[0]).abs().max() < 1e-4
