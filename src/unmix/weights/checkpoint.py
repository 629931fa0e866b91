"""Our checkpoint file: Lightning's layout and one key `unmix` that says all there is to know to use the weights.

Only tensors and plain containers are inside, so that `torch.load(..., weights_only=True)` reads it, and a file that
carries code cannot run it. The file is mapped into memory: reading what it says costs no reading of its weights.
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

from unmix import plugins as packages
from unmix.models import contract
from unmix.weights.migration import migrated, migrated_data

KEY = "unmix"
SCHEMA = 2
# Hydra's words in a node beside `_target_`, `_args_` and `_partial_`; containers are always plain here.
HYDRA_KEYS = ("_target_", "_partial_", "_convert_", "_recursive_")
MODULE_PREFIX = "model."  # of the model's weights in the state of the LightningModule


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file says.

    Args:
        path: of the file.
        targets: names of the sources its model estimates.
        config: the resolved configuration of the training run, plain containers.
        metrics: of the epoch it was saved in.
        record: everything else under the key `unmix`: experiment, seed, git, data fingerprint.
        state: of the model alone.
    """

    path: Path
    targets: tuple[str, ...]
    config: dict[str, Any]
    metrics: dict[str, float]
    record: dict[str, Any]
    state: dict[str, Tensor]

    @property
    def sample_rate(self) -> int:
        """Rate of the audio its model was trained on, Hz."""
        return int(self.config["data"]["sample_rate"])


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, on the CPU.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not a checkpoint, not one of ours, or written by a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"ckpt: {path} is not a file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"ckpt: {path} is not a checkpoint (damaged, or another kind of file)") from error
    if not isinstance(content, dict) or KEY not in content:
        raise ValueError(f"ckpt: {path} was not written by unmix: it has no key {KEY!r}")
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
    return Checkpoint(path, tuple(record["targets"]), record["config"], record["metrics"], record, state)


def check_schema(schema: int, path: Path) -> None:
    """Raise ValueError when a file was written by a newer version."""
    if schema > SCHEMA:
        raise ValueError(f"ckpt: {path} has schema {schema}, this version reads up to {SCHEMA}: update unmix")


def build_model(checkpoint: Checkpoint, plugins: Sequence[str] = ()) -> nn.Module:
    """Build the trained model, in evaluation mode.

    Args:
        checkpoint: see `read`.
        plugins: packages outside this project whose classes it may name.
    Raises:
        ValueError: when the checkpoint names a class of another package, or its weights do not fit.
    """
    model = build(checkpoint.config["model"], f"ckpt: {checkpoint.path}", plugins)
    try:
        model.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        raise ValueError(f"ckpt: the weights in {checkpoint.path} do not fit its configuration: {error}") from error
    return model.eval()


def build(node: Mapping[str, Any], name: str, plugins: Sequence[str]) -> nn.Module:
    """Build the model of a configuration's node `model`; `name` begins its error messages."""
    return _built(node, name, plugins)


def _built(node: Any, name: str, plugins: Sequence[str]) -> Any:
    """Build objects from plain containers: every mapping with `_target_` is a call of what that names."""
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
    except TypeError as error:  # its class has changed since
        raise ValueError(f"{name}: {node['_target_']} cannot be built as it was for training: {error}") from error


def check_model(checkpoint: Checkpoint, plugins: Sequence[str] = ()) -> None:
    """Check that the class of a checkpoint's model may be imported, without reading its weights.

    Models of this project are built without values (`torch.device("meta")`); those of plugins may read values there.

    Raises:
        ValueError: as `build_model`.
    """
    with torch.device("cpu" if packages.is_plugin(checkpoint.config["model"]["_target_"]) else "meta"):
        contract.check(build(checkpoint.config["model"], f"ckpt: {checkpoint.path}", plugins), "ckpt")


def digest(state: Mapping[str, Tensor]) -> str:
    """Sixteen hex digits over the weights: other weights, other digits."""
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]
