"""Releases of BS-RoFormer and Mel-band RoFormer in MSST's layout: read, separate as msst does, or refused by option."""

import copy

import pytest
import torch
import yaml
from msst.models.bs_roformer import BSRoformer, MelBandRoformer

import unmix
from unmix.weights import safetensors
from unmix.weights.find import find_checkpoints

SOURCES = ["drums", "bass", "other", "vocals"]
WIDTHS = [*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129]
SMALL = {
    **{"dim": 16, "depth": 2, "heads": 2, "dim_head": 8, "stereo": True, "num_stems": 4},
    **{"time_transformer_depth": 1, "freq_transformer_depth": 1, "linear_transformer_depth": 0, "flash_attn": True},
    **{"attn_dropout": 0.1, "ff_dropout": 0.1, "dim_freqs_in": 1025, "stft_n_fft": 128, "stft_hop_length": 32},
    **{"stft_win_length": 128, "stft_normalized": False, "mask_estimator_depth": 2, "multi_stft_hop_size": 147},
}
FAMILIES = {
    "bs_roformer": (BSRoformer, {**SMALL, "freqs_per_bands": [8, 25, 32]}),
    "mel_band_roformer": (MelBandRoformer, {**SMALL, "num_bands": 8, "sample_rate": 44100}),
}
SECTIONS = {
    "audio": {"chunk_size": 8192, "num_channels": 2, "sample_rate": 44100},
    "training": {"instruments": SOURCES, "target_instrument": None},
}

# Options of YAML files that are published with weights, in ZFTurbo/Music-Source-Separation-Training/configs.
_COMMON = {
    **{"dim": 384, "stereo": True, "num_stems": 1, "time_transformer_depth": 1, "freq_transformer_depth": 1},
    **{"dim_head": 64, "heads": 8, "attn_dropout": 0.1, "ff_dropout": 0.1, "flash_attn": True, "dim_freqs_in": 1025},
    **{"stft_n_fft": 2048, "stft_hop_length": 441, "stft_win_length": 2048, "stft_normalized": False},
    **{"mask_estimator_depth": 2, "multi_stft_resolution_loss_weight": 1.0, "multi_stft_normalized": False},
    **{"multi_stft_resolutions_window_sizes": [4096, 2048, 1024, 512, 256], "multi_stft_hop_size": 147},
}
_BS = {**_COMMON, "linear_transformer_depth": 0, "freqs_per_bands": WIDTHS}
_MEL = {**_COMMON, "num_bands": 60, "sample_rate": 44100}
_LATER = {"use_torch_checkpoint": False, "skip_connection": False}
RELEASED = {
    "viperx/model_bs_roformer_ep_317_sdr_12.9755": {**_BS, "dim": 512, "depth": 12},
    "viperx/model_bs_roformer_ep_937_sdr_10.5309": {**_BS, "depth": 12, "stft_hop_length": 512},
    "viperx/model_mel_band_roformer_ep_3005_sdr_11.4360": {**_MEL, "linear_transformer_depth": 0, "depth": 12},
    "KimberleyJensen/config_vocals_mel_band_roformer_kj": {**_MEL, "depth": 6, "attn_dropout": 0, "ff_dropout": 0},
    "config_musdb18_bs_roformer": {**_BS, "dim": 192, "depth": 6, "stft_hop_length": 512},
    "config_bs_roformer_384_8_2_485100": {**_BS, **_LATER, "depth": 8, "num_stems": 4, "mlp_expansion_factor": 2},
    "config_musdb18_mel_band_roformer_all_stems": {**_MEL, **_LATER, "depth": 6, "num_stems": 4},
}


def write(folder, config, state, family=None):
    if family is not None:
        config["training"]["model_type"] = family
    text = yaml.safe_dump(config)
    for key in ("freqs_per_bands:", "multi_stft_resolutions_window_sizes:"):
        text = text.replace(key, f"{key} !!python/tuple")  # as their files have it
    (folder / "config.yaml").write_text(text)
    torch.save(state, folder / "model.ckpt")
    return folder


