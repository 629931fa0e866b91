"""Families of networks in MSST's layout: their options in the YAML, and ours for the same network.

Source:
    The package msst 0.1.0: constructors of its networks, whose defaults hold where a YAML lacks an option.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unmix import checks

Options = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """Family of networks.

    Args:
        mark: option that no other family has.
        defaults: all options, with MSST's defaults.
        arguments: (options, targets, name) -> node `model` without what all families have; messages begin with `name`.
    """

    mark: str
    defaults: Options
    arguments: Callable[[Options, Sequence[str], str], dict[str, Any]]


def _check_names(name: str, got: object, number: object, targets: Sequence[str]) -> None:
    """Check that the file names each of a number of estimates; raises ValueError when it does not."""
    if number != len(targets):
        raise ValueError(
            f"{name}: got {got}, training.instruments and target_instrument name {', '.join(targets)}: a name for each "
            "estimate is needed; separate.py chooses among them by targets=[...]"
        )


_SCNET: Options = {
    "sources": ["drums", "bass", "other", "vocals"],
    "audio_channels": 2,
    "dims": [4, 32, 64, 128],
    "nfft": 4096,
    "hop_size": 1024,
    "win_size": 4096,
    "normalized": True,
    "band_SR": [0.175, 0.392, 0.433],
    "band_stride": [1, 4, 16],
    "band_kernel": [3, 4, 16],
    "conv_depths": [3, 2, 1],
    "compress": 4,
    "conv_kernel": 3,
    "num_dplayer": 6,
    "expand": 1,
}


def _scnet(options: Options, targets: Sequence[str], name: str) -> dict[str, Any]:
    """Make SCNet's node.

    Raises:
        ValueError: when the options describe no network of ours.
    """
    planes = 2 * checks.integer(f"{name}.audio_channels", options["audio_channels"], least=1)
    sources, dims = checks.texts(f"{name}.sources", options["sources"]), options["dims"]
    if not isinstance(dims, list) or len(dims) < 2 or dims[0] != planes:
        raise ValueError(f"{name}.dims: got {dims!r}, allowed {planes} (twice audio_channels), then a width per level")
    if options["win_size"] != options["nfft"]:
        raise ValueError(f"{name}.win_size: got {options['win_size']}, allowed {options['nfft']}, the size of nfft")
    _check_names(f"{name}.sources", ", ".join(sources), len(sources), targets)
    return {
        "_target_": "unmix.models.scnet.SCNet",
        "stft": {
            "_target_": "unmix.dsp.stft.Stft",
            "fft_size": options["nfft"],
            "hop_size": options["hop_size"],
            "center": True,
            "window": "rectangular",
            "normalized": options["normalized"],
        },
        "bands": {
            "_target_": "unmix.models.sparse_bands.Bands",
            "shares": options["band_SR"],
            "strides": options["band_stride"],
            "kernels": options["band_kernel"],
            "depths": options["conv_depths"],
            "compression": options["compress"],
            "kernel_size": options["conv_kernel"],
        },
        "num_channels": options["audio_channels"],
        "widths": dims[1:],
        "num_layers": options["num_dplayer"],
        "expansion": options["expand"],
        "standardize": False,  # see `of_authors`; MSST's networks were trained without
    }


_ROFORMER: Options = {
    "dim": None,
    "depth": None,
    "stereo": False,
    "num_stems": 1,
    "time_transformer_depth": 2,
    "freq_transformer_depth": 2,
    "linear_transformer_depth": 0,
    "dim_head": 64,
    "heads": 8,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
    "stft_n_fft": 2048,
    "stft_hop_length": 512,
    "stft_win_length": 2048,
    "stft_normalized": False,
    "stft_window_fn": None,
    "zero_dc": True,
    "mask_estimator_depth": 2,
    "mlp_expansion_factor": 4,
    "skip_connection": False,
    "use_pope": False,
    # these change speed, memory or the loss of a training
    "flash_attn": True,
    "dim_freqs_in": 1025,
    "use_torch_checkpoint": False,
    "multi_stft_resolution_loss_weight": 1.0,
    "multi_stft_resolutions_window_sizes": [4096, 2048, 1024, 512, 256],
    "multi_stft_hop_size": 147,
    "multi_stft_normalized": False,
    "multi_stft_window_fn": None,
}
_BS_ROFORMER: Options = {
    **_ROFORMER,
    "freqs_per_bands": [*[2] * 24, *[4] * 12, *[12] * 8, *[24] * 8, *[48] * 8, 128, 129],
}
_MEL_BAND_ROFORMER: Options = {
    **_ROFORMER,
    "attn_dropout": 0.1,
    "ff_dropout": 0.1,
    "mask_estimator_depth": 1,
    "num_bands": 60,
    "sample_rate": 44100,
    "match_input_audio_length": False,  # estimates have the length of the mixture here
}
# Options of parts that our network has not, with the values that leave these out.
_LEFT_OUT: Options = {
    "linear_transformer_depth": 0,
    "skip_connection": False,
    "use_pope": False,
    "stft_window_fn": None,
}


def _bs_roformer(options: Options, targets: Sequence[str], name: str) -> dict[str, Any]:
    """Make BS-RoFormer's node; raises as `_roformer`."""
    bands = {"_target_": "unmix.models.frequency_bands.WidthBands", "widths": options["freqs_per_bands"]}
    return {**_roformer(options, targets, name, "last", 0), "bands": bands}


