"""Releases in the layout of MSST (Music-Source-Separation-Training): a YAML file, and a file of weights beside it.

The YAML has `audio`, `model` (arguments of a network) and `training` (names of the sources). The weights are a state
dict, or under one of `STATES`; they are read without running code. An option that changes the result is honoured or
refused. Chunks, overlap and batches are `separator.*` here. The files of SCNet's authors are read too, see
`msst_families.of_authors`.
"""

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from unmix import checks, errors
from unmix.weights import checkpoint, files
from unmix.weights.checkpoint import Checkpoint
from unmix.weights.fit import misfit
from unmix.weights.msst_families import FAMILIES, Family, is_of_authors, of_authors

log = logging.getLogger(__name__)

# `best_state` is that of SCNet's authors, whose `state` is the last one, without averaging; their inference takes it.
STATES = ("best_state", "state", "state_dict", "model_state_dict")
DEFAULT_RATE = 44100  # MSST's, when a YAML names none


class _Loader(yaml.SafeLoader):
    """YAML loader that runs no code, and reads a tuple of Python as a list."""


def _sequence(loader: _Loader, node: yaml.SequenceNode) -> list[Any]:
    return loader.construct_sequence(node)


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _sequence)


def read(path: Path) -> list[Checkpoint]:
    """Read the network of a release.

    Args:
        path: folder with the YAML and the file of weights, or the file of weights.
    Raises:
        FileNotFoundError: when a folder has no file of weights.
        ValueError: when there are several, a file is damaged or contains code, the family is not known, an option is
            not supported, or the weights do not fit the options.
    """
    config_path, weights = files.msst_pair(path)
    config = _read_config(config_path)
    model, data = _described(config, f"ckpt: {config_path}")
    state = _read_state(weights)
    item = Checkpoint(weights, tuple(model["targets"]), {"model": model, "data": data}, {}, {}, state)
    _check_fit(item, config_path)
    if licence := _licence(weights.parent / "README.md"):
        log.warning("%s: its weights are under %s", weights.parent, licence)
    return [item]


def _licence(card: Path) -> str | None:
    """Licence in the front matter of a model card, as Hugging Face's repositories have it; None when none is stated."""
    parts = card.read_text(encoding="utf-8").split("---\n", 2) if card.is_file() else []
    if len(parts) < 3 or parts[0]:
        return None
    try:
        front = yaml.load(parts[1], _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"ckpt: {card} cannot be read for its licence: {errors.one_line(error)}") from error
    stated = front if isinstance(front, dict) else {}
    licence = stated.get("license_name") or stated.get("license")
    return None if licence is None else str(licence)


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ValueError(f"ckpt: {path} cannot be read as YAML without code: {errors.one_line(error)}") from error
    if isinstance(config, dict) and is_of_authors(config):
        return of_authors(config, f"ckpt: {path}")
    for section in ("audio", "model", "training"):
        if not isinstance(config, dict) or not isinstance(config.get(section), dict):
            raise ValueError(f"ckpt: {path} has no section {section!r}, which MSST's files have")
    return {section: config.get(section) for section in ("audio", "model", "training", "inference")}


def _described(config: Mapping[str, Any], name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make the nodes `model` and `data` of our configuration from MSST's; messages begin with `name`."""
    audio, training, inference = config["audio"], config["training"], config.get("inference") or {}
    family = _family(config, name)
    if inference.get("normalize"):
        raise ValueError(f"{name}: inference.normalize: got true, allowed false: tracks are not normalised here")
    chunk = inference.get("chunk_size", audio.get("chunk_size"))
    checks.integer(f"{name}: audio.chunk_size", chunk, least=1)
    targets = checks.texts(f"{name}: training.instruments", training.get("instruments"))
    if training.get("target_instrument") is not None:
        targets = [checks.text(f"{name}: training.target_instrument", training["target_instrument"])]
    options = {**family.defaults, **config["model"]}
    for option in options:
        if option not in family.defaults:
            raise ValueError(errors.unknown(f"{name}: model", option, family.defaults))
    arguments = family.arguments(options, targets, f"{name}: model")
    rate = audio.get("sample_rate", arguments.get("sample_rate", DEFAULT_RATE))
    checks.integer(f"{name}: audio.sample_rate", rate, least=1)
    for key, value in (("num_channels", audio.get("num_channels")), ("sample_rate", rate)):
        if value is not None and arguments.get(key, value) != value:
            raise ValueError(f"{name}: audio.{key}: got {value}, the model takes {arguments[key]}")
    model = {"targets": targets, "sample_rate": rate, "chunk_seconds": chunk / rate, **arguments}
    model.update(config.get("arguments") or {})
    return model, {"sample_rate": rate, "sources": targets, "root": None}


def _family(config: Mapping[str, Any], name: str) -> Family:
    """Choose the family: by `training.model_type`, else by an option that no other family has."""
    kind = config["training"].get("model_type")
    marked = (key for key, family in FAMILIES.items() if family.mark in config["model"])
    key = next(marked, None) if kind is None else kind
    if key not in FAMILIES:
        got = "options of another network" if kind is None else repr(kind)
        raise ValueError(f"{name}: training.model_type: got {got}, allowed {', '.join(FAMILIES)}")
    return FAMILIES[key]


def _read_state(path: Path) -> dict[str, Tensor]:
    """Read a state dict in single precision; names that all begin with `module.`, as DDP saves them, lose it."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"ckpt: {path} is damaged, or holds objects beside its weights, which are not loaded as they can run code"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ValueError(f"ckpt: {path} does not contain weights (damaged, or another kind of file)") from error
    for key in STATES:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"ckpt: {path} has no state dict: looked at the top and under {', '.join(STATES)}")
    is_wrapped = all(str(name).startswith("module.") for name in content)
    names = [str(name).removeprefix("module.") if is_wrapped else str(name) for name in content]
    values = [value.float() if value.is_floating_point() else value for value in content.values()]
    return dict(zip(names, values, strict=True))


def _check_fit(item: Checkpoint, config_path: Path) -> None:
    """Check names and shapes of the weights against the network that the YAML describes."""
    name = f"ckpt: {config_path}"
    try:
        with torch.device("meta"):
            expected = checkpoint.build(item.config["model"], name, ()).state_dict()
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).removeprefix(f'{name}: ')}") from error
    if wrong := misfit(expected, item.state):
        raise ValueError(f"ckpt: {item.path} does not fit {config_path}: it {wrong}")
