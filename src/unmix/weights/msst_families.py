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
    if len(sources) != len(targets):
        raise ValueError(
            f"{name}.sources: got {', '.join(sources)}, training.instruments and target_instrument name "
            f"{', '.join(targets)}: a name for each estimate is needed; separate.py chooses among them by targets=[...]"
        )
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


FAMILIES = {"scnet": Family("band_SR", _SCNET, _scnet)}


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
