"""Releases in MSST's layout are read, separate as msst does, and are refused where they would separate otherwise."""

import copy
import pickle
import re

import numpy as np
import pytest
import soundfile
import torch
import yaml
from msst.models.scnet import SCNet as Msst

import unmix
from unmix.weights.find import find_checkpoints

FAMILIES = "scnet, bs_roformer, mel_band_roformer"
SOURCES = ["drums", "bass", "other", "vocals"]
CONFIG = {
    "audio": {"chunk_size": 22050, "num_channels": 2, "sample_rate": 44100, "min_mean_abs": 0.001},
    "model": {"sources": SOURCES, "dims": [4, 8, 8], "nfft": 512, "hop_size": 128, "win_size": 512, "num_dplayer": 2},
    "training": {"instruments": SOURCES, "target_instrument": None, "batch_size": 4},
    "inference": {"num_overlap": 4, "batch_size": 1, "dim_t": 256, "normalize": False},
}
# as their files have it, and as only an unsafe loader of YAML reads it
TUPLE = "augmentations:\n  mixup_probs: !!python/tuple\n  - 0.2\n  - 0.02\n"


@pytest.fixture
def config():
    """Sections of the YAML, to be changed."""
    config = copy.deepcopy(CONFIG)
    config["model"]["band_SR"] = [0.225, 0.372, 0.403]
    return config


@pytest.fixture
def network(config):
    torch.manual_seed(0)
    return Msst(**config["model"]).eval()


@pytest.fixture
def write(config, network, tmp_path):
    """The function `write(state=None, name="model.ckpt")`: writes the release; returns its folder."""

    def run(state=None, name="model.ckpt"):
        folder = tmp_path / "release"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(config) + TUPLE)
        torch.save(network.state_dict() if state is None else state, folder / name)
        return folder

    return run


@pytest.fixture
def refused(write, cli, capfd, tmp_path):
    """The line that separate.py refuses the release with."""

    def run(*arguments, **options):
        folder = write(*arguments, **options)
        soundfile.write(tmp_path / "song.wav", np.zeros((4410, 2)), 44100)
        assert cli("separate", f"ckpt={folder}", f"input={tmp_path / 'song.wav'}", "gpus=0") == 2
        (line,) = capfd.readouterr().err.splitlines()
        return line

    return run


