"""Compose the configuration of every job, and check it against the signatures of the classes that it names."""

import pickle
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.types import RunMode
from omegaconf import MISSING, DictConfig, open_dict

from unmix import annotations, config_checks, errors, plugins, schema
from unmix.bases import Bases, shared
from unmix.distinct import Distinct
from unmix.identity import resolved
from unmix.interpolations import written

CONF = Path(__file__).parents[2] / "conf"

schema.register()

T = TypeVar("T")


def compose(
    config_name: str, overrides: Sequence[str], *, with_hydra: bool = False, config_dir: str | None = None
) -> DictConfig:
    """Compose the configuration of one job, as Hydra does.

    Args:
        config_name: file of conf/.
        overrides: overrides of this job, without sweeps.
        with_hydra: whether to keep Hydra's own node.
        config_dir: further folder of configurations, by the user, as Hydra's `--config-dir`.
    Raises:
        ValueError: when `config_dir` is not a folder.
    """
    return bases_of(config_name, config_dir).compose(overrides, with_hydra=with_hydra)


def bases_of(config_name: str, config_dir: str | None) -> Bases:
    """Return the bases from which many jobs of a command are composed, all of the same files; raises as `compose`."""
    if config_dir is None:
        return shared(config_name, CONF)
    folder = Path(config_dir).expanduser().resolve()
    if not folder.is_dir():
        raise ValueError(f"--config-dir: {folder} is not a folder; it holds groups as conf/ does, as model/mine.yaml")
    return Bases(config_name, CONF, folder)


def quoted(text: str, quote: str = "'") -> str:
    """Quote a text for Hydra's grammar, in which a backslash is special only before a quote."""
    escaped = re.sub(rf"(\\*)({quote}|\Z)", lambda end: end[1] * 2 + (f"\\{quote}" if end[2] else ""), text)
    return f"{quote}{escaped}{quote}"


@dataclass(frozen=True)
class Command:
    """A parsed command line.

    Args:
        config_name: name of the command: file of conf/ and module of `unmix.runs`.
        hydra: Hydra's own node of the configuration.
        is_sweep: whether there may be several jobs.
        jobs: overrides of each job; empty when a sweeper other than Hydra's basic one chooses them.
        config_dir: see `compose`.
        only: configuration of the single job, when `parse` has composed it already.
    """

    config_name: str
    hydra: DictConfig
    is_sweep: bool
    jobs: list[list[str]]
    config_dir: str | None = None
    only: DictConfig | None = None

    @property
    def launcher(self) -> str:
        """Name of the chosen Hydra launcher."""
        return str(self.hydra.runtime.choices["hydra/launcher"])

    @property
    def is_search(self) -> bool:
        """Whether it searches hyperparameters, and chooses jobs while others run."""
        return self.is_sweep and _is_search(self.hydra)

    def compose_jobs(self) -> Iterator[DictConfig]:
        """Yield the configuration of every job, composed and checked.

        Raises:
            ValueError: when a value is missing or not allowed, or a top-level key is unknown.
        """
        bases = bases_of(self.config_name, self.config_dir)
        yield from self.each(range(len(self.jobs)), lambda number: self._compose(bases, number))

    def _compose(self, bases: Bases, number: int) -> DictConfig:
        cfg = self.only or bases.compose(self.jobs[number], with_hydra=False)
        _check_keys(self.config_name, cfg)
        check_values(self.config_name, cfg)
        return cfg

    def each(self, numbers: Sequence[int], step: Callable[[int], T]) -> Iterator[T]:
        """Yield the results of a step for jobs, given by their numbers.

        Raises:
            ValueError, OSError: as the step, naming the job, unless all jobs are refused with the same message.
        """
        for number in numbers:
            try:
                result = step(number)
            except (ValueError, OSError) as error:
                if number == numbers[0] and all(_refusal(step, other) == str(error) for other in numbers[1:]):
                    raise
                kind = OSError if isinstance(error, OSError) else ValueError
                name = label(self.jobs[number], self.jobs)
                raise kind(f"job {number + 1} of {len(self.jobs)} ({name}): {error}") from error
            yield result


def _refusal(step: Callable[[int], Any], number: int) -> str | None:
    """Message of the error that a step raises for a job; None when it raises none."""
    try:
        step(number)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def label(overrides: Sequence[str], all_overrides: Sequence[Sequence[str]]) -> str:
    """Overrides that distinguish a job from the other jobs of its command, joined by spaces."""
    return _label(overrides, _shared(all_overrides))


def labels(all_overrides: Sequence[Sequence[str]]) -> list[str]:
    """Return the label of every job of a command."""
    shared_by_all = _shared(all_overrides)
    return [_label(overrides, shared_by_all) for overrides in all_overrides]


