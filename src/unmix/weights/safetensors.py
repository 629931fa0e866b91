"""A `.safetensors` file for a separator: the weights of all its models, with their configurations as metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unmix.files import replacing
from unmix.weights.checkpoint import KEY, SCHEMA, Checkpoint, check_schema
from unmix.weights.files import SAFETENSORS
from unmix.weights.migration import migrated

PUBLISHED = ("model",)  # nodes of a configuration to write; data and paths of the training machine stay private


def write(checkpoints: Sequence[Checkpoint], path: Path) -> None:
    """Write the weights of several models into one file, completely or not at all.

    Args:
        checkpoints: models that together estimate the sources of one separator.
        path: file to write; an existing one is replaced.
    Raises:
        OSError: when the file cannot be written.
    """
    weights = {  # copies, as the format has no weights that share memory
        f"{number}.{name}": value.clone(memory_format=torch.contiguous_format)
        for number, checkpoint in enumerate(checkpoints)
        for name, value in checkpoint.state.items()
    }
    metadata = {"schema": SCHEMA, "models": [_entry(checkpoint) for checkpoint in checkpoints]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, is_durable=True) as partial:
        save_file(weights, str(partial), metadata={KEY: json.dumps(metadata)})


def _entry(checkpoint: Checkpoint) -> dict[str, Any]:
    """Make the metadata of one model: targets, metrics and the published part of its configuration."""
    data = {"sample_rate": checkpoint.sample_rate, "sources": checkpoint.config["data"].get("sources"), "root": None}
    config = {**{name: checkpoint.config[name] for name in PUBLISHED}, "data": data}
    return {"targets": list(checkpoint.targets), "config": config, "metrics": checkpoint.metrics}


def read(path: Path) -> list[Checkpoint]:
    """Read the models of a file that `write` wrote.

    Args:
        path: `.safetensors` file.
    Raises:
        ValueError: when the file is damaged, of another kind, or from a newer version.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
    except (SafetensorError, OSError) as error:
        raise ValueError(f"ckpt: {path} is not a {SAFETENSORS} file (damaged, or another kind): {error}") from error
    if KEY not in metadata:
        raise ValueError(f"ckpt: {path} was not written by unmix: its metadata have no key {KEY!r}")
    content = json.loads(metadata[KEY])
    check_schema(content["schema"], path)
    if content["schema"] == 1:
        return [_first_schema(path, target, entry, weights) for target, entry in content["targets"].items()]
    return [
        Checkpoint(
            path, tuple(entry["targets"]), entry["config"], entry["metrics"], {}, _with_prefix(weights, f"{number}.")
        )
        for number, entry in enumerate(content["models"])
    ]


def _first_schema(path: Path, target: str, entry: dict[str, Any], weights: Mapping[str, Tensor]) -> Checkpoint:
    """Make a checkpoint from a file of schema 1, in which networks were listed by target."""
    targets, config, state = migrated([target], entry["config"], _with_prefix(weights, f"{target}."))
    return Checkpoint(path, tuple(targets), config, entry["metrics"], {}, state)


def _with_prefix(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
