"""Exported networks separate identically in openunmix, and openunmix's files can be read."""

import hashlib
import json
import os
import re
import shlex
import urllib.error

import numpy as np
import openunmix
import pytest
import soundfile
import torch
from openunmix import utils

import unmix
from unmix.models.open_unmix import OpenUnmix
from unmix.weights import open_unmix_release, releases, safetensors
from unmix.weights.checkpoint import Checkpoint, build_model
from unmix.weights.find import find_checkpoints

TARGETS = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="module")
def mixture():
    return 0.1 * torch.randn(1, 2, 50_000, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def exported(trained, cli, tmp_path):
    folder = tmp_path / "as umx"
    assert cli("export", f"ckpt={trained}", f"out={folder}") == 0
    return folder


@pytest.mark.parametrize("niter", [0, 1])
def test_an_exported_experiment_separates_identically_in_openunmix(exported, trained, mixture, niter):
    theirs = utils.load_separator(str(exported), targets=list(TARGETS), niter=niter, wiener_win_len=None)
    theirs.eval()
    ours = unmix.load_separator(trained, device="cpu", targets=TARGETS, niter=niter)
    with torch.no_grad():
        expected = theirs(mixture)
    assert (ours(mixture) - expected).abs().max() < 1e-5 * mixture.abs().max()


def test_an_exported_folder_is_read_back_as_it_was(exported, trained, mixture):
    read, original = find_checkpoints(exported), find_checkpoints(trained)
    assert tuple(read) == TARGETS
    for target in TARGETS:
        assert read[target].metrics["val/loss"] == pytest.approx(original[target].metrics["val/loss"])
        assert all(torch.equal(value, original[target].state[name]) for name, value in read[target].state.items())
    ours = unmix.load_separator(exported, device="cpu")
    assert torch.equal(ours(mixture), unmix.load_separator(trained, device="cpu")(mixture))


def test_a_path_for_an_export_that_cannot_be_is_refused_in_one_line(trained, cli, tmp_path, capfd):
    (tmp_path / "afile").touch()
    for options, reason in (
        ([f"out={tmp_path}/afile", "overwrite=true"], f"out: {tmp_path}/afile is no folder; name"),
        ([f"out={tmp_path}/afile/x"], f"out: {tmp_path}/afile/x cannot be made, as {tmp_path}/afile is no folder"),
        ([f"out={tmp_path}", "overwrite=true", "format=safetensors"], f"out: {tmp_path} is a folder; format="),
    ):
        assert cli("export", f"ckpt={trained}", *options) == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert line.startswith(f"export: {reason}")


def test_a_safetensors_file_contains_the_complete_separator(trained, cli, tmp_path, mixture):
    path = tmp_path / "shared.safetensors"
    assert cli("export", f"ckpt={trained}", f"out={path}", "format=safetensors") == 0
    shared = unmix.load_separator(path, device="cpu")
    assert shared.targets == TARGETS
    assert torch.equal(shared(mixture), unmix.load_separator(trained, device="cpu")(mixture))
    assert str(trained).encode() not in path.read_bytes()  # nothing of the machine it was trained on


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize(("channels", "bandwidth_hz"), [(1, 16000.0), (2, 22050.0), (2, 5000.0)])
def test_the_configuration_is_inferred_from_the_weights(tmp_path, bidirectional, channels, bandwidth_hz):
    network = OpenUnmix(16, bidirectional, num_channels=channels, bandwidth_hz=bandwidth_hz)
    state = {**network.state_dict(), "stft.window": torch.ones(4096), "sample_rate": torch.tensor(44100)}  # as in 2019
    torch.save(state, tmp_path / "bass-0123abcd.pth")
    (tmp_path / "separator.json").write_text(
        json.dumps({"nfft": 4096, "nhop": 1024, "sample_rate": 44100, "nb_channels": 2})
    )
    (checkpoint,) = open_unmix_release.read_folder(tmp_path)
    assert checkpoint.targets == ("bass",)
    read = build_model(checkpoint).network.state_dict()
    assert all(torch.equal(value, read[name]) for name, value in network.state_dict().items())


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A temporary folder for torch hub, and a fake server with the vocals of a made-up release."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    torch.save(OpenUnmix(16).state_dict(), tmp_path / "file.pth")
    content = (tmp_path / "file.pth").read_bytes()
    prefix = hashlib.sha256(content).hexdigest()[:8]
    monkeypatch.setitem(
        open_unmix_release.RELEASES,
        "umxl",
        releases.Release(1, {"vocals": f"vocals-{prefix}.pth"}, licence="CC X"),
    )
    served = {"content": content, "calls": 0}

    def urlopen(request, *_, **__):
        import io
        from email.message import Message

        served["calls"] += 1
        if served["content"] is None:
            raise urllib.error.URLError("no network")
        answer = io.BytesIO(served["content"])
        answer.info = Message
        return answer

    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    return served


def test_a_release_is_downloaded_once_and_its_licence_logged(hub, caplog):
    for _ in range(2):
        separator = unmix.load_separator("umxl", device="cpu", niter=0)
    assert separator.targets == ("vocals",)
    assert hub["calls"] == 1
    assert "umxl: its weights are under CC X" in caplog.text


@pytest.mark.parametrize("content", [b"something else", b""])
def test_a_download_that_is_not_the_published_file_is_refused(hub, tmp_path, content):
    hub["content"] = content
    with pytest.raises(ValueError, match=r"records/1/files/vocals-.*: the download is not the published file"):
        unmix.load_separator("umxl")
    assert not list((tmp_path / "hub" / "checkpoints").iterdir())


def test_an_incomplete_earlier_download_is_refused_by_its_checksum(hub, tmp_path):
    path = tmp_path / "hub" / "checkpoints" / open_unmix_release.RELEASES["umxl"].files["vocals"]
    path.parent.mkdir(parents=True)
    path.write_bytes(hub["content"][:1000])
    with pytest.raises(ValueError, match=r"is not the published file: its SHA-256 does not begin with .*; remove it"):
        unmix.load_separator("umxl")


def test_without_a_network_the_message_says_what_to_download_where(hub):
    hub["content"] = None
    with pytest.raises(
        OSError, match=r"ckpt: https://zenodo.org/.* cannot be downloaded .*no network.*download it by hand to"
    ):
        unmix.load_separator("umxl")


def test_the_releases_equal_openunmix_s():
    for name, release in open_unmix_release.RELEASES.items():
        source = open(openunmix.__file__).read()  # noqa: PTH123, SIM115
        assert f"def {name}_spec" in source
        for file in release.files.values():
            assert f"https://zenodo.org/records/{release.record}/files/{file}" in source


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("separator.json", "{}", r"separator.json lacks 'nfft'"),
        ("separator.json", "[]", r"separator.json contains a list, a JSON object is needed"),
        ("separator.json", "{", r"separator.json cannot be read as JSON"),
        ("drums.pth", "no weights", r"drums.pth does not contain weights"),
        ("bass.json", "nothing", r"bass.json cannot be read as JSON"),
    ],
)
def test_damaged_folders_are_refused(exported, file, content, message):
    (exported / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        unmix.load_separator(exported)


def test_a_folder_without_weights_and_weights_of_another_model_are_refused(exported):
    for path in exported.glob("*.pth"):
        torch.save({"x": torch.ones(1)}, path)
    with pytest.raises(ValueError, match=r"was not written by Open-Unmix: it has no input_mean"):
        unmix.load_separator(exported)
    for path in exported.glob("*.pth"):
        path.unlink()
    with pytest.raises(ValueError, match=r"has separator.json, but no <target>.pth beside it"):
        unmix.load_separator(exported)


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_code_in_a_weights_file_does_not_run(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"input_mean": _Evil()}, exported / "vocals.pth")
    with pytest.raises(ValueError, match=r"vocals.pth does not contain weights"):
        unmix.load_separator(exported)
    assert not (tmp_path / "evil").exists()


