import pytest
import torch

from unmix.models.open_unmix import OpenUnmix
from unmix.weights import checkpoint
from unmix.weights.find import find_checkpoints, load_separator


def write(path, target="bass", val_loss=1.0, fft_size=512, model_class="unmix.models.open_unmix.OpenUnmix"):
    """Write a checkpoint of schema 1 with a tiny network."""
    torch.manual_seed(0)
    num_bins = fft_size // 2 + 1
    config = {
        "model": {"_target_": model_class, "hidden_size": 8, "num_bins": num_bins},
        "stft": {"_target_": "unmix.dsp.stft.Stft", "fft_size": fft_size, "hop_size": 128},
        "data": {"sample_rate": 44100, "target": target},
    }
    state = {f"model.{name}": value for name, value in OpenUnmix(8, num_bins=num_bins).state_dict().items()}
    record = {"schema": 1, "target": target, "config": config, "metrics": {"val/loss": val_loss}}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"state_dict": {**state, "other.weight": torch.ones(1)}, "unmix": record}, path)
    return path


def test_a_built_model_has_the_weights_of_its_checkpoint(tmp_path):
    read = checkpoint.read(write(tmp_path / "a.ckpt"))
    network = checkpoint.build_model(read)
    assert read.targets == ("bass",)
    assert not network.training
    assert all(torch.equal(network.state_dict()[name], value) for name, value in read.state.items())


def test_a_class_outside_unmix_is_refused(tmp_path):
    read = checkpoint.read(write(tmp_path / "a.ckpt", model_class="subprocess.Popen"))
    with pytest.raises(
        ValueError,
        match=r"a.ckpt: got the class 'subprocess.Popen', allowed are those of unmix .*add 'plugins=\[subprocess\]'",
    ):
        checkpoint.build_model(read)


def test_weights_that_do_not_fit_are_refused(tmp_path):
    content = torch.load(write(tmp_path / "a.ckpt"), weights_only=True)
    content["state_dict"]["model.fc1.weight"] = torch.ones(3, 3)
    torch.save(content, tmp_path / "b.ckpt")
    message = r"the weights in .*b.ckpt do not fit UMX, which its configuration names: it has network\.fc1\.weight"
    with pytest.raises(ValueError, match=message):
        checkpoint.build_model(checkpoint.read(tmp_path / "b.ckpt"))


def test_the_seed_with_the_lowest_validation_loss_is_chosen(tmp_path):
    for seed, loss in ((42, 0.9), (43, 0.7), (44, 0.8)):
        write(tmp_path / f"bass-s{seed}" / "checkpoints" / "best.ckpt", val_loss=loss)
    write(tmp_path / "drums-s42" / "checkpoints" / "best.ckpt", target="drums")
    checkpoints = find_checkpoints(tmp_path)
    assert list(checkpoints) == ["drums", "bass"]
    assert checkpoints["bass"].path.parts[-3] == "bass-s43"


def test_checkpoints_are_found_by_file_run_folder_pattern_and_list(tmp_path):
    bass = write(tmp_path / "bass-s1" / "checkpoints" / "best.ckpt")
    drums = write(tmp_path / "drums-s1" / "checkpoints" / "best.ckpt", target="drums")
    assert list(find_checkpoints(bass)) == ["bass"]
    assert list(find_checkpoints(tmp_path / "bass-s1")) == ["bass"]
    assert list(find_checkpoints(bass.parent)) == ["bass"]
    both = ["drums", "bass"]
    assert list(find_checkpoints([bass, str(drums)])) == both
    assert list(find_checkpoints(f"{tmp_path}/*-s1")) == both
    assert list(find_checkpoints(f"{tmp_path}/*/checkpoints/*.ckpt")) == both


def test_missing_checkpoints_and_targets_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing does not exist; give an experiment folder"):
        find_checkpoints(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        find_checkpoints(tmp_path)
    write(tmp_path / "a.ckpt")
    with pytest.raises(ValueError, match="targets: got 'vocals', allowed bass"):
        load_separator(tmp_path, targets=["vocals"])


def test_networks_with_different_stfts_are_refused(tmp_path):
    write(tmp_path / "a.ckpt")
    write(tmp_path / "b.ckpt", target="drums", fft_size=1024)
    with pytest.raises(ValueError, match=r"different .*'drums': \(1024, 128\), 'bass': \(512, 128\)"):
        load_separator(tmp_path)
