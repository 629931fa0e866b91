"""The commands: parse the command line, prepare all jobs, run them, and return an exit code.

Mistakes are reported before the first file is written: all jobs of a sweep are composed and prepared, which checks
values, models and data. Then a single job runs in this process, and several run by the launcher.
"""

import logging
import os
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

try:
    from hydra.core.utils import configure_log
except ModuleNotFoundError as error:  # another Python than that of .venv
    remedy = "make install creates .venv, then source .venv/bin/activate and the same command with python"
    print(f"{Path(sys.argv[0]).stem}: {sys.executable} lacks the package {error.name}: {remedy}", file=sys.stderr)  # noqa: T201
    raise SystemExit(2) from None
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from unmix import (
    bare_words,
    console,
    errors,
    extras,
    hints,
    identity,
    machine,
    run_loggers,
    torchrun,
    usage,
)
from unmix.composition import Command, check_targets, label, parse
from unmix.distinct import Distinct
from unmix.experiments.hold import Busy
from unmix.left_to_hydra import answer, through_hydra
from unmix.processes import signals
from unmix.processes.jobs import LAUNCHER, SWEEP
from unmix.quoting import quote_literal

log = logging.getLogger(__name__)

# 75 is EX_TEMPFAIL of sysexits, "run the command again"; signals other than Ctrl-C exit with it too.
FAILED, USAGE_ERROR, BUSY = 1, 2, signals.TEMPORARY_FAILURE
# Errors that are explained in one line; any other is a defect, and shown with its traceback.
EXPECTED = (ValueError, OSError, Busy, ArithmeticError, errors.JobFailed, HydraException, OmegaConfBaseException)

STARTED = machine.cpu_times()
COMPUTING = ("train", "evaluate", "listen", "separate")
# launchers that run trainings on other machines, which have the data and the devices
ELSEWHERE = tuple(f"hydra_plugins.unmix_launchers.{name}" for name in ("RayLauncher", "SlurmLauncher"))


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
    console.ignore_known_warnings()
    with console.patient():
        return _explained(config_name, wants_traceback=wants_traceback)


def _explained(config_name: str, *, wants_traceback: bool) -> int:
    """Run a command; print its error in one line, and return its exit code."""
    try:
        with signals.handled(), torchrun.ranks() as has_work:
            return _run(config_name) if has_work else 0
    except errors.Reported:
        return FAILED
    except EXPECTED as error:
        if wants_traceback:
            raise
        print(f"{config_name}: {hints.explain(error, config_name, sys.argv[1:])}", file=sys.stderr)  # noqa: T201
        if isinstance(error, Busy):
            return BUSY
        return FAILED if isinstance(error, ArithmeticError | errors.JobFailed) else USAGE_ERROR


def _die_with_parent() -> None:
    """Ask the kernel to end this process when its parent (the launcher of a job, or rank 0) ends, even by SIGKILL."""
    if os.environ.get("LOCAL_RANK", "0") != "0":
        signals.die_with_parent(os.getppid(), signal.SIGKILL)  # others cannot end a waiting collective
    elif torchrun.is_used():
        signals.die_with_parent(os.getppid())
    elif launcher := os.environ.get(LAUNCHER):
        signals.die_with_parent(int(launcher))


def _run(config_name: str) -> int:
    """Prepare all jobs of the command line, then run them; return the exit code."""
    arguments = hints.arguments_of()  # --config-dir may stand anywhere
    if arguments.help or arguments.hydra_help or arguments.cfg or arguments.info or arguments.shell_completion:
        answer(config_name, arguments)
        return 0
    bare_words.check(config_name, arguments.overrides, usage.folders(arguments.config_dir))
    hints.check(config_name, arguments.overrides, arguments.config_dir)
    command = parse(config_name, arguments.overrides, multirun=arguments.multirun, config_dir=arguments.config_dir)
    torchrun.check(config_name, is_sweep=command.is_sweep)
    crowded = machine.share_cpus(STARTED, machine.cpu_times())
    is_elsewhere = command.hydra.launcher._target_ in ELSEWHERE
    if is_elsewhere and config_name != "train":
        raise ValueError(f"hydra/launcher: got {command.launcher}, which runs train.py only; leave it out")
    distinct = Distinct()
    shared = distinct if command.is_sweep else None
    prepare = partial(_prepare, config_name, distinct=shared, is_elsewhere=is_elsewhere)
    if command.is_search:
        extras.require("hydra/sweeper=optuna", "optuna", "optuna")
        return int(import_module("unmix.studies").command(command, arguments.overrides, prepare))
    if command.is_sweep and not command.jobs:  # a sweeper of another package generates the jobs
        return through_hydra(config_name, lambda cfg: _prepare(config_name, cfg).run())
    cfgs = list(command.compose_jobs())
    if not command.is_sweep:  # before the job is prepared, which logs already
        configure_log(command.hydra.job_logging, command.hydra.verbose)
    if config_name == "evaluate" and not command.is_sweep and import_module("unmix.finished").show(cfgs[0]):
        return 0
    numbers = _unfinished(cfgs) if config_name == "train" else range(len(cfgs))
    jobs = dict(zip(numbers, command.each(numbers, lambda number: prepare(cfgs[number])), strict=True))
    if crowded and not is_elsewhere and config_name in COMPUTING and jobs:
        log.warning(crowded)
    if jobs and cfgs[0].get("dry_run"):
        import_module("unmix.runs.preview").show(cfgs, distinct, is_elsewhere=is_elsewhere)
    elif jobs and (command.is_sweep or is_elsewhere):
        return _sweep(command, cfgs, jobs, distinct)
    else:
        for job in jobs.values():
            job.run()
    return 0