@pytest.mark.filterwarnings("ignore:.*window was not provided")
@pytest.mark.parametrize("wrapper", [None, "state", "state_dict", "model_state_dict"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_release_separates_as_msst_does(write, network, wrapper, prefix):
    state = {f"{prefix}{name}": value for name, value in network.state_dict().items()}
    folder = write({wrapper: state, "epoch": 3} if wrapper else state)
    separator = unmix.load_separator(folder, device="cpu")
    mixture = torch.rand(1, 2, 5000, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        expected = dict(zip(SOURCES, network(mixture)[0], strict=True))
    estimates = dict(zip(separator.targets, separator(mixture)[0], strict=True))
    assert separator.targets == ("vocals", "drums", "bass", "other")
    assert all((estimates[name] - expected[name]).abs().max() < 1e-6 for name in SOURCES)


def test_a_release_is_named_by_its_file_of_weights_among_others(write, config, network):
    folder = write(name="first.th")
    half = {name: value.half() for name, value in network.state_dict().items()}
    torch.save(half, folder / "second.th")
    config["audio"]["chunk_size"] = 44100
    (folder / "second.yaml").write_text(yaml.safe_dump(config))
    (folder / "notes.yaml").write_text("author: somebody")
    read = find_checkpoints(folder / "second.th")["vocals"]
    assert (read.path.name, read.config["model"]["chunk_seconds"]) == ("second.th", 1.0)
    assert {value.dtype for value in read.state.values()} == {torch.float32}
    with pytest.raises(ValueError, match=r"several YAML files, name one like first.yaml: config.yaml, second.yaml"):
        find_checkpoints(folder / "first.th")
    with pytest.raises(ValueError, match=r"several files of weights, name one of them: first.th, second.th"):
        find_checkpoints(folder)


def test_a_release_without_its_weights_or_without_its_yaml_is_named(write):
    folder = write()
    (folder / "config.yaml").rename(folder.parent / "config.yaml")
    with pytest.raises(ValueError, match="no key 'unmix'; weights in MSST's layout need their YAML file beside them"):
        find_checkpoints(folder / "model.ckpt")
    (folder.parent / "config.yaml").rename(folder / "config.yaml")
    (folder / "model.ckpt").unlink()
    with pytest.raises(FileNotFoundError, match=r"has config.yaml, but no file of weights: .ckpt, .th"):
        find_checkpoints(folder)


AUTHORS = {
    "data": {"wav": "/data", "samplerate": 44100, "segment": 0.5, "channels": 2, "normalize": True, "sources": SOURCES},
    "model": CONFIG["model"],
    "ema": {"epoch": [0.9], "batch": [0.9995]},
    "epochs": 200,
    "augment": {"shift_same": False, "flip": True},
}


@pytest.fixture
def write_authors(config, network, tmp_path):
    """The function `write_authors(content=None, **sections)`: writes SCNet's authors' files; returns the weights."""

    def run(content=None, **sections):
        folder = tmp_path / "authors"
        folder.mkdir(exist_ok=True)
        written = {**AUTHORS, "model": {**config["model"], "band_SR": [0.225, 0.372, 0.403]}, **sections}
        (folder / "config.yaml").write_text(yaml.safe_dump(written))
        weights = network.state_dict()
        optimizer = torch.optim.Adam(network.parameters())
        best = {f"module.{name}": value for name, value in weights.items()}
        last = {name: torch.zeros_like(value) for name, value in weights.items()}
        package = {"state": last, "best_nsdr": 9.5, "best_state": best, "optimizer": optimizer.state_dict()}
        torch.save(package if content is None else content, folder / "checkpoint.th")
        return folder / "checkpoint.th"

    return run


def test_the_files_of_scnets_authors_load_with_their_best_weights(write_authors, network):
    path = write_authors()
    (read,) = {id(item): item for item in find_checkpoints(path).values()}.values()
    assert read.targets == tuple(SOURCES)
    assert (read.sample_rate, read.config["model"]["chunk_seconds"]) == (44100, 0.5)
    assert read.config["model"]["standardize"] is True
    assert all(torch.equal(read.state[name], value) for name, value in network.state_dict().items())
    separator = unmix.load_separator(path.parent, device="cpu")
    mixture = torch.rand(1, 2, 5000, generator=torch.Generator().manual_seed(0)) - 0.5
    assert separator(mixture).abs().max() > 0
    # spectrograms are brought to standard deviation 1, so that the level of the mixture is that of the estimates
    assert torch.allclose(separator(10 * mixture), 10 * separator(mixture), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"data": {"samplerate": 44100, "segment": 0}}, "config.yaml: data.segment: got 0, allowed above 0"),
        ({"data": {"segment": 11}}, "config.yaml: data.samplerate: got None, a whole number is needed"),
        ({"data": "here"}, "config.yaml: data: got 'here', a section is needed, as in SCNet's conf/config.yaml"),
        ({"model": {"standardize": False}}, "config.yaml: model: got 'standardize', allowed sources, audio_channels"),
        ({"model": {"dropout": 1, "sources": SOURCES}}, "config.yaml: model: got 'dropout', allowed sources, audio_ch"),
    ],
)
def test_a_wrong_file_of_scnets_authors_is_named(write_authors, sections, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        find_checkpoints(write_authors(**sections))


def test_scnets_authors_have_no_best_weights_before_the_first_validation(write_authors, network):
    path = write_authors({"state": network.state_dict(), "best_state": None, "epoch": -1})
    assert len(find_checkpoints(path)) == 4


def test_one_of_several_instruments_is_the_target(config, network, write):
    config["model"]["sources"], config["training"]["target_instrument"] = ["vocals"], "vocals"
    assert list(find_checkpoints(write(Msst(**config["model"]).state_dict()))) == ["vocals"]


@pytest.mark.parametrize(
    ("section", "changes", "message"),
    [
        ("model", {"win_size": 256}, "config.yaml: model.win_size: got 256, allowed 512, the size of nfft"),
        ("model", {"dims": [2, 8, 8]}, "model.dims: got [2, 8, 8], allowed 4 (twice audio_channels)"),
        ("model", {"num_dplayer": 3}, "config.yaml: num_layers: got 3, an even number is needed"),
        ("model", {"standardize": True}, "config.yaml: model: got 'standardize', allowed sources, audio_channels,"),
        ("model", {"dropout": 0.1}, "config.yaml: model: got 'dropout', allowed sources, audio_channels, dims,"),
        ("model", {"sources": ["vocals"]}, "model.sources: got vocals, training.instruments and target_instrument"),
        ("training", {"target_instrument": "vocals"}, "separate.py chooses among them by targets=[...]"),
        ("training", {"instruments": None}, "training.instruments: got None, a list of names is needed"),
        (
            "training",
            {"model_type": "htdemucs"},
            f"training.model_type: got 'htdemucs', allowed {FAMILIES}",
        ),
        ("audio", {"num_channels": 1}, "audio.num_channels: got 1, the model takes 2"),
        ("audio", {"chunk_size": None}, "audio.chunk_size: got None, a whole number is needed"),
        ("inference", {"normalize": True}, "inference.normalize: got true, allowed false"),
    ],
    ids=str,
)
def test_an_option_that_changes_the_result_is_refused(config, refused, network, section, changes, message):
    config[section].update(changes)
    assert message in refused(network.state_dict())


def test_another_family_is_refused_with_those_that_are_known(config, refused, network):
    config["model"] = {"dim": 384, "depth": 6}
    assert (
        "training.model_type: got options of another network, allowed scnet, bs_roformer, mel_band_roformer"
        in refused(network.state_dict())
    )


def test_weights_that_do_not_fit_are_named(refused, network):
    state = network.state_dict()
    moved = {f"extra.{name}" if name.startswith("decoder.0") else name: value for name, value in state.items()}
    message = refused(moved)
    assert "it lacks decoder.0.0.conv.bias, decoder.0.0.conv.weight, decoder.0.1.convtrs.0.bias and " in message
    assert "also has extra.decoder.0.0.conv.bias, extra.decoder.0.0.conv.weight, " in message
    name = "encoder.0.globalconv.bias"
    assert f"it has {name} of shape (3,), (8,) is needed" in refused({**state, name: torch.zeros(3)})


class Malicious:
    """Runs code when it is read by pickle."""

    def __reduce__(self):
        return (pytest.fail, ("a file ran code",))


def test_a_file_with_code_is_refused(refused, write, network, cli, capfd):
    assert "holds objects beside its weights, which are not loaded" in refused({"state": Malicious()})
    folder = write()
    (folder / "model.ckpt").write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ValueError, match="damaged, or holds objects beside its weights"):
        find_checkpoints(folder)
    (folder / "model.ckpt").write_bytes(b"no weights at all")
    with pytest.raises(ValueError, match="damaged"):
        find_checkpoints(folder)
    write([1, 2])
    with pytest.raises(ValueError, match="has no state dict: looked at the top and under best_state, state, state_d"):
        find_checkpoints(folder)