def test_damaged_or_foreign_safetensors_are_refused(tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"x.safetensors is not a .safetensors file"):
        safetensors.read(path)
    save_file({"a": torch.ones(1)}, str(path))
    with pytest.raises(ValueError, match=r"was not written by unmix: its metadata have no key 'unmix'"):
        safetensors.read(path)
    save_file({"a": torch.ones(1)}, str(path), metadata={"unmix": json.dumps({"schema": 99})})
    with pytest.raises(ValueError, match=r"has schema 99, this version reads up to 2: update unmix"):
        safetensors.read(path)


def test_export_refuses_an_existing_folder_and_an_unknown_format(exported, trained, cli, capfd, tmp_path):
    assert cli("export", f"ckpt={trained}", f"out={exported}") == 2
    assert "exists; overwrite=true replaces it" in capfd.readouterr().err
    assert cli("export", f"ckpt={trained}", f"out={exported}", "overwrite=true") == 0
    assert cli("export", f"ckpt={trained}", f"out={tmp_path / 'new'}", "format=onnx") == 2
    assert "format: got 'onnx', allowed umx, safetensors" in capfd.readouterr().err


def test_an_export_goes_to_the_outputs_and_says_what_to_type_next(trained, cli, capfd, tmp_path):
    out, name = f"paths.out={tmp_path / 'It is'}", trained.name
    run, folder = trained / "drums-s42", tmp_path / "It is" / "exports"
    expected = {
        (f"ckpt={trained}", "format=umx"): f"{name}-umx",
        (f"ckpt={run}", "format=safetensors"): f"{name}-drums-s42.safetensors",
        (f"ckpt={run / 'checkpoints' / 'best.ckpt'}", "format=umx"): f"{name}-drums-s42-umx",
        (f"ckpt={run / 'checkpoints' / 'last.ckpt'}", "format=umx"): f"{name}-drums-s42-last-umx",
        (f"ckpt={trained.parent}/{name[:-8]}*", "format=safetensors"): f"{name[:-9]}.safetensors",
    }
    for arguments, file in expected.items():
        assert cli("export", *arguments, out) == 0
        said = capfd.readouterr().out
        assert f"{folder / file}: " in said
        (_, command), song = said.split("next: python src/separate.py "), tmp_path / f"{file}.wav"
        soundfile.write(song, np.zeros((4410, 2)), 44100)
        typed = shlex.split(command.splitlines()[0].replace("song.wav", f"'{song}'"))
        assert cli("separate", *typed, "gpus=0") == 0, "what it says to type works"
        capfd.readouterr()
        assert ("openunmix.utils.load_separator" in said) == file.endswith("-umx")
        assert tuple(find_checkpoints(folder / file))
    assert {path.name for path in folder.iterdir()} == set(expected.values())
    assert cli("export", f"ckpt=[{trained},{run}]", out) == 2
    assert "out: needed with several checkpoints" in capfd.readouterr().err