def _prepare(config_name: str, cfg: DictConfig, distinct: Distinct | None = None, *, is_elsewhere: bool = False) -> Any:
    """Check a configuration and prepare its job, an object with a method `run`; see `Distinct` for jobs of a sweep.

    A training that another machine runs (`is_elsewhere`) is only checked, without data and devices.
    """
    from unmix import early_checks  # half of the time that --help and completion would take

    early_checks.check("train elsewhere" if is_elsewhere else config_name, cfg)
    check_targets(cfg, distinct)
    extras.check(config_name, cfg)
    if is_elsewhere:
        return import_module("unmix.runs.preflight").check_elsewhere(cfg, distinct or Distinct())
    shared = (distinct,) if config_name == "train" else ()
    return import_module(f"unmix.runs.{config_name}").prepare(cfg, *shared)


def _unfinished(cfgs: list[DictConfig]) -> Sequence[int]:
    """Return the indices of unfinished jobs; when all are finished, print their states. Does not import torch."""
    from unmix import plans, trained

    for cfg in cfgs:
        identity.check_targets(cfg.target, cfg.data.sources)
    planned = plans.plan_all(cfgs)
    if cfgs[0].dry_run:
        return range(len(cfgs))
    unfinished = [number for number, plan in enumerate(planned) if not plan.is_finished]
    if not unfinished:
        for plan in planned:
            print(plan)  # noqa: T201
        run_loggers.print_never_logged((plan.cfg.logger, plan.run) for plan in planned)
        plans.print_evaluations(planned)
        trained.print_next(planned)
    return unfinished


def _sweep(command: Command, cfgs: list[DictConfig], jobs: dict[int, Any], distinct: Distinct) -> int:
    """Run jobs with the launcher of the command; return the exit code.

    Args:
        command: the command.
        cfgs: configurations of all jobs.
        jobs: prepared jobs by number; those that are finished are left out.
        distinct: the checks of the jobs.
    """
    if command.config_name == "train" and command.hydra.launcher._target_.startswith("hydra_plugins.unmix_launchers."):
        configure_log(command.hydra.job_logging, command.hydra.verbose)
        return int(import_module("unmix.runs.sweep").command(command, cfgs, distinct))
    if command.config_name == "train":
        for cfg in cfgs:
            import_module("unmix.runs.devices").check_single_process(cfg, command.launcher)
        os.environ[SWEEP] = Path(command.hydra.sweep.dir).name  # their configurations would compose a time each
    if command.hydra.launcher._target_.endswith(".BasicLauncher"):
        configure_log(command.hydra.job_logging, command.hydra.verbose)
        code = _in_this_process(command, jobs, fail_fast=bool(cfgs[0].get("fail_fast")))
        if command.config_name == "train" and code == 0:
            from unmix import plans, trained

            trained.print_next(plans.plan_all([plans.settled(cfg) for cfg in cfgs]))
        return code
    return through_hydra(command.config_name, lambda cfg: _prepare(command.config_name, cfg).run())


def _in_this_process(command: Command, jobs: dict[int, Any], *, fail_fast: bool) -> int:
    """Run jobs, given by their numbers, one after the other; return the exit code."""
    failures: list[str] = []
    num_busy = 0
    for count, (number, job) in enumerate(jobs.items(), start=1):
        name = label(command.jobs[number], command.jobs)
        log.info("[%d/%d] %s", count, len(jobs), name)
        try:
            job.run()
        except Exception as error:  # does not stop the other jobs
            if os.environ["UNMIX_TRACEBACK"] == "1":
                raise
            is_expected = isinstance(error, EXPECTED)
            log.error("[%d/%d] failed: %s", count, len(jobs), errors.one_line(error), exc_info=not is_expected)
            failures.append(f"{name}: {errors.one_line(error)}")
            num_busy += isinstance(error, Busy)
            if fail_fast:
                break
    log.info("%d done, %d failed, %d not started", count - len(failures), len(failures), len(jobs) - count)
    if not failures:
        return 0
    print(errors.failed_jobs(command.config_name, failures, len(jobs)), file=sys.stderr)  # noqa: T201
    return BUSY if num_busy == len(failures) else FAILED