def small(family, **changes):
    """Sections of a small release and its network."""
    network, options = FAMILIES[family]
    options = {**options, **changes}
    torch.manual_seed(0)
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return {**copy.deepcopy(SECTIONS), "model": options}, network(**given).eval()


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_release_separates_as_msst_does(family, is_named, tmp_path):
    config, network = small(family)
    write(tmp_path, config, {"state_dict": network.state_dict()}, family if is_named else None)
    separator = unmix.load_separator(tmp_path, device="cpu")
    mixture = torch.rand(1, 2, 128 * 40, generator=torch.Generator().manual_seed(0)) - 0.5
    with torch.no_grad():
        expected = dict(zip(SOURCES, network(mixture)[0], strict=True))
    estimates = dict(zip(separator.targets, separator(mixture)[0], strict=True))
    assert all((estimates[name] - expected[name]).abs().max() < 1e-6 for name in SOURCES)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_release_of_one_target_is_exported(family, tmp_path):
    config, network = small(family, num_stems=1)
    config["training"] |= {"instruments": ["vocals", "other"], "target_instrument": "vocals"}
    checkpoint = find_checkpoints(write(tmp_path, config, network.state_dict()))["vocals"]
    assert checkpoint.targets == ("vocals",)
    safetensors.write([checkpoint], tmp_path / "model.safetensors")
    (again,) = safetensors.read(tmp_path / "model.safetensors")
    assert again.config["model"] == checkpoint.config["model"]
    assert all(torch.equal(value, checkpoint.state[name]) for name, value in again.state.items())


@pytest.mark.parametrize("name", RELEASED)
def test_options_of_published_releases_are_accepted(name, tmp_path):
    options = RELEASED[name]
    config = {**copy.deepcopy(SECTIONS), "model": options}
    if options["num_stems"] == 1:
        config["training"] |= {"instruments": ["vocals", "other"], "target_instrument": "vocals"}
    with pytest.raises(ValueError, match=r"does not fit .*config.yaml: it lacks band_split.to_features.0.0.gamma, "):
        find_checkpoints(write(tmp_path, config, {}))  # the network is built, and only its weights lack


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("bs_roformer", {"linear_transformer_depth": 1}, "model.linear_transformer_depth: got 1, allowed 0"),
        ("bs_roformer", {"skip_connection": True}, "model.skip_connection: got True, allowed False"),
        ("mel_band_roformer", {"use_pope": True}, "model.use_pope: got True, allowed False"),
        ("mel_band_roformer", {"stft_window_fn": "kaiser"}, "model.stft_window_fn: got 'kaiser', allowed None"),
        ("bs_roformer", {"stft_win_length": 64}, "model.stft_win_length: got 64, allowed 128, the size of stft_n_fft"),
        ("bs_roformer", {"num_stems": 2}, "model.num_stems: got 2, training.instruments .* name drums, bass, other"),
        ("bs_roformer", {"stereo": False}, "audio.num_channels: got 2, the model takes 1"),
        ("bs_roformer", {"dim": None}, "features: got None, a whole number is needed"),
        ("bs_roformer", {"freqs_per_bands": [8, 25]}, "widths: got widths that add up to 33, the 65 bins"),
        ("mel_band_roformer", {"sample_rate": 48000}, "audio.sample_rate: got 44100, the model takes 48000"),
        ("mel_band_roformer", {"num_bands": 60}, "num_bands: got 60, which 65 bins are too few for"),
        ("mel_band_roformer", {"num_residual_streams": 4}, "model: got 'num_residual_streams', allowed "),
    ],
    ids=str,
)
def test_an_option_that_changes_the_result_is_refused(family, changes, message, tmp_path):
    config, network = small(family)
    config["model"] |= changes
    with pytest.raises(ValueError, match=message) as refusal:
        find_checkpoints(write(tmp_path, config, network.state_dict()))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("card", "line"),
    [
        ("---\nlicense: cc-by-nc-4.0\ntags: [a]\n---\n# Name\n", "its weights are under cc-by-nc-4.0"),
        ("---\nlicense: other\nlicense_name: no-commerce\n---\n", "its weights are under no-commerce"),
        ("# Name\nlicense: mit\n", None),
    ],
    ids=["card", "named", "none"],
)
def test_the_licence_in_a_model_card_is_shown(card, line, tmp_path, caplog):
    config, network = small("bs_roformer")
    (tmp_path / "README.md").write_text(card)
    find_checkpoints(write(tmp_path, config, network.state_dict()))
    assert [record.getMessage() for record in caplog.records] == ([f"{tmp_path}: {line}"] if line else [])
