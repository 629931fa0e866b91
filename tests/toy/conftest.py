"""Fixtures of a user who brings a package and configurations of their own, and works in the folder that holds both."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from my_package import model as model_module

HERE = Path(__file__).parent
SOURCES = ("vocals", "drums", "bass", "other")
RATE = 8000
ALL = ["experiment=demo", "plugins=[my_package]", "model=my_model", "objective=my_objective", "target=all"]


@pytest.fixture(autouse=True)
def working_directory(monkeypatch):
    """The user's folder, where `my_package` can be imported and `my_conf` be named."""
    monkeypatch.chdir(HERE)


@pytest.fixture(scope="session")
def small_tree(tmp_path_factory):
    """MUSDB18-HQ's layout at 8 kHz: two tracks of 1.5 s to train on, one to validate on, one to test on."""
    root = tmp_path_factory.mktemp("toy") / "tree"
    for number, folder in enumerate(("train/One", "train/Two", "train/Held Out", "test/Three")):
        generator = np.random.default_rng(number)
        (root / folder).mkdir(parents=True)
        times = np.arange(3 * RATE // 2 + 100 * number) / RATE
        stems = {
            name: (3000 * np.sin(2 * np.pi * 110 * 3**position * times)[:, None] * [1.0, 0.5]).astype(np.int16)
            + generator.integers(-500, 501, size=(len(times), 2), dtype=np.int16)
            for position, name in enumerate(SOURCES)
        }
        for name, samples in (*stems.items(), ("mixture", sum(stems.values()))):
            soundfile.write(root / folder / f"{name}.wav", samples, RATE, subtype="PCM_16")
    return root


@pytest.fixture(scope="session")
def small(small_tree):
    """Options that make a training of `experiment=demo` tiny: two epochs of three steps."""
    return [
        f"data.root={small_tree}",
        "data.validation_tracks=[Held Out]",
        f"data.sample_rate={RATE}",
        "data.segment_seconds=0.25",
        "data.samples_per_track=3",
        "data.batch_size=2",
        "trainer.gpus=0",
        "trainer.max_epochs=2",
        "evaluation.after_training=false",
        "slots=1",
    ]


@pytest.fixture(scope="session")
def toy(small):
    """Arguments of `train.py`, as the README has them."""
    return ["--config-dir", "my_conf", *ALL, *small]


@pytest.fixture(scope="session")
def toy_run(toy, cli, tmp_path_factory):
    """Folder of a finished run of four targets. Read only."""
    out = tmp_path_factory.mktemp("toy_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HERE)
        assert cli("train", *toy, "callbacks=my_callbacks", "logger=csv", f"paths.out={out}") == 0
    (run,) = (out / "runs").glob("*/all-s42")
    return run


@pytest.fixture
def refused(cli, capfd, tmp_path):
    """Run a command that must fail with one line and write nothing; returns that line."""

    def run(*arguments, code=2):
        before = sorted(tmp_path.rglob("*"))
        assert cli(*arguments) == code
        lines = capfd.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert sorted(tmp_path.rglob("*")) == before
        return lines[0]

    return run


@pytest.fixture
def song(tmp_path):
    """A second of stereo noise at 44.1 kHz."""
    path = tmp_path / "song.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, (44100, 2)), 44100)
    return path


@pytest.fixture(scope="session")
def write_checkpoint(toy_run):
    """The function `write(path, targets, class_name="MyModel", **arguments)`; returns the path of a checkpoint.

    Of a run on the same data as `toy_run`, with a model of its own and random weights.
    """

    def write(path, targets, class_name="MyModel", **arguments):
        content = torch.load(toy_run / "checkpoints" / "best.ckpt", weights_only=True)
        model = getattr(model_module, class_name)(targets, **{"sample_rate": RATE, **arguments})
        node = {"_target_": f"my_package.model.{class_name}", "targets": targets, "sample_rate": RATE, **arguments}
        content["unmix"]["config"]["model"] = node
        content["unmix"]["targets"] = list(targets)
        content["state_dict"] = {f"model.{name}": value for name, value in model.state_dict().items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path)
        return path

    return write
