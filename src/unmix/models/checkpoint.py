"""Our checkpoint file: Lightning's layout and one key `unmix` that says all there is to know to use the weights.

Only tensors and plain containers are inside, so that `torch.load(..., weights_only=True)` reads it, and a file that
carries code cannot run it.
"""

import hashlib
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

KEY = "unmix"
SCHEMA = 1
# A checkpoint names its network class; it may name nothing else.
NETWORKS = "unmix.models."


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file says.

    Args:
        path: of the file.
        target: name of the source its network separates.
        config: the resolved configuration of the training run, plain containers.
        metrics: of the epoch it was saved in.
        record: everything else under the key `unmix`: experiment, seed, git, data fingerprint, statistics.
        state: of the network alone.
    """

    path: Path
    target: str
    config: dict[str, Any]
    metrics: dict[str, float]
    record: dict[str, Any]
    state: dict[str, Tensor]


def read(path: Path) -> Checkpoint:
    """Read a checkpoint, on the CPU.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is no checkpoint, not one of ours, or written by a newer version.
    """
    if not path.is_file():
        raise FileNotFoundError(f"ckpt: {path} is not a file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"ckpt: {path} is not a checkpoint (damaged, or another kind of file)") from error
    if not isinstance(content, dict) or KEY not in content:
        raise ValueError(f"ckpt: {path} was not written by unmix: it has no key {KEY!r}")
    record = content[KEY]
    if record["schema"] > SCHEMA:
        raise ValueError(f"ckpt: {path} has schema {record['schema']}, this version reads up to {SCHEMA}: update unmix")
    prefix = "model."
    state = {
        name.removeprefix(prefix): value for name, value in content["state_dict"].items() if name.startswith(prefix)
    }
    return Checkpoint(path, record["target"], record["config"], record["metrics"], record, state)


def build_network(checkpoint: Checkpoint) -> nn.Module:
    """The trained network, in evaluation mode.

    Raises:
        ValueError: when the checkpoint names a class outside `unmix.models`, or its weights do not fit.
    """
    arguments = dict(checkpoint.config["model"])
    target = arguments.pop("_target_")
    if not target.startswith(NETWORKS):
        raise ValueError(f"ckpt: {checkpoint.path} wants the class {target!r}; allowed are those in {NETWORKS}*")
    module, _, name = target.rpartition(".")
    network: nn.Module = getattr(import_module(module), name)(**arguments)
    try:
        network.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        raise ValueError(f"ckpt: the weights in {checkpoint.path} do not fit its configuration: {error}") from error
    return network.eval()


def digest(state: Mapping[str, Tensor]) -> str:
    """Sixteen hex digits over the weights: other weights, other digits."""
    sha = hashlib.sha256()
    for name in sorted(state):
        sha.update(name.encode() + state[name].contiguous().numpy().tobytes())
    return sha.hexdigest()[:16]
