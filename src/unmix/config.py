"""The commands: parse the command line, prepare all jobs, run them, and return an exit code.

Mistakes are reported before the first file is written: all jobs of a sweep are composed and prepared, which checks
values, models and data. Then a single job runs in this process, and several run by the launcher.
"""

import logging
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser  # Hydra has no public parser of its own flags
from hydra.core.utils import configure_log
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unmix import bare_words, extras, hints, identity
from unmix.composition import CONF, Command, check_targets, check_values, parse
from unmix.experiments.hold import Busy
from unmix.processes import signals
from unmix.processes.pool import LAUNCHER

# Keys whose values are file names, which Hydra's grammar would otherwise parse.
LITERAL_KEYS = ("input", "ckpt", "data.root", "paths.out", "paths.data", "data.cache", "init_from", "out")
OPEN_GROUPS = ("aggregate.",)  # groups in which the user invents the keys, which Hydra allows only with a +
# 75 is EX_TEMPFAIL of sysexits, "run the command again"; signals other than Ctrl-C exit with it too.
FAILED, USAGE_ERROR, BUSY = 1, 2, signals.TEMPORARY_FAILURE


def main(config_name: str) -> int:
    """Run the command `unmix.runs.<config_name>` with the arguments in `sys.argv`.

    Returns:
        Exit code: 0 (success), 2 (refused), 75 (another process holds the folder) or 1 (NaN or a failed job). Errors
        are printed on stderr in one line; with HYDRA_FULL_ERROR=1 they are raised instead.

    Raises:
        Interrupted: exits with 130 (Ctrl-C) or 75 (SIGTERM, SIGUSR1, SIGUSR2).
    """
    _die_with_parent()
    # in place, as Hydra and the ranks that Lightning starts read the command line from there
    sys.argv[1:] = [quote_literal(argument) for argument in sys.argv[1:]]
    wants_traceback = os.environ.setdefault("UNMIX_TRACEBACK", os.environ.get("HYDRA_FULL_ERROR", "0")) == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra prints a traceback and exits unless it may raise
    logging.captureWarnings(True)
    for known in (
        ".*LeafSpec.* is deprecated",  # Lightning uses it
        ".*your dataloader is not resumable",  # wrong: BatchKeys resumes
        ".*broadcast_buffers. is deprecated",  # torch 2.11 lacks its replacement
        ".*sync_dist=True",  # torchmetrics syncs metrics; times need no sync
    ):
        warnings.filterwarnings("ignore", message=known)
    try:
        with signals.handled():
            return _run(config_name)
    except (ValueError, OSError, Busy, ArithmeticError, HydraException, OmegaConfBaseException) as error:
        if wants_traceback:
            raise
        print(f"{config_name}: {hints.explain(error, config_name, sys.argv[1:])}", file=sys.stderr)  # noqa: T201
        return BUSY if isinstance(error, Busy) else FAILED if isinstance(error, ArithmeticError) else USAGE_ERROR


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent (the launcher of a job, or rank 0) ends, even by SIGKILL."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        signals.die_with_parent(os.getppid(), signal.SIGKILL)  # others cannot end a waiting collective
    elif launcher := os.environ.get(LAUNCHER):
        signals.die_with_parent(int(launcher))


def _run(config_name: str) -> int:
    """Prepare all jobs of the command line, then run them; return the exit code."""
    arguments = get_args_parser().parse_intermixed_args()  # --config-dir may stand anywhere
    if arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion:
        _through_hydra(config_name, lambda _: None)
        return 0
    bare_words.check(config_name, arguments.overrides, hints.group_folders(arguments))
    command = parse(config_name, arguments.overrides, multirun=arguments.multirun, config_dir=arguments.config_dir)
    if command.is_sweep and not command.jobs:  # a sweeper other than ours generates the jobs
        _through_hydra(config_name, lambda cfg: _prepare(config_name, cfg).run())
        return 0
    cfgs = list(command.compose_jobs())
    if not command.is_sweep:  # before the job is prepared, which logs already
        configure_log(command.hydra.job_logging, command.hydra.verbose)
    numbers = _unfinished(cfgs) if config_name == "train" else range(len(cfgs))
    jobs = []
    for number in numbers:
        with command.naming(number):
            jobs.append(_prepare(config_name, cfgs[number]))
    if jobs and cfgs[0].get("dry_run"):
        import_module("unmix.runs.preview").show(cfgs)
    elif jobs and command.is_sweep:
        return _sweep(command, cfgs)
    elif jobs:
        jobs[0].run()
    return 0


def _prepare(config_name: str, cfg: DictConfig) -> Any:
    """Check a configuration and prepare its job; return the job, an object with a method `run`."""
    check_targets(cfg)
    extras.check(config_name, cfg)
    return import_module(f"unmix.runs.{config_name}").prepare(cfg)


def _unfinished(cfgs: list[DictConfig]) -> Sequence[int]:
    """Return the indices of unfinished jobs; when all are finished, print their states. Does not import torch."""
    from unmix import plans

    for cfg in cfgs:
        identity.check_targets(cfg.target, cfg.data.sources)
    planned = plans.plan_all(cfgs)
    if cfgs[0].dry_run:
        return range(len(cfgs))
    unfinished = [number for number, plan in enumerate(planned) if not plan.is_finished]
    if not unfinished:
        for plan in planned:
            print(plan)  # noqa: T201
        plans.print_evaluations(planned)
    return unfinished


def _sweep(command: Command, cfgs: list[DictConfig]) -> int:
    """Run prepared jobs with the launcher of the command; return the exit code."""
    if command.config_name == "train" and command.hydra.launcher._target_.endswith(".ProcessLauncher"):
        configure_log(command.hydra.job_logging, command.hydra.verbose)
        return int(import_module("unmix.runs.sweep").command(command, cfgs))
    if command.config_name == "train":
        for cfg in cfgs:
            import_module("unmix.runs.train").check_single_process(cfg, command.launcher)
    _through_hydra(command.config_name, lambda cfg: _prepare(command.config_name, cfg).run())
    return 0


def _through_hydra(config_name: str, task: Callable[[DictConfig], Any]) -> None:
    """Pass the command line to `hydra.main`, for help and for sweepers and launchers other than ours.

    Args:
        config_name: name of the command.
        task: function that Hydra calls with the configuration of each job.
    """

    def run(cfg: DictConfig) -> Any:  # Hydra needs a function with a name
        check_values(config_name, cfg)
        return task(cfg)

    hydra.main(version_base="1.3", config_path=str(CONF), config_name=config_name)(run)()


def quote_literal(argument: str) -> str:
    """Quote file names in an argument for Hydra's grammar, and prefix keys that the user invents with ++.

    Quoting a quoted argument changes nothing. Values that begin with `[` or a quote are Hydra syntax, and those that
    contain `${` are interpolations: both are returned unchanged.
    """
    key, equals, value = argument.partition("=")
    if key.startswith(OPEN_GROUPS):
        return f"++{argument}"
    if key.lstrip("+") not in LITERAL_KEYS or not value or value[0] in "['\"" or "${" in value or value == "null":
        return argument
    expanded = os.path.expanduser(value)  # noqa: PTH111 - a Path would change `./a` and `a/`
    # in Hydra's quotes a backslash is special before a quote only
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), expanded)
    return f"{key}{equals}'{escaped}'"
