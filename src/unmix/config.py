"""Command line -> checked configuration -> one of the commands in `runs` -> exit code.

Everything that can be wrong is found before the first file is written: all jobs of a sweep are composed, their values
bound to the constructors they go to, and the data looked at. Then one job runs here, several by Hydra's launcher.
"""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # Hydra has no public parser of its own flags
from hydra.core.utils import configure_log
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from unmix import errors, extras, identity
from unmix.composition import CONF, Command, check_targets, compose, parse
from unmix.experiments.hold import Busy
from unmix.processes import signals
from unmix.processes.pool import LAUNCHER

# Their values are file names, which Hydra's grammar would take apart.
LITERAL_KEYS = ("input", "ckpt", "data.root", "paths.out", "paths.data", "data.cache", "init_from", "out")
OPEN_GROUPS = ("aggregate.",)  # their keys are the user's to invent, which Hydra wants a + for
# 75 is sysexits' EX_TEMPFAIL, "run me again"; so do signals that are not a person's.
FAILED, USAGE_ERROR, BUSY = 1, 2, signals.TEMPORARY_FAILURE


def main(config_name: str) -> int:
    """Run the command `unmix.runs.<config_name>` as `sys.argv` says.

    Returns:
        0; after one line on stderr 2 (what was asked for cannot be), 75 (another process is at it) or 1 (the run
        failed). With HYDRA_FULL_ERROR=1 the error itself is raised.

    Raises:
        Interrupted: exits with 130 (Ctrl-C) or 75 (SIGTERM, SIGUSR1, SIGUSR2).
    """
    _die_with_parent()
    sys.argv[1:] = [quote_literal(argument) for argument in sys.argv[1:]]
    wants_traceback = os.environ.setdefault("UNMIX_TRACEBACK", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra prints a traceback and exits unless it may raise
    logging.captureWarnings(True)
    for known in (
        ".*LeafSpec.* is deprecated",  # Lightning's, of torch's
        ".*your dataloader is not resumable",  # it is: BatchKeys
        ".*broadcast_buffers. is deprecated",  # its successor is not in torch 2.11
        ".*sync_dist=True",  # metrics sum over ranks by themselves, times need not
    ):
        warnings.filterwarnings("ignore", message=known)
    try:
        with signals.handled():
            return _run(config_name)
    except (ValueError, OSError, Busy, ArithmeticError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"{config_name}: {explain(error, config_name, sys.argv[1:])}", file=sys.stderr)  # noqa: T201
        return BUSY if isinstance(error, Busy) else FAILED if isinstance(error, ArithmeticError) else USAGE_ERROR


def _die_with_parent() -> None:
    """End with the parent process, even when that is killed: a job with its launcher, a rank with the first one."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        signals.die_with_parent(os.getppid(), signal.SIGKILL)  # within a collective nothing else gets through
    elif launcher := os.environ.get(LAUNCHER):
        signals.die_with_parent(int(launcher))


def _run(config_name: str) -> int:
    """Prepare the jobs of this command line, then run them; returns the exit code."""
    arguments = get_args_parser().parse_intermixed_args()  # --config-dir may stand anywhere
    if arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion:
        _through_hydra(config_name, lambda _: None)
        return 0
    command = parse(config_name, arguments.overrides, multirun=arguments.multirun, config_dir=arguments.config_dir)
    if command.is_sweep and not command.jobs:  # another sweeper finds them, as it goes
        _through_hydra(config_name, lambda cfg: _prepare(config_name, cfg).run())
        return 0
    cfgs = list(command.compose_jobs())
    if not command.is_sweep:  # before the job is prepared, which already has things to say
        configure_log(command.hydra.job_logging, command.hydra.verbose)
    unfinished = _unfinished(cfgs) if config_name == "train" else cfgs
    jobs = [_prepare(config_name, cfg) for cfg in unfinished]
    if jobs and cfgs[0].get("dry_run"):
        import_module("unmix.runs.preview").show(cfgs)
    elif jobs and command.is_sweep:
        return _sweep(command, cfgs)
    elif jobs:
        jobs[0].run()
    return 0


def _prepare(config_name: str, cfg: DictConfig) -> Any:
    """Check one job and find what it needs; what comes back has `run`."""
    check_targets(cfg)
    extras.check(config_name, cfg)
    return import_module(f"unmix.runs.{config_name}").prepare(cfg)


def _unfinished(cfgs: list[DictConfig]) -> list[DictConfig]:
    """Leave out jobs that are done; when all are, print that here, within a second."""
    from unmix import plans

    for cfg in cfgs:
        identity.check_targets(cfg.target, cfg.data.sources)
    planned = plans.plan_all(cfgs)
    if cfgs[0].dry_run:
        return cfgs
    unfinished = [plan for plan in planned if not plan.is_finished]
    if not unfinished:
        for plan in planned:
            print(plan)  # noqa: T201
        plans.print_evaluations(planned)
    return [plan.cfg for plan in unfinished]


def _sweep(command: Command, cfgs: list[DictConfig]) -> int:
    """Run checked jobs by the launcher that the command names."""
    if command.config_name == "train" and command.hydra.launcher._target_.endswith(".ProcessLauncher"):
        configure_log(command.hydra.job_logging, command.hydra.verbose)
        return int(import_module("unmix.runs.sweep").command(command, cfgs))
    if command.config_name == "train":
        for cfg in cfgs:
            import_module("unmix.runs.train").check_single_process(cfg, command.launcher)
    _through_hydra(command.config_name, lambda cfg: _prepare(command.config_name, cfg).run())
    return 0


def _through_hydra(config_name: str, task: Callable[[DictConfig], Any]) -> None:
    """Leave the command line to Hydra: help, and sweeps by sweepers and launchers that are not ours."""

    def run(cfg: DictConfig) -> Any:  # Hydra looks at the name of what it calls
        return task(cfg)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(run)()


def quote_literal(argument: str) -> str:
    """Put quotes around a file name, and + before a name of the user's own; doing so twice changes nothing.

    A value that begins with `[` or a quote is the user's own Hydra syntax, one that holds `${` an interpolation.
    """
    key, equals, value = argument.partition("=")
    if key.startswith(OPEN_GROUPS):
        return f"++{argument}"
    if key.lstrip("+") not in LITERAL_KEYS or not value or value[0] in "['\"" or "${" in value or value == "null":
        return argument
    expanded = os.path.expanduser(value)  # noqa: PTH111 - a Path would change `./a` and `a/`
    escaped = expanded.replace("\\'", "\\\\'").replace("'", "\\'")
    if escaped.endswith("\\"):
        escaped += "\\"
    return f"{key}{equals}'{escaped}'"


def explain(error: BaseException, config_name: str, arguments: Sequence[str] = ()) -> str:
    """One line for one error; for a mistyped key or group the nearest that exists.

    Args:
        error: that ended the command.
        config_name: of the command.
        arguments: its command line; which groups it chooses decides which keys exist.
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
    """`logger=null`: Hydra wants the name of a file."""
    options = get_args_parser().parse_intermixed_args(list(arguments))
    group = next(group for group, value in _choices(options) if value == "null")
    names = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    return f"{group}: got null, allowed {', '.join(names)}; one entry of a group is left out as {group}.<entry>=null"


def _base(config_name: str, arguments: Sequence[str]) -> DictConfig:
    """The configuration that a command line overrides keys of: its choices of groups, each of the first job's."""
    options = get_args_parser().parse_intermixed_args(list(arguments))
    choices = [f"{group}={value.partition(',')[0]}" for group, value in _choices(options) if value != "null"]
    return compose(config_name, choices, with_hydra=True, config_dir=options.config_dir)


def _choices(options: Any) -> list[tuple[str, str]]:
    """The overrides that choose a file of a group: names of both."""
    folders = [CONF, *([Path(options.config_dir)] if options.config_dir else [])]
    pairs = [override.partition("=")[::2] for override in options.overrides]
    return [(group, value) for group, value in pairs if any((folder / group).is_dir() for folder in folders)]


def _unknown_key(key: str, base: DictConfig) -> str:
    """Compare a key with those that stand beside it, at the first part that is wrong."""
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
