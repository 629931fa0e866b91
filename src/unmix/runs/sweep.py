"""Run the jobs of a sweep as processes: assign devices, show progress, collect results."""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from unmix.checks import NO_LIMIT
from unmix.composition import CONF, Command, compose, label
from unmix.errors import JobFailed, counted, failed_jobs
from unmix.plans import EXPECTED_EXPERIMENT, Plan, plan, plan_all, print_evaluations, settled, warn_of_no_test
from unmix.processes import pool
from unmix.reports.progress import INTERRUPTED, Line, Progress
from unmix.runs.build import fetch, make_datamodule, trainer_arguments
from unmix.runs.inspection import count_parameters
from unmix.training.trainer import num_processes

TRAIN = CONF.parent / "src" / "train.py"


def command(command: Command, cfgs: Sequence[DictConfig]) -> int:
    """Run the jobs of a command line, given their checked configurations; return the exit code."""
    launcher = command.hydra.launcher
    outcomes = run(
        plan_all(cfgs),
        [_with_config_dir(overrides, command.config_dir) for overrides in command.jobs],
        slots=launcher.slots,
        fail_fast=launcher.fail_fast,
        sweep_dir=Path(launcher.sweep_dir),
    )
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    if failures:
        print(failed_jobs("train", failures, len(outcomes)), file=sys.stderr)  # noqa: T201
    return 1 if failures else 0


def _with_config_dir(overrides: Sequence[str], config_dir: str | None) -> list[str]:
    """Arguments of a job's command line: `--config-dir` if there is one, then the overrides."""
    return [*([] if config_dir is None else ["--config-dir", str(Path(config_dir).resolve())]), *overrides]


def launch(
    job_overrides: Sequence[Sequence[str]],
    config_dir: str | None,
    *,
    slots: Any,
    fail_fast: bool,
    sweep_dir: Path,
    first_number: int,
) -> list[float | Exception | None]:
    """Run jobs that a Hydra sweeper chose, given their overrides; other arguments and result as for `run`."""
    plans = plan_all([compose("train", overrides, config_dir=config_dir) for overrides in job_overrides])
    arguments = [_with_config_dir(overrides, config_dir) for overrides in job_overrides]
    return run(plans, arguments, slots=slots, fail_fast=fail_fast, sweep_dir=sweep_dir, first_number=first_number)


def run(
    plans: Sequence[Plan],
    job_arguments: Sequence[Sequence[str]],
    *,
    slots: Any,
    fail_fast: bool,
    sweep_dir: Path,
    first_number: int = 0,
) -> list[float | Exception | None]:
    """Run all jobs of a sweep that are not done yet.

    Args:
        plans: plans of the jobs.
        job_arguments: arguments of each job's command line.
        slots: number of jobs at a time, or `auto`.
        fail_fast: whether no further job starts after a failure.
        sweep_dir: folder for the logs of the jobs and jobs.jsonl, which has one line per change of state.
        first_number: number of jobs that the sweep ran before these.
    Returns:
        For each job its best val/loss, None when it has none yet, or the error that ended it.
    Raises:
        ValueError: on more slots than the GPUs allow.
        Interrupted: on a signal; the same command continues.
    """
    devices = Devices(plans, slots)
    for one in plans:
        if not one.is_finished:
            fetch(make_datamodule(one.cfg.data))  # here, where its progress is seen, and once
    warn_of_no_test(plans)
    rows = [
        Line(number, label(given, job_arguments), one.run, _num_epochs(one.cfg), count_parameters(one.cfg))
        for number, (one, given) in enumerate(zip(plans, job_arguments, strict=True), start=first_number + 1)
    ]
    jobs = [
        pool.Job(
            command=[sys.executable, str(TRAIN), *given, "hydra.mode=RUN"],
            log=sweep_dir / f"{row.number:03d}-{one.run.name}.log",
            environment=partial(devices.environment, one.experiment, sweep_dir.name),
            is_needed=partial(_is_needed, one.cfg),
        )
        for one, given, row in zip(plans, job_arguments, rows, strict=True)
    ]
    with Progress(rows, jobs, sweep_dir / "jobs.jsonl") as progress:
        pool.run(jobs, slots=devices.slots, fail_fast=fail_fast, tick=progress.update)
    plans = [plan(settled(one.cfg)) for one in plans]
    progress.summarize(["failed" if after.has_failed else str(after.state) for after in plans])
    print_evaluations(plans)
    return [_outcome(one, job) for one, job in zip(plans, jobs, strict=True)]


def _num_epochs(cfg: DictConfig) -> int | None:
    """Number of epochs that a job is to train; None without a limit."""
    return None if cfg.trainer.max_epochs == NO_LIMIT else int(cfg.trainer.max_epochs)


def _is_needed(cfg: DictConfig) -> bool:
    """Tell whether a job still has work to do; asked right before its start, as another process may have done it."""
    now = plan(cfg)
    return not now.is_finished and now.state != "failed"


def _outcome(one: Plan, job: pool.Job) -> float | Exception | None:
    if one.has_failed or (job.has_failed and job.exit_code not in INTERRUPTED):
        reason = one.previous.reason if one.previous is not None and one.has_failed else pool.last_line(job.log)
        again = "retry=true tries again" if one.state == "failed" else "the same command tries again"
        return JobFailed(f"{one.run}: {reason}; see {job.log}, {again}")
    return None if one.previous is None else one.previous.best


class Devices:
    """Division of GPUs and CPU threads among slots.

    It depends on the machine and the command, never on the number of unfinished jobs, because the number of threads
    changes the last bits of a result.
    """

    def __init__(self, plans: Sequence[Plan], slots: Any) -> None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        count = torch.cuda.device_count()
        self.gpus = visible.split(",")[:count] if visible and count else [str(index) for index in range(count)]
        self.gpus_a_job = max(_gpus_of(one.cfg) for one in plans)
        named = any(not isinstance(one.cfg.trainer.gpus, int | None) for one in plans)
        most = 1 if named else len(self.gpus) // self.gpus_a_job if self.gpus_a_job else None
        self.slots = self._checked(slots, most)
        self.threads = max(1, len(os.sched_getaffinity(0)) // self.slots) if hasattr(os, "sched_getaffinity") else 1

    def _checked(self, slots: Any, most: int | None) -> int:
        if slots == "auto":
            return most or 1
        if not isinstance(slots, int) or slots < 1:
            raise ValueError(f"slots: got {slots!r}, a number of jobs at a time from 1 on, or auto, is needed")
        if most is not None and slots > most:
            gpus = counted(len(self.gpus), "GPU allows", "GPUs allow")
            raise ValueError(
                f"slots: got {slots}, but {counted(self.gpus_a_job, 'GPU')} a job and {gpus} {most}; "
                "take slots=auto, or fewer trainer.gpus"
            )
        return slots

    def environment(self, experiment: str, sweep: str, slot: int) -> dict[str, str]:
        """Environment variables for a job: its GPUs and threads, its sweep, and the experiment it was planned as."""
        added = {EXPECTED_EXPERIMENT: experiment, pool.SWEEP: sweep, "PYTHONUNBUFFERED": "1"}
        if self.slots > 1:
            added["OMP_NUM_THREADS"] = str(self.threads)
            if self.gpus_a_job:
                first = slot * self.gpus_a_job
                added["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus[first : first + self.gpus_a_job])
        return added


def _gpus_of(cfg: DictConfig) -> int:
    arguments = trainer_arguments(cfg)
    return num_processes(arguments) // int(arguments["num_nodes"]) if arguments["accelerator"] == "gpu" else 0