def test_init_from_starts_training_from_other_weights(trained, exported, train_arguments, cli, capfd, tmp_path):
    options = [
        *train_arguments,
        "target=drums",
        f"init_from={exported}",
        "optimizer.lr=1e-9",
        "optimizer.weight_decay=0",
    ]
    assert cli("train", *options, f"paths.out={tmp_path / 'out'}", "trainer.max_epochs=1") == 0
    first = find_checkpoints(trained)["drums"].state
    (run,) = (tmp_path / "out").glob("runs/*/drums-s42")
    tuned = find_checkpoints(run)["drums"].state
    for name, value in first.items():
        if "running_" not in name and "num_batches" not in name:
            torch.testing.assert_close(tuned[name], value, atol=1e-6, rtol=1e-5)
    assert cli("train", *options, f"paths.out={tmp_path / 'b'}", "model.hidden_size=32") == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if "init_from" in line]
    assert "(UMX) does not fit model=UMX: it has network." in line
    assert re.search(r"of shape \(.*\), \(.*\) is needed \(and \d+ more\)$", line)
    assert cli("train", *options, f"paths.out={tmp_path / 'b'}", "init_from=umxse2") == 2
    assert "init_from: umxse2 does not exist" in capfd.readouterr().err


def test_a_mask_that_openunmix_does_not_have_is_not_exported(tmp_path):
    config = {"model": {"_target_": "unmix.models.open_unmix.UMX", "mask": "sigmoid"}}
    state = {"network.fc1.weight": torch.zeros(1)}
    checkpoint = Checkpoint(tmp_path / "best.ckpt", ("bass",), config, {}, {}, state)
    with pytest.raises(ValueError, match=r"^format: umx holds model.mask=relu only, .* has sigmoid: take"):
        open_unmix_release.write_folder([checkpoint], tmp_path / "out")
    assert not (tmp_path / "out").exists()