def test_a_yaml_with_code_is_refused(write):
    folder = write()
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").write_text(f"{text}\nx: !!python/object/apply:pytest.fail ['a file ran code']\n")
    with pytest.raises(ValueError, match=r"config.yaml cannot be read as YAML without code: .*python/object"):
        find_checkpoints(folder)
    (folder / "config.yaml").write_text("audio:\n  a: 1\ntraining: 3\n")
    with pytest.raises(ValueError, match="has no section 'model', which MSST's files have"):
        find_checkpoints(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("short_filters")
def test_a_release_is_evaluated_separated_and_exported(write, musdb_tree, cli, tmp_path, capfd):
    folder = write(name="model.th")
    data = ["data=musdb18hq", f"data.root={musdb_tree}", "data.validation_tracks=[Actions - One Minute Smile]"]
    assert cli("evaluate", f"ckpt={folder}", *data, "evaluation.gpus=0", f"paths.out={tmp_path}") == 0
    assert list(folder.glob("eval/*/scores.csv"))
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.3, 0.3, (30_000, 2)), 44100)
    out = tmp_path / "release.safetensors"
    assert cli("export", f"ckpt={folder}", "format=safetensors", f"out={out}") == 0
    stems = []
    for number, ckpt in enumerate((folder / "model.th", out)):
        target = tmp_path / str(number)
        assert cli("separate", f"ckpt={ckpt}", f"input={song}", f"out={target}", "bits=float", "gpus=0") == 0
        stems.append([soundfile.read(target / f"song.{name}.wav")[0] for name in SOURCES])
    assert np.array_equal(*stems)
    assert np.abs(stems[0]).max() > 0
