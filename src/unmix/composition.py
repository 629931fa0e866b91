"""Overrides -> the configuration of every job, checked against the constructors it goes to."""

import inspect
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf

from unmix import errors, schema

CONF = Path(__file__).parents[2] / "conf"

schema.register()


def compose(config_name: str, overrides: list[str], *, with_hydra: bool = False) -> DictConfig:
    """The configuration that these overrides make, as Hydra would; with Hydra's own node on request."""
    current = GlobalHydra.instance().hydra  # a launcher composes within hydra.main
    GlobalHydra.instance().hydra = None
    try:
        with warnings.catch_warnings(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
            warnings.simplefilter("ignore")  # `_self_` and the like are for us, not for the user
            return hydra.compose(config_name, overrides, return_hydra_config=with_hydra)
    finally:
        GlobalHydra.instance().hydra = current


@dataclass(frozen=True)
class Command:
    """A command line, taken apart.

    Args:
        config_name: file of conf/, and command of `unmix.runs`.
        hydra: Hydra's own node.
        is_sweep: whether there may be several jobs.
        jobs: overrides of each.
    """

    config_name: str
    hydra: DictConfig
    is_sweep: bool
    jobs: list[list[str]]

    def compose_jobs(self) -> Iterator[DictConfig]:
        """Every job's configuration.

        Raises:
            ValueError: when a value is missing.
        """
        for job in self.jobs:
            cfg = compose(self.config_name, job)
            if missing := OmegaConf.missing_keys(cfg):
                raise ValueError(f"{', '.join(sorted(missing))}: needed; give a value on the command line")
            _check_keys(self.config_name, cfg)
            OmegaConf.resolve(cfg.copy())
            yield cfg


def parse(config_name: str, overrides: list[str], *, multirun: bool = False) -> Command:
    """Find out what a command line asks for; `sweep=...` makes a sweep of it as -m does."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    plain = [str(one.input_line) for one in parsed if not one.is_sweep_override()]
    node = compose(config_name, plain, with_hydra=True).hydra
    if not multirun and node.mode != RunMode.MULTIRUN:
        return Command(config_name, node, is_sweep=False, jobs=[overrides])
    from_file = [f"{key}={value}" for key, value in (node.sweeper.get("params") or {}).items()]
    if from_file:
        parsed = OverridesParser.create().parse_overrides([*from_file, *overrides])
    jobs = BasicSweeper.split_arguments([one for one in parsed if not one.is_hydra_override()], None)[0]
    return Command(config_name, node, is_sweep=True, jobs=jobs)


def _check_keys(config_name: str, cfg: DictConfig) -> None:
    """`+word.key=1` would make a new top-level key that nobody reads."""
    known = [field.name for field in fields(schema.SCHEMAS[config_name])]
    for key in cfg:
        if key not in known:
            raise ValueError(errors.unknown(str(key), key, known))


def check_targets(cfg: DictConfig) -> None:
    """Bind every node with a `_target_` to its signature.

    Raises:
        ValueError: naming every key that the target does not take, and the nearest that it does.
    """
    wrong = [message for path, node in _nodes_with_target(cfg, "") for message in _misfits(path, node)]
    if wrong:
        raise ValueError(" | ".join(wrong))


def _nodes_with_target(node: Any, path: str) -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig) and not node._is_none():
        if "_target_" in node:
            yield path, node
        for key in node:
            yield from _nodes_with_target(node._get_node(key), f"{path}.{key!s}" if path else str(key))
    elif isinstance(node, ListConfig) and not node._is_none():
        for i in range(len(node)):
            yield from _nodes_with_target(node._get_node(i), f"{path}[{i}]")


def _misfits(path: str, node: DictConfig) -> Iterator[str]:
    parameters = inspect.signature(hydra.utils.get_object(node._target_)).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key, value in node.items():
        if str(key).startswith("_"):
            continue
        if key not in parameters:
            yield errors.unknown(f"{path}.{key!s}", key, parameters)
        elif parameters[str(key)].annotation in (int, float) and isinstance(value, str):
            yield f"{path}.{key!s}: got {value!r}, a number is needed"
