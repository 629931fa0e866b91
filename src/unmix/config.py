"""Command line -> checked configuration -> one of the functions in `runs` -> exit code.

Everything that can be wrong is found before Hydra writes its first file: the jobs of a sweep are composed, their
values bound to the constructors they go to, and the data looked at. Then `hydra.main` runs.
"""

import inspect
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import ConfigCompositionException, HydraException, InstantiationException
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unmix import errors
from unmix.identity import register_resolvers

CONF = Path(__file__).parents[2] / "conf"
# Their values are file names, which Hydra's grammar would take apart.
LITERAL_KEYS = ("input", "ckpt", "data.root", "paths.out", "paths.data", "init_from")
USAGE_ERROR, INTERRUPTED = 2, 130


@dataclass
class Paths:
    """Where results go, and where prepared data and caches stay."""

    out: str = "outputs"
    data: str = MISSING


@dataclass
class TrainSchema:
    """Top-level keys of conf/train.yaml."""

    name: str = MISSING
    target: str = MISSING
    seed: int = MISSING
    data: Any = MISSING
    model: Any = MISSING
    stft: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = None
    logger: Any = None
    evaluation: Any = None
    paths: Paths = MISSING
    run_dir: str = MISSING
    sweep_name: str = MISSING


@dataclass
class EvaluateSchema:
    """Top-level keys of conf/evaluate.yaml."""

    ckpt: Any = MISSING
    data: Any = None
    target: str | None = None
    seed: int = 0
    subset: str = "test"
    evaluation: Any = MISSING
    paths: Paths = MISSING


@dataclass
class SeparateSchema:
    """Top-level keys of conf/separate.yaml."""

    ckpt: Any = MISSING
    input: Any = MISSING
    niter: int = 1
    gpus: Any = None
    overwrite: bool = False
    paths: Paths = MISSING


def register() -> None:
    """Make schemas and resolvers known to Hydra; on import, so that tests' `compose` sees them too."""
    store = ConfigStore.instance()
    for name, schema in (("train", TrainSchema), ("evaluate", EvaluateSchema), ("separate", SeparateSchema)):
        store.store(name=f"{name}_schema", node=schema)
    register_resolvers()


register()


def main(config_name: str) -> int:
    """Run `unmix.runs.<config_name>` as `sys.argv` says.

    Returns:
        0, or 2 after one line on stderr; with HYDRA_FULL_ERROR=1 the error itself is raised.
    """
    sys.argv[1:] = [quote_literal(argument) for argument in sys.argv[1:]]
    wants_traceback = os.environ.setdefault("UNMIX_TRACEBACK", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra prints a traceback and exits unless it may raise
    logging.captureWarnings(True)
    warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")  # Lightning's, of torch's
    try:
        _run(config_name)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (ValueError, OSError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"{config_name}: {explain(error, config_name)}", file=sys.stderr)  # noqa: T201
        return USAGE_ERROR
    return 0


def _run(config_name: str) -> None:
    arguments = get_args_parser().parse_args()
    only_shows = arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion
    if not only_shows:
        for cfg in compose_jobs(config_name, arguments.overrides, is_sweep=arguments.multirun):
            check_targets(cfg)
            getattr(import_module("unmix.runs"), f"check_{config_name}")(cfg)

    def task(cfg: DictConfig) -> Any:
        return getattr(import_module("unmix.runs"), config_name)(cfg)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(task)()


def compose(config_name: str, overrides: list[str]) -> DictConfig:
    """The configuration that these overrides make, as Hydra would."""
    with warnings.catch_warnings(), hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        warnings.simplefilter("ignore")  # `_self_` and the like are for us, not for the user
        return hydra.compose(config_name, overrides)


def compose_jobs(config_name: str, overrides: list[str], *, is_sweep: bool) -> Iterator[DictConfig]:
    """Every job's configuration: one, or with -m one per point of the grid."""
    jobs = [overrides]
    if is_sweep:
        parsed = OverridesParser.create().parse_overrides(overrides)
        jobs = BasicSweeper.split_arguments(parsed, None)[0]
    for job in jobs:
        cfg = compose(config_name, job)
        if missing := OmegaConf.missing_keys(cfg):
            raise ValueError(f"{', '.join(sorted(missing))}: needed; give a value on the command line")
        OmegaConf.resolve(cfg.copy())
        yield cfg


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


def quote_literal(argument: str) -> str:
    """Put quotes around a file name, so that Hydra takes it as it is; doing so twice changes nothing.

    A value that begins with `[` or a quote is the user's own Hydra syntax, one that holds `${` an interpolation.
    """
    key, equals, value = argument.partition("=")
    if key.lstrip("+") not in LITERAL_KEYS or not value or value[0] in "['\"" or "${" in value or value == "null":
        return argument
    expanded = os.path.expanduser(value)  # noqa: PTH111 - a Path would change `./a` and `a/`
    escaped = expanded.replace("\\'", "\\\\'").replace("'", "\\'")
    if escaped.endswith("\\"):
        escaped += "\\"
    return f"{key}{equals}'{escaped}'"


def explain(error: BaseException, config_name: str) -> str:
    """One line for one error; for a mistyped key the nearest that exists."""
    if isinstance(error, InstantiationException) and error.__cause__ is not None:
        return errors.one_line(error.__cause__)
    if isinstance(error, ConfigCompositionException) and "Could not override '" in str(error):
        key = str(error).split("'")[1]
        return _unknown_key(key, compose(config_name, []))
    return errors.one_line(error)


def _unknown_key(key: str, base: DictConfig) -> str:
    """Compare a key with those that stand beside it, at the first part that is wrong."""
    node, known = base, ""
    for part in key.split("."):
        if not isinstance(node, DictConfig) or part not in node:
            return errors.unknown(key, part, [str(name) for name in node] if isinstance(node, DictConfig) else [])
        known, node = f"{known}.{part}", node[part]
    return f"{key}: no such key in this configuration"
