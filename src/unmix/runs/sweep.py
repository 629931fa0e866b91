"""Run the jobs of a sweep by the engine of a launcher: show progress, collect results."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from hydra.utils import instantiate
from omegaconf import DictConfig

from unmix import trained
from unmix.checks import NO_LIMIT
from unmix.composition import CONF, Command, bases_of, labels
from unmix.distinct import Distinct
from unmix.errors import JobFailed, failed_jobs
from unmix.experiments.hold import explained_when_full
from unmix.identity import value_of
from unmix.plans import EXPECTED_EXPERIMENT, Plan, plan, plan_all, print_evaluations, settled, warn_of_no_test
from unmix.processes import jobs as jobs_of_sweep
from unmix.processes import signals
from unmix.processes.jobs import SWEEP, Engine, Job, Task, last_line
from unmix.reports.progress import INTERRUPTED, Line, Progress
from unmix.runs.build import fetch
from unmix.runs.inspection import count_parameters
from unmix.runs.preflight import shared_datamodule

TRAIN = CONF.parent / "src" / "train.py"


class EngineMaker(Protocol):
    """What `run` needs of a launcher: see `hydra_plugins.unmix_launchers.SweepLauncher`."""

    sweep_dir: Path
    fail_fast: bool
    is_elsewhere: bool

    def engine(self, plans: Sequence[Plan]) -> Engine:
        """Make the engine that runs jobs such as the planned ones."""
        ...


def command(command: Command, cfgs: Sequence[DictConfig], distinct: Distinct) -> int:
    """Run the jobs of a command line, given their checked configurations and the checks; return the exit code."""
    launcher: EngineMaker = instantiate(command.hydra.launcher, _convert_="all")
    jobs = [[override for override in overrides if not override.startswith("hydra")] for overrides in command.jobs]
    arguments = [with_config_dir(overrides, command.config_dir) for overrides in jobs]
    outcomes = run(plan_all(cfgs), arguments, launcher, distinct=distinct)
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        print(failed_jobs("train", failures, len(outcomes)), file=sys.stderr)  # noqa: T201
    return 1 if failures else 0


def with_config_dir(overrides: Sequence[str], config_dir: str | None) -> list[str]:
    """Arguments of a job's command line: `--config-dir` if there is one, then the overrides."""
    return [*([] if config_dir is None else ["--config-dir", str(Path(config_dir).resolve())]), *overrides]


def launch(
    job_overrides: Sequence[Sequence[str]], config_dir: str | None, launcher: EngineMaker, first_number: int
) -> list[float | Exception | None]:
    """Run jobs that a Hydra sweeper chose, given their overrides; other arguments and result as for `run`."""
    bases = bases_of("train", config_dir)
    plans = plan_all([bases.compose(overrides, with_hydra=False) for overrides in job_overrides])
    arguments = [with_config_dir(overrides, config_dir) for overrides in job_overrides]
    return run(plans, arguments, launcher, first_number)


def run(
    plans: Sequence[Plan],
    job_arguments: Sequence[Sequence[str]],
    launcher: EngineMaker,
    first_number: int = 0,
    distinct: Distinct | None = None,
) -> list[float | Exception | None]:
    """Run all jobs of a sweep that are not done yet.

    Args:
        plans: plans of the jobs.
        job_arguments: arguments of each job's command line.
        launcher: makes the engine that runs the jobs, and names the folder for their logs and jobs.jsonl, which has
            one line per change of state.
        first_number: number of jobs that the sweep ran before these.
        distinct: checks of these jobs.
    Returns:
        For each job its best val/loss, None when it has none yet, or the error that ended it.
    Raises:
        ValueError: when the engine cannot run such jobs.
        Interrupted: on a signal; the same command continues.
    """
    sweep_dir = launcher.sweep_dir
    engine = launcher.engine(plans)
    distinct = distinct or Distinct()
    for planned in plans:
        if not planned.is_finished and not launcher.is_elsewhere:  # here, where its progress is seen, and once
            fetch(shared_datamodule(planned.cfg, value_of(planned.cfg, "data"), distinct))
    warn_of_no_test(plans)
    names = labels(job_arguments) if len(plans) > 1 else [plans[0].run.name]
    rows = [
        Line(number, name, planned.run, _num_epochs(planned.cfg), count_parameters(planned.cfg, distinct))
        for number, (planned, name) in enumerate(zip(plans, names, strict=True), start=first_number + 1)
    ]
    jobs = engine.add([task(*job, sweep_dir) for job in zip(plans, job_arguments, rows, strict=True)])
    progress = Progress(rows, jobs, sweep_dir / "jobs.jsonl")
    with explained_when_full(sweep_dir), signals.explained(lambda: "the same command goes on"), progress:
        jobs_of_sweep.run(engine, jobs, fail_fast=launcher.fail_fast, tick=progress.update)
    plans = plan_all([settled(planned.cfg) for planned in plans])
    progress.summarize([_ended_as(after, job) for after, job in zip(plans, jobs, strict=True)])
    print_evaluations(plans)
    print(f"logs: {sweep_dir}")  # noqa: T201
    if any(map(_goes_on, jobs)):
        print("next: the same command, which shows what has become of them")  # noqa: T201
    else:
        trained.print_next(plans)
    return [_outcome(planned, job) for planned, job in zip(plans, jobs, strict=True)]


def task(planned: Plan, arguments: Sequence[str], row: Line, sweep_dir: Path) -> Task:
    """What a job is to do: its command line, with the experiment that it was planned as."""
    return Task(
        command=[sys.executable, str(TRAIN), *arguments, "hydra.mode=RUN"],
        run=planned.run,
        log=sweep_dir / f"{row.number:03d}-{planned.run.name}.log",
        environment={EXPECTED_EXPERIMENT: planned.experiment, SWEEP: sweep_dir.name, "PYTHONUNBUFFERED": "1"},
        is_needed=partial(_is_needed, planned.cfg),
    )


def _num_epochs(cfg: DictConfig) -> int | None:
    """Number of epochs that a job is to train; None without a limit."""
    return None if cfg.trainer.max_epochs == NO_LIMIT else int(cfg.trainer.max_epochs)


def _is_needed(cfg: DictConfig) -> bool:
    """Tell whether a job still has work to do; asked right before its start, as another process may have done it."""
    now = plan(cfg)
    return not now.is_finished and now.state != "failed"


def _goes_on(job: Job) -> bool:
    """Whether a job goes on without this command, which handed it over and does not wait for it."""
    return job.is_running or (job.is_waiting and job.waits_as != "waiting")


def _ended_as(after: Plan, job: Job) -> str:
    """State of a job when the command ends, given the plan that was made then."""
    if _goes_on(job):
        return job.waits_as if job.is_waiting else f"running {job.place}"
    return "failed" if after.has_failed else str(after.state)


def _outcome(planned: Plan, job: Job) -> float | Exception | None:
    if _goes_on(job):
        return None
    previous = planned.previous
    if planned.has_failed or (job.has_failed and job.exit_code not in INTERRUPTED):
        reason = previous.reason if previous is not None and planned.has_failed else last_line(job.task.log)
        again = "retry=true tries again" if planned.state == "failed" else "the same command tries again"
        return JobFailed(f"{planned.run}: {reason}; see {job.task.log}, {again}")
    return None if previous is None else previous.best
