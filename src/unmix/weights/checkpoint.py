"""Our checkpoint file: Lightning's layout plus the key `unmix`, which holds all that is needed to use the weights.

It contains only tensors and plain containers: `torch.load(..., weights_only=True)` reads it, and no code in a file can
run. The file is mapped into memory, so that reading its metadata does not read its weights.
"""

import hashlib
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unmix import errors
from unmix import plugins as packages
from unmix.models import contract
from unmix.weights import files
from unmix.weights.fit import misfit
from unmix.weights.migration import migrated, migrated_data

KEY = "unmix"
SCHEMA = 2
# Keys of a node that are instructions to Hydra, not arguments; containers are always plain here.
HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_")
MODULE_PREFIX = "model."  # prefix of the model's weights in the state of the LightningModule


@dataclass(frozen=True)
class Checkpoint:
    """Contents of a checkpoint file.

    Args:
        path: path of the file.
        targets: names of the sources that its model estimates.
        config: resolved configuration of the training run, in plain containers.
        metrics: metrics of the epoch in which it was saved.
        record: everything else under the key `unmix`: experiment, seed, git, data fingerprint.
        state: state dict of the model alone.
        stamp: see `files.stamp`, taken before the file was read; empty for files in other formats.
    """

    path: Path
    targets: tuple[str, ...]
    config: dict[str, Any]
    metrics: dict[str, float]
    record: dict[str, Any]
    state: dict[str, Tensor]
    stamp: Sequence[int] = ()

    @property
    def family(self) -> str:
        """Name of its model's class."""
        return str(self.config["model"]["_target_"]).rpartition(".")[2]

    @property
    def sample_rate(self) -> int:
        """Sample rate of the audio that its model was trained on, Hz."""
        return int(self.config["data"]["sample_rate"])


def read(path: Path) -> Checkpoint:
    """Read a checkpoint; its tensors stay on the CPU.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not a checkpoint, not one of ours, or written by a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"ckpt: {path} is not a file")
    stamp = files.stamp(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(
            f"ckpt: {path} is not a checkpoint (damaged, another kind of file, or one with objects beside its weights, "
            "which are not loaded as they can run code)"
        ) from error
    if not isinstance(content, dict) or KEY not in content:
        raise ValueError(
            f"ckpt: {path} was not written by unmix: it has no key {KEY!r}; weights in MSST's layout need their YAML "
            "file beside them"
        )
    record = content[KEY]
    check_schema(record["schema"], path)
    state = {
        name.removeprefix(MODULE_PREFIX): value
        for name, value in content["state_dict"].items()
        if name.startswith(MODULE_PREFIX)
    }
    if record["schema"] < SCHEMA:
        record["targets"], record["config"], state = migrated((record["target"],), record["config"], state)
    else:
        record["config"] = {**record["config"], "data": migrated_data(record["config"]["data"])}
    return Checkpoint(path, tuple(record["targets"]), record["config"], record["metrics"], record, state, stamp)


def check_schema(schema: int, path: Path) -> None:
    """Check that this version can read a file; raises ValueError when a newer one wrote it."""
    if schema > SCHEMA:
        raise ValueError(f"ckpt: {path} has schema {schema}, this version reads up to {SCHEMA}: update unmix")


def build_model(checkpoint: Checkpoint, plugins: Sequence[str] = ()) -> nn.Module:
    """Build the trained model, in evaluation mode.

    Args:
        checkpoint: see `read`.
        plugins: packages outside this project whose classes the checkpoint may name.
    Raises:
        ValueError: when the checkpoint names a class of another package, or its weights do not fit.
    """
    model = build(checkpoint.config["model"], f"ckpt: {checkpoint.path}", plugins)
    try:
        model.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        wrong = misfit(model.state_dict(), checkpoint.state) or errors.one_line(error)
        raise ValueError(
            f"ckpt: the weights in {checkpoint.path} do not fit {checkpoint.family}, which its configuration names: "
            f"it {wrong}"
        ) from error
    return model.eval()


def build(node: Mapping[str, Any], name: str, plugins: Sequence[str]) -> nn.Module:
    """Build a model from the node `model` of a configuration; error messages begin with `name`."""
    return _built(node, name, plugins)


def _built(node: Any, name: str, plugins: Sequence[str]) -> Any:
    """Build objects from plain containers, calling the class or function that each `_target_` names."""
    if isinstance(node, list | tuple):
        return [_built(child, name, plugins) for child in node]
    if not isinstance(node, Mapping):
        return node
    arguments = {key: _built(child, name, plugins) for key, child in node.items() if key not in HYDRA_KEYS}
    if "_target_" not in node:
        return arguments
    make = packages.locate(node["_target_"], name, plugins)
    positional = arguments.pop("_args_", [])
    if node.get("_partial_"):
        return partial(make, *positional, **arguments)
    try:
        return make(*positional, **arguments)
    except TypeError as error:  # the class has changed since the training
        raise ValueError(f"{name}: {node['_target_']} cannot be built as it was for training: {error}") from error


def check_model(checkpoint: Checkpoint, plugins: Sequence[str] = ()) -> Any:
    """Build a checkpoint's model without its weights, to see that it can be built.

    Models of this project are built on the device `meta`, without values; those of plugins may need values and are
    built on the CPU.

    Returns:
        The model, whose values mean nothing.
    Raises:
        ValueError: as `build_model`.
    """
    with torch.device("cpu" if packages.is_plugin(checkpoint.config["model"]["_target_"]) else "meta"):
        model = build(checkpoint.config["model"], f"ckpt: {checkpoint.path}", plugins)
        contract.check(model, "ckpt")
    return model


def digest(state: Mapping[str, Tensor]) -> str:
    """Hash the names and values of weights, to 16 hex digits."""
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]
