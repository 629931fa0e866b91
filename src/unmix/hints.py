"""Explanations of refused command lines: one line that names the key, what is allowed, and what to write instead."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser  # Hydra has no public parser of its own flags
from hydra.errors import ConfigCompositionException, InstantiationException, MissingConfigException
from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.composition import CONF, compose


def explain(error: BaseException, config_name: str, arguments: Sequence[str] = ()) -> str:
    """Format an error as one line, with a suggestion for a mistyped key or group.

    Args:
        error: the error that ended the command.
        config_name: name of the command.
        arguments: its command line; the groups chosen there decide which keys exist.
    """
    text = str(error)
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return errors.one_line(error.__cause__)
    if isinstance(error, MissingConfigException) and error.options:
        group, _, name = str(error.missing_cfg_file).rpartition("/")
        message = errors.unknown(group, name, error.options)
        has_folder = any(argument.startswith(("--config-dir", "-cd")) for argument in arguments)
        is_typo = "did you mean" in message
        return message if has_folder or is_typo else f"{message}; --config-dir=... adds a folder of your own"
    if text.startswith("Config group override must be"):
        return _nothing_chosen(arguments)
    if isinstance(error, ConfigCompositionException):
        for beginning in ("Could not override '", "Could not append to config. ", "Could not delete from config. '"):
            if text.startswith(beginning) and "'" in text:
                return _unknown_key(text.split("'")[1], _base(config_name, arguments))
    return errors.one_line(error)


def _nothing_chosen(arguments: Sequence[str]) -> str:
    """Format the message for a group set to null, such as `logger=null`, which Hydra does not allow."""
    options = get_args_parser().parse_intermixed_args(list(arguments))
    group = next(group for group, value in _choices(options) if value == "null")
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"{group}: got null, allowed {', '.join(names)}; one entry of a group is left out as {group}.<entry>=null"


def _base(config_name: str, arguments: Sequence[str]) -> DictConfig:
    """Compose the configuration with the groups that a command line chooses (the first of a sweep), nothing else."""
    options = get_args_parser().parse_intermixed_args(list(arguments))
    choices = [f"{group}={value.partition(',')[0]}" for group, value in _choices(options) if value != "null"]
    return compose(config_name, choices, with_hydra=True, config_dir=options.config_dir)


def _choices(options: Any) -> list[tuple[str, str]]:
    """Overrides that choose a file of a group, as pairs (group, file)."""
    folders = group_folders(options)
    pairs = [override.partition("=")[::2] for override in options.overrides]
    return [(group, value) for group, value in pairs if any((folder / group).is_dir() for folder in folders)]


def group_folders(options: Any) -> list[Path]:
    """Folders that hold configuration groups: ours and, with `--config-dir`, the user's."""
    return [CONF, *([Path(options.config_dir)] if options.config_dir else [])]


def _unknown_key(key: str, base: DictConfig) -> str:
    """Format the message for an unknown key, with the names allowed in place of its first wrong part."""
    node: Any = base
    parts = key.split(".")
    for i, part in enumerate(parts):
        if node is None:
            group = ".".join(parts[:i])
            return f"{key}: {group} is empty here; choose what it is first, as {group}=..., then its keys"
        if not OmegaConf.is_dict(node) or part not in node:
            return errors.unknown(key, part, [str(name) for name in node] if OmegaConf.is_dict(node) else [])
        node = node[part]
    return f"{key}: no such key in this configuration"