def _mel_band_roformer(options: Options, targets: Sequence[str], name: str) -> dict[str, Any]:
    """Make Mel-band RoFormer's node, whose masks have a layer more than the option counts; raises as `_roformer`."""
    bands = {"_target_": "unmix.models.frequency_bands.MelBands", "num_bands": options["num_bands"]}
    arguments = _roformer(options, targets, name, "each", 1)
    return {**arguments, "bands": bands, "sample_rate": options["sample_rate"]}


def _roformer(options: Options, targets: Sequence[str], name: str, norm: str, more_layers: int) -> dict[str, Any]:
    """Make the node of a band-split RoFormer, without its bands.

    Raises:
        ValueError: when the options describe no network of ours.
    """
    for option, value in _LEFT_OUT.items():
        if (options[option] or value) != value:
            raise ValueError(
                f"{name}.{option}: got {options[option]!r}, allowed {value!r}: our network has no such part"
            )
    if options["stft_win_length"] != options["stft_n_fft"]:
        raise ValueError(
            f"{name}.stft_win_length: got {options['stft_win_length']}, allowed {options['stft_n_fft']}, the size of "
            "stft_n_fft"
        )
    _check_names(f"{name}.num_stems", options["num_stems"], options["num_stems"], targets)
    return {
        "_target_": "unmix.models.band_roformer.BandRoformer",
        "stft": {
            "_target_": "unmix.dsp.stft.Stft",
            "fft_size": options["stft_n_fft"],
            "hop_size": options["stft_hop_length"],
            "center": True,
            "window": "hann",
            "normalized": options["stft_normalized"],
        },
        "layers": {
            "_target_": "unmix.models.rotary_transformer.Layers",
            "features": options["dim"],
            "depth": options["depth"],
            "time_depth": options["time_transformer_depth"],
            "frequency_depth": options["freq_transformer_depth"],
            "num_heads": options["heads"],
            "head_size": options["dim_head"],
            "attention_dropout": options["attn_dropout"],
            "dropout": options["ff_dropout"],
            "norm": norm,
        },
        "num_channels": 2 if checks.flag(f"{name}.stereo", options["stereo"]) else 1,
        "mask_layers": checks.integer(f"{name}.mask_estimator_depth", options["mask_estimator_depth"], least=1)
        + more_layers,
        "mask_expansion": options["mlp_expansion_factor"],
        "zero_dc": options["zero_dc"],
    }


FAMILIES = {
    "scnet": Family("band_SR", _SCNET, _scnet),
    "bs_roformer": Family("freqs_per_bands", _BS_ROFORMER, _bs_roformer),
    "mel_band_roformer": Family("num_bands", _MEL_BAND_ROFORMER, _mel_band_roformer),
}


def is_of_authors(config: Mapping[str, Any]) -> bool:
    """Whether a YAML is one of SCNet's authors: its rate is under `data`, and it has none of MSST's sections."""
    return {"data", "model"} <= set(config) and not {"audio", "training"} & set(config)


def of_authors(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Convert a YAML of SCNet's authors to MSST's sections, and `arguments` of ours; messages begin with `name`.

    Their network brings spectrograms to mean 0 and standard deviation 1 since 2024-09. That their script does so to
    the waveform first changes nothing but an offset.

    Raises:
        ValueError: when `data` or `model` is not as in their `conf/config.yaml`.
    Source:
        starrytong/SCNet, `conf/config.yaml`, `scnet/inference.py`.
    """
    data, model = config["data"], config["model"]
    for section, value in (("data", data), ("model", model)):
        if not isinstance(value, dict):
            raise ValueError(f"{name}: {section}: got {value!r}, a section is needed, as in SCNet's conf/config.yaml")
    rate = checks.integer(f"{name}: data.samplerate", data.get("samplerate"), least=1)
    seconds = checks.number(f"{name}: data.segment", data.get("segment"), above=0)
    audio = {"sample_rate": rate, "num_channels": data.get("channels"), "chunk_size": round(seconds * rate)}
    sources = model.get("sources", data.get("sources"))
    training = {"model_type": "scnet", "instruments": sources}
    return {"audio": audio, "model": model, "training": training, "arguments": {"standardize": True}}
