"""One `.safetensors` file for a whole separator: the weights of all targets, and their configuration as metadata."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unmix.files import replacing
from unmix.weights.checkpoint import KEY, SCHEMA, Checkpoint, check_schema
from unmix.weights.migration import migrated

ENDING = ".safetensors"
PUBLISHED = ("model",)  # of a configuration; data and folders of whoever trained the model stay there


def write(checkpoints: Sequence[Checkpoint], path: Path) -> None:
    """Write the weights of several models into one file; whole or not at all.

    Args:
        checkpoints: which together estimate the sources of one separator.
        path: of the file; one that is there is replaced.
    """
    weights = {
        f"{number}.{name}": value.contiguous()
        for number, checkpoint in enumerate(checkpoints)
        for name, value in checkpoint.state.items()
    }
    about = {"schema": SCHEMA, "models": [_about(checkpoint) for checkpoint in checkpoints]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, is_durable=True) as partial:
        save_file(weights, str(partial), metadata={KEY: json.dumps(about)})


def _about(checkpoint: Checkpoint) -> dict[str, Any]:
    data = {"sample_rate": checkpoint.sample_rate, "sources": checkpoint.config["data"].get("sources"), "root": None}
    config = {**{name: checkpoint.config[name] for name in PUBLISHED}, "data": data}
    return {"targets": list(checkpoint.targets), "config": config, "metrics": checkpoint.metrics}


def read(path: Path) -> list[Checkpoint]:
    """Read the models of a file that `write` wrote.

    Raises:
        ValueError: when it is another kind of file, or from a newer version.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is not a mapping
    except (SafetensorError, OSError) as error:
        raise ValueError(f"ckpt: {path} is not a {ENDING} file (damaged, or another kind): {error}") from error
    if KEY not in metadata:
        raise ValueError(f"ckpt: {path} was not written by unmix: its metadata have no key {KEY!r}")
    about = json.loads(metadata[KEY])
    check_schema(about["schema"], path)
    if about["schema"] == 1:
        return [_first_schema(path, target, entry, weights) for target, entry in about["targets"].items()]
    return [
        Checkpoint(
            path, tuple(entry["targets"]), entry["config"], entry["metrics"], {}, _with_prefix(weights, f"{number}.")
        )
        for number, entry in enumerate(about["models"])
    ]


def _first_schema(path: Path, target: str, entry: dict[str, Any], weights: Mapping[str, Tensor]) -> Checkpoint:
    """A network of a file in which they lay by target."""
    targets, config, state = migrated([target], entry["config"], _with_prefix(weights, f"{target}."))
    return Checkpoint(path, tuple(targets), config, entry["metrics"], {}, state)


def _with_prefix(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
