"""A checkpoint migrated from schema 1 is bit-identical to the same network in schema 2."""

import numpy as np
import pytest
import soundfile
import torch

import unmix
from unmix.composition import compose
from unmix.models.open_unmix import OpenUnmix
from unmix.runs.candidates import candidates
from unmix.weights import checkpoint
from unmix.weights.migration import migrated

TARGETS = ("vocals", "drums", "bass", "other")
NETWORK = {"hidden_size": 8, "bidirectional": True, "num_channels": 2, "bandwidth_hz": 16000.0, "sample_rate": 44100}
OLD, NEW = "unmix.models.open_unmix.OpenUnmix", "unmix.models.open_unmix.UMX"
STFT = {"_target_": "unmix.dsp.stft.Stft", "fft_size": 512, "hop_size": 128}
DEMO = {"_target_": "unmix.data.demo.write_tree", "_partial_": True, "num_tracks": 24, "seconds": 20, "seed": 0}


def weights_of(target):
    torch.manual_seed(TARGETS.index(target))
    return OpenUnmix(num_bins=257, **NETWORK).state_dict()


def write_first(path, target, data):
    """Write a checkpoint in schema 1."""
    config = {
        "model": {"_target_": OLD, "num_bins": 257, **NETWORK},
        "stft": STFT,
        "data": {**data, "target": target},
        "seed": 42,
    }
    record = {"schema": 1, "target": target, "config": config, "metrics": {"val/loss": 1.0}}
    return save(path, record, {f"model.{name}": value for name, value in weights_of(target).items()})


def write_second(path, target, data):
    """Write the same network in schema 2."""
    config = {"model": {"_target_": NEW, "targets": [target], "stft": STFT, **NETWORK}, "data": data, "seed": 42}
    record = {"schema": 2, "targets": [target], "config": config, "metrics": {"val/loss": 1.0}}
    return save(path, record, {f"model.network.{name}": value for name, value in weights_of(target).items()})


def save(path, record, state):
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": state, "unmix": record}, path)
    return path


@pytest.fixture
def both(tmp_path, musdb_tree):
    """Two folders of the same four networks, in schema 1 and schema 2."""
    data = {
        "_target_": "unmix.data.datamodule.SeparationDataModule",
        "root": str(musdb_tree),
        "name": "musdb18hq",
        "sample_rate": 44100,
        "validation_tracks": ["Actions - One Minute Smile"],
        "num_workers": 0,
    }
    for target in TARGETS:
        write_first(tmp_path / "first" / f"{target}-s42" / "checkpoints" / "best.ckpt", target, data)
        write_second(tmp_path / "second" / f"{target}-s42" / "checkpoints" / "best.ckpt", target, data)
    return tmp_path / "first", tmp_path / "second"


def test_a_migrated_checkpoint_equals_one_of_schema_2(tmp_path):
    data = {"sample_rate": 44100, "name": "x"}
    first = checkpoint.read(write_first(tmp_path / "first.ckpt", "bass", data))
    second = checkpoint.read(write_second(tmp_path / "second.ckpt", "bass", data))
    assert (first.targets, first.config, first.metrics) == (second.targets, second.config, second.metrics)
    assert first.state.keys() == second.state.keys()
    assert all(torch.equal(first.state[name], second.state[name]) for name in first.state)
    assert checkpoint.digest(first.state) == checkpoint.digest(second.state)


def test_migration_leaves_its_arguments_unchanged_and_renames_moved_functions():
    config = {
        "model": {"_target_": OLD, "num_bins": 257},
        "stft": {"fft_size": 512, "hop_size": 128},
        "data": {"target": "bass", "prepare": dict(DEMO)},
    }
    before = repr(config)
    targets, new, state = migrated(("bass",), config, {"fc1.weight": torch.ones(1)})
    assert repr(config) == before
    assert (targets, list(state)) == (["bass"], ["network.fc1.weight"])
    assert new["data"]["prepare"] == {**DEMO, "_target_": "unmix.demo.tree.write_tree"}
    assert "target" not in new["data"]


def test_a_class_unknown_to_schema_1_is_refused(tmp_path):
    path = write_first(tmp_path / "a.ckpt", "bass", {"sample_rate": 44100})
    content = torch.load(path, weights_only=True)
    content["unmix"]["config"]["model"]["_target_"] = "os.system"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"got the class 'os.system', allowed are those of unmix"):
        checkpoint.build_model(checkpoint.read(path))


def test_both_schemas_separate_to_the_same_samples(both, cli, tmp_path):
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.3, 0.3, (9_000, 2)), 44100)
    stems = {}
    for folder in both:
        out = tmp_path / f"stems-{folder.name}"
        assert cli("separate", f"ckpt={folder}", f"input={song}", f"out={out}", "gpus=0", "bits=float") == 0
        stems[folder.name] = {path.name: soundfile.read(path)[0] for path in out.iterdir()}
    assert len(stems["first"]) == 4
    assert all(np.array_equal(stems["first"][name], stems["second"][name]) for name in stems["first"])


def test_both_schemas_are_one_and_the_same_to_an_evaluation(both):
    """Scores are found again by weights, data and settings."""
    first, second = (candidates(compose("evaluate", [f"ckpt={folder}"]))[0] for folder in both)
    assert (first.targets, first.data, first.weights) == (second.targets, second.data, second.weights)


def test_both_schemas_export_to_the_same_separator(both, cli, tmp_path):
    mixture = torch.rand(1, 2, 5000, generator=torch.Generator().manual_seed(0)) - 0.5
    estimates = []
    for folder in both:
        out = tmp_path / f"{folder.name}.safetensors"
        assert cli("export", f"ckpt={folder}", "format=safetensors", f"out={out}") == 0
        estimates.append(unmix.load_separator(out, device="cpu")(mixture))
    assert torch.equal(*estimates)
