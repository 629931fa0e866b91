"""dry_run=true: prints what every job would do and cost, without starting any."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from unmix.distinct import Distinct
from unmix.errors import counted, human_size, human_time
from unmix.identity import resolved, value_of
from unmix.plans import Plan, plan_all, print_evaluations, warn_of_no_test
from unmix.runs.build import trainer_arguments
from unmix.runs.cost import Cost, described, device_here, measure
from unmix.runs.duration import Length, length_of, time_text
from unmix.runs.inspection import count_parameters
from unmix.runs.preflight import ANY_NUMBER, OF_SEGMENT, shared_datamodule
from unmix.training.trainer import num_processes

MOST_SECONDS = 20.0  # for the measurements of all models
# What beside the model decides about the cost of a step.
OF_DATA = (*OF_SEGMENT, "batch_size", "augmentations", "random_mix")


@dataclass
class Job:
    """A job, and what is known about its cost.

    Args:
        plan: the job.
        num_parameters: of its model.
        arguments: Lightning's arguments that select its devices.
        recipe: draws of its data; None when another machine has the data.
        length: what is left to do; None when the data are not prepared here.
        cost: of a step; None when it was not measured.
    """

    plan: Plan
    num_parameters: int
    arguments: Mapping[str, Any]
    recipe: Any = None
    length: Length | None = None
    cost: Cost | None = None

    @property
    def num_ranks(self) -> int:
        return num_processes(dict(self.arguments))

    @property
    def seconds(self) -> float | None:
        """Seconds that the job takes; None when that is not known."""
        return None if self.cost is None or self.length is None else self.length.seconds(self.cost)


def show(cfgs: Sequence[DictConfig], distinct: Distinct, *, is_elsewhere: bool = False) -> None:
    """Print a line per job, what the jobs cost, what is to be fetched, and warnings.

    Args:
        cfgs: configurations of the jobs.
        distinct: the checks of the jobs.
        is_elsewhere: whether another machine runs them, with devices and data that this one may lack.
    """
    plans = plan_all(cfgs)
    libraries = [] if is_elsewhere else [_datamodule(cfg, distinct).library for cfg in cfgs]
    jobs = [_job(planned, distinct, is_elsewhere=is_elsewhere) for planned in plans]
    _measure_all([job for job in jobs if job.plan.state in ("new", "continues")])
    Console().print(_table(jobs))
    for line in _lines(jobs, is_elsewhere=is_elsewhere):
        Console(soft_wrap=True, highlight=False).print(line, markup=False)
    for root, archive in {library.root: library.to_fetch for library in libraries if library.to_fetch}.items():
        Console(soft_wrap=True, highlight=False).print(f"to fetch first, to {root}: {archive}", markup=False)
    print_evaluations(plans)
    warn_of_no_test(plans)


def _datamodule(cfg: DictConfig, distinct: Distinct) -> Any:
    return shared_datamodule(cfg, value_of(cfg, "data"), distinct)


def _job(planned: Plan, distinct: Distinct, *, is_elsewhere: bool) -> Job:
    cfg = planned.cfg
    arguments = trainer_arguments(cfg, ANY_NUMBER if is_elsewhere else None)
    job = Job(planned, count_parameters(cfg, distinct), arguments)
    if not is_elsewhere:
        datamodule = _datamodule(cfg, distinct)
        job.recipe = datamodule.recipe
        if datamodule.library.is_prepared:
            job.length = length_of(planned, datamodule)
    return job


def _measure_all(jobs: Sequence[Job]) -> None:
    """Measure the cost of each distinct model, in an order of chance, until `MOST_SECONDS` have passed."""
    alike: dict[str, list[Job]] = {}
    for job in jobs:
        alike.setdefault(_content(job), []).append(job)
    started = time.monotonic()
    for same in random.Random(0).sample(list(alike.values()), len(alike)):
        if time.monotonic() - started > MOST_SECONDS:
            return
        first = same[0]
        batch = max(1, int(first.plan.cfg.data.batch_size) // first.num_ranks)
        device = device_here(first.arguments)
        with _threads_of_a_rank(first.num_ranks // int(first.arguments["num_nodes"])):
            cost = measure(first.plan.cfg, first.recipe, batch, device, first.num_parameters)
        for job in same:
            job.cost = cost


@contextmanager
def _threads_of_a_rank(num_local: int) -> Iterator[None]:
    """Leave this process the threads that each of the ranks of one machine has, as Lightning divides them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads // num_local))
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _content(job: Job) -> str:
    """What decides about the cost of a step: the same for jobs that cost the same."""
    content = resolved(job.plan.cfg)
    model, data = content["model"], content["data"]
    return repr(
        (
            {key: value for key, value in model.items() if key != "targets"},
            len(job.plan.targets),
            content["objective"],
            content["optimizer"]["_target_"],
            content["trainer"].get("precision"),
            {key: data.get(key) for key in OF_DATA},
            job.arguments,
        )
    )


