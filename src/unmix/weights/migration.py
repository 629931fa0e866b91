"""Migration of checkpoints from earlier schemas to the current one.

Schema 1 had one Open-Unmix network per file: `config.model` named the network, `config.stft` its STFT, the weights had
no prefix, and `config.data` had a `target`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

NETWORK_PREFIX = "network."  # prefix of the network's weights in the model that contains it
UMX = "unmix.models.open_unmix.UMX"
STFT = "unmix.dsp.stft.Stft"
MOVED = {
    "unmix.data.demo.write_tree": "unmix.demo.tree.write_tree",
}
# Functions that `data.download` replaces.
REMOVED = ("unmix.data.preview.download", "unmix.data.library.download_preview")
# Removed arguments of the data module.
DROPPED_OF_DATA = ("target",)
# Removed values with replacements that give the same samples; a checkpoint would download data wherever it is read.
REPLACED_IN_DATA = {("storage", "ram"): "disk", ("download", True): False}


def migrated(
    targets: Sequence[str], config: Mapping[str, Any], state: Mapping[str, Tensor]
) -> tuple[list[str], dict[str, Any], dict[str, Tensor]]:
    """Convert targets, configuration and weights of a checkpoint from schema 1 to schema 2."""
    network = {key: value for key, value in config["model"].items() if key not in ("_target_", "num_bins")}
    stft = {"_target_": STFT, "fft_size": config["stft"]["fft_size"], "hop_size": config["stft"]["hop_size"]}
    others = {key: value for key, value in config.items() if key != "stft"}
    model_class = _model_class(config["model"]["_target_"])
    model = {"_target_": model_class, "targets": list(targets), "stft": stft, **network}
    return list(targets), {**others, "model": model, "data": migrated_data(config["data"])}, with_prefix(state)


def migrated_data(config: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the node `data` of a checkpoint's configuration to the arguments of the present data module."""
    data = {key: value for key, value in config.items() if key not in DROPPED_OF_DATA}
    for (key, removed), value in REPLACED_IN_DATA.items():
        if data.get(key) == removed:
            data[key] = value
    prepare = data.get("prepare")
    if isinstance(prepare, dict) and prepare.get("_target_") in MOVED:
        data["prepare"] = {**prepare, "_target_": MOVED[prepare["_target_"]]}
    if isinstance(prepare, dict) and prepare.get("_target_") in REMOVED:
        del data["prepare"]
    return data


def _model_class(network_class: str) -> str:
    """Map the network class of schema 1 to its model class; other names are kept, and fail when they are imported."""
    return UMX if network_class == "unmix.models.open_unmix.OpenUnmix" else network_class


def with_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of an Open-Unmix network to their names in the model that contains it."""
    return {f"{NETWORK_PREFIX}{name}": value for name, value in state.items()}
