"""One `.safetensors` file for a whole separator: the weights of all targets, and their configuration as metadata."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from unmix.models.checkpoint import KEY, SCHEMA, Checkpoint

ENDING = ".safetensors"
_TOLD = ("model", "stft")  # what a user of the weights needs; data and folders of whoever trained them stay there


def write(checkpoints: Mapping[str, Checkpoint], path: Path) -> None:
    """Write networks, by target, into one file; whole or not at all."""
    weights = {
        f"{target}.{name}": value.contiguous()
        for target, one in checkpoints.items()
        for name, value in one.state.items()
    }
    about = {
        "schema": SCHEMA,
        "targets": {
            target: {
                "config": {
                    **{name: one.config[name] for name in _TOLD},
                    "data": {"sample_rate": one.config["data"]["sample_rate"], "root": None},
                },
                "metrics": one.metrics,
            }
            for target, one in checkpoints.items()
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        save_file(weights, str(partial), metadata={KEY: json.dumps(about)})
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> list[Checkpoint]:
    """The networks of a file that `write` wrote.

    Raises:
        ValueError: when it is no such file, or from a newer version.
    """
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError) as error:
        raise ValueError(f"ckpt: {path} is not a {ENDING} file (damaged, or another kind): {error}") from error
    if KEY not in metadata:
        raise ValueError(f"ckpt: {path} was not written by unmix: its metadata have no key {KEY!r}")
    about = json.loads(metadata[KEY])
    if about["schema"] > SCHEMA:
        raise ValueError(f"ckpt: {path} has schema {about['schema']}, this version reads up to {SCHEMA}: update unmix")
    return [
        Checkpoint(
            path,
            target,
            one["config"],
            one["metrics"],
            {},
            {
                name.removeprefix(f"{target}."): value
                for name, value in weights.items()
                if name.startswith(f"{target}.")
            },
        )
        for target, one in about["targets"].items()
    ]