def _shared(all_overrides: Sequence[Sequence[str]]) -> set[str]:
    return set.intersection(*map(set, all_overrides)) if len(all_overrides) > 1 else set()


def _label(overrides: Sequence[str], shared_by_all: set[str]) -> str:
    return " ".join(override for override in overrides if override not in shared_by_all) or "the only job"


def parse(config_name: str, overrides: list[str], *, multirun: bool = False, config_dir: str | None = None) -> Command:
    """Parse a command line into jobs; `multirun` (-m) or `sweep=...` makes it a sweep."""
    parsed = OverridesParser.create().parse_overrides(overrides)
    plain = [str(override.input_line) for override in parsed if not override.is_sweep_override()]
    composed = compose(config_name, plain, with_hydra=True, config_dir=config_dir)
    node = composed.hydra
    if not multirun and node.mode != RunMode.MULTIRUN and not (node.mode is None and _is_search(node)):
        only = _without_hydra(composed) if len(plain) == len(overrides) else None  # None: Hydra reports the missing -m
        return Command(config_name, node, is_sweep=False, jobs=[overrides], config_dir=config_dir, only=only)
    if not node.sweeper._target_.endswith(".BasicSweeper"):
        return Command(config_name, node, is_sweep=True, jobs=[], config_dir=config_dir)
    from_file = [f"{key}={value}" for key, value in (node.sweeper.get("params") or {}).items()]
    if from_file:
        parsed = OverridesParser.create().parse_overrides([*from_file, *overrides])
    swept = [override for override in parsed if not override.is_hydra_override()]
    jobs = BasicSweeper.split_arguments(swept, None)[0]  # the expansion that Hydra's own sweeper runs
    return Command(config_name, node, is_sweep=True, jobs=jobs, config_dir=config_dir)


def _is_search(hydra_node: DictConfig) -> bool:
    return str(hydra_node.sweeper._target_).startswith("unmix.search.")


def _without_hydra(cfg: DictConfig) -> DictConfig:
    """Copy of a configuration without Hydra's own node."""
    copied: DictConfig = pickle.loads(pickle.dumps(cfg))  # twice as fast as a deep copy
    with open_dict(copied):
        del copied["hydra"]
    return copied


def _check_keys(config_name: str, cfg: DictConfig) -> None:
    """Refuse unknown top-level keys: Hydra accepts `+word.key=1`, but nothing would read it."""
    known = [field.name for field in fields(schema.SCHEMAS[config_name])]
    for key in cfg:
        if key not in known:
            raise ValueError(errors.unknown(str(key), key, known))


def check_values(config_name: str, cfg: DictConfig) -> None:
    """Check the settings of a command. Does not import torch.

    Raises:
        ValueError: naming every key that needs a value, or as `config_checks.check_all`.
    """
    # first as written, as interpolations such as ${targets:} cannot be resolved with a wrong value
    as_written: Any = written(cfg)
    if missing := sorted(_missing(as_written)):
        raise ValueError(errors.needed(missing))
    config_checks.check_all(config_name, as_written)
    config_checks.check_all(config_name, resolved(cfg))


def _missing(value: Any, path: str = "") -> Iterator[str]:
    """Yield the keys of the values that are `???`; `OmegaConf.missing_keys` resolves every interpolation for it."""
    if value == MISSING:
        yield path
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _missing(child, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, child in enumerate(value):
            yield from _missing(child, f"{path}[{i}]")


def check_targets(cfg: DictConfig, distinct: Distinct | None = None) -> None:
    """Check the keys of every node with a `_target_` against the signature of that class or function.

    Args:
        cfg: the configuration.
        distinct: the checks of jobs before this one.
    Raises:
        ValueError: listing every key that is no parameter, with a suggestion, and every value of the wrong type; or
            when the package of a class is neither trusted nor among `plugins`.
    """
    distinct = distinct or Distinct()
    content, wrong = resolved(cfg), []
    trusted = distinct.once(lambda: plugins.check(content.get("plugins")), "plugins", content.get("plugins"))
    for path, values in _nodes_with_target(content, ""):
        check = partial(_misfits, path, values, trusted)
        wrong += distinct.once(check, f"target {path}", [values, trusted])
    if wrong:
        raise ValueError(" | ".join(wrong))


def _nodes_with_target(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield path, node
        for key, child in node.items():
            yield from _nodes_with_target(child, f"{path}.{key!s}" if path else str(key))
    elif isinstance(node, list):
        for i, child in enumerate(node):
            yield from _nodes_with_target(child, f"{path}[{i}]")


def _misfits(path: str, values: dict[str, Any], trusted: Sequence[str]) -> list[str]:
    called = plugins.locate(values["_target_"], f"{path}._target_", trusted)
    return list(annotations.misfits(path, called, values))