def _table(jobs: Sequence[Job]) -> Table:
    table = Table(title=f"{counted(len(jobs), 'job')}, none started (dry_run=true)", title_justify="left")
    columns: dict[str, Callable[[Job], str]] = {
        "run": lambda job: str(job.plan.run),
        "parameters": lambda job: f"{job.num_parameters:,}",
        "batch": lambda job: str(job.plan.cfg.data.batch_size),
        "devices": lambda job: f"{job.num_ranks} x {job.arguments['accelerator']}",
        "state": lambda job: str(job.plan).removeprefix(f"{job.plan.run}: "),
    }
    if len(jobs) > 1:
        columns["memory"] = lambda job: "-" if job.cost is None else human_size(job.cost.memory)
        columns["time"] = lambda job: "-" if job.seconds is None else human_time(job.seconds)
    for name in columns:
        table.add_column(name, overflow="fold", justify="left" if name in ("run", "devices", "state") else "right")
    for job in jobs:
        table.add_row(*(text(job) for text in columns.values()))
    return table


def _lines(jobs: Sequence[Job], *, is_elsewhere: bool) -> list[str]:
    """Lines about the cost: of a job in detail, of several the total."""
    measured = [job for job in jobs if job.cost is not None]
    if not measured:
        return []
    device = described(device_here(measured[0].arguments))
    ranks = max(job.num_ranks for job in measured)
    of = f"these are times of this machine ({device})" + (", the training runs on another" if is_elsewhere else "")
    left_out = ["reading data", "checkpoints", "the evaluation after training"]
    left_out += ["communication between ranks"] if ranks > 1 else []
    note = f"{of}; not counted: {', '.join(left_out)}"
    if len(jobs) == 1:
        cost = measured[0].cost
        assert cost is not None
        flops = [] if cost.flops is None else [f"work: {_flops(cost.flops)} for a second of audio"]
        return [
            *flops,
            f"memory: {cost.memory_text}",
            f"time: {time_text(jobs[0].plan.cfg, jobs[0].length, cost)}",
            f"      {note}",
        ]
    return [_total(jobs, measured), f"       {note}"]


def _total(jobs: Sequence[Job], measured: Sequence[Job]) -> str:
    """Describe the time of all jobs together; those that were not measured count as the mean of those that were."""
    wanted = [job for job in jobs if job.plan.state in ("new", "continues")]
    times = [job.seconds for job in measured if job.seconds is not None]
    if len(times) < len(measured):
        return "total: not known, for jobs without end, or whose data or memory are not here"
    rest = len(wanted) - len(times)
    guess = f", {rest} of them not measured and taken as the mean of the others" if rest else ""
    seconds = sum(times) / len(times) * len(wanted)
    return f"total: {human_time(seconds)} for {counted(len(wanted), 'job')}, one after the other{guess}"


def _flops(number: int | float) -> str:
    return f"{number / 1e9:.3g} GFLOP (2 per multiplication in matrix products, convolutions and LSTMs; no FFT)"
