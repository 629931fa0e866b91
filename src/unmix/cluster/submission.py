"""Submission of tasks to Slurm by submitit: one job array for tasks that need the same resources.

submitit is used directly, not through its Hydra launcher. That one pickles a Hydra task with the configuration of the
submitting process, so it cannot run "this command" with several ranks, which read it from their command line; and it
knows only the jobs that it submitted itself, so that the same command could not adopt those of an earlier one.
"""

import re
import secrets
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from unmix.cluster import record
from unmix.cluster.record import Record
from unmix.processes.jobs import Task

MOST_REQUEUES = 10_000  # submitit counts them down; a run ends by its own length
# Part of what sbatch answers -> the setting, and what to do.
REFUSALS = (
    ("invalid partition", "partition", "`sinfo` lists the partitions"),
    ("invalid account", "account", "`sacctmgr show associations user=$USER` lists your accounts"),
    ("invalid feature", "constraint", "`sinfo -o '%P %f'` lists the features of each partition"),
    ("generic resource", "trainer.gpus", "no node of the partition has such GPUs: `sinfo -o '%P %G'` lists them"),
    ("memory", "mem", "`sinfo -o '%P %m'` lists the megabytes of each partition's nodes"),
    ("time limit", "time", "`sinfo -o '%P %l'` lists the longest time of each partition"),
    ("node configuration is not available", "", "no node of the partition has as many CPUs, GPUs or as much memory"),
)


@dataclass(frozen=True)
class Resources:
    """What a job needs of the cluster.

    Args:
        nodes: number of machines.
        tasks_per_node: ranks on each, with a process each.
        gpus_per_node: GPUs on each.
        cpus_per_task: CPUs of each rank.
    """

    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int = 0
    cpus_per_task: int = 1


@dataclass(frozen=True)
class Request:
    """What is asked of Slurm for every job, besides its resources.

    Args:
        folder: folder for the scripts and messages of the jobs; all nodes must see it.
        minutes: time limit, after which a job is requeued.
        signal_seconds: seconds before the limit at which the job is told to save a checkpoint.
        max_parallel: number of jobs of an array that may run at once; None is no limit.
        options: further arguments of submitit, such as partition, account, constraint, mem and setup.
        extra: further options of sbatch by name.
    """

    folder: Path
    minutes: int
    signal_seconds: int
    max_parallel: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def submit(tasks: Sequence[Task], resources: Resources, request: Request) -> tuple[str, list[str]]:
    """Submit tasks as one job array, and record that for each run.

    Returns:
        Name of the array, and the id of each task's job.
    Raises:
        OSError: when the folder cannot be written.
        ValueError: when Slurm refuses the jobs, in one line that names the setting; nothing is submitted then.
    """
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    from unmix.cluster.node import TrainingOnNode

    name = f"unmix-{secrets.token_hex(4)}"
    calls = [
        TrainingOnNode(task.command, task.run.absolute(), task.log.absolute(), task.environment, name, index)
        for index, task in enumerate(tasks)
    ]
    try:
        executor = _executor(name, len(tasks), resources, request)
        for index, task in enumerate(tasks):  # before the jobs exist, which then write these files
            record.write(task.run, Record(name, index, str(task.log.absolute())))
        with redirect_stderr(StringIO()), executor.batch():  # submitit prints what sbatch does
            jobs = [executor.submit(call) for call in calls]
        return name, [str(job.job_id) for job in jobs]
    except (FailedJobError, FailedSubmissionError) as error:
        for task in tasks:
            record.path_of(task.run).unlink(missing_ok=True)
        raise ValueError(refusal(str(error), request)) from error
    except OSError as error:
        raise OSError(
            f"paths.out: {request.folder} cannot be written ({error.strerror or error}), so nothing was submitted; "
            "free space, or name another folder that all nodes see"
        ) from error


def _executor(name: str, num_tasks: int, resources: Resources, request: Request) -> Any:
    import submitit

    executor = submitit.SlurmExecutor(request.folder.absolute(), max_num_timeout=MOST_REQUEUES)
    executor.update_parameters(
        job_name=name,
        time=request.minutes,
        nodes=resources.nodes,
        ntasks_per_node=resources.tasks_per_node,
        cpus_per_task=resources.cpus_per_task,
        **({"gpus_per_node": resources.gpus_per_node} if resources.gpus_per_node else {}),
        signal_delay_s=request.signal_seconds,
        array_parallelism=request.max_parallel or num_tasks,
        stderr_to_stdout=True,
        # srun does not take the number of CPUs from sbatch; and ranks wait forever for one that has failed
        srun_args=[f"--cpus-per-task={resources.cpus_per_task}", "--kill-on-bad-exit=1"],
        additional_parameters={"requeue": True, **request.extra},
        **request.options,
    )
    return executor


def refusal(answer: str, request: Request) -> str:
    """Explain in one line why sbatch refused jobs.

    Args:
        answer: what sbatch printed, with anything around it.
        request: what was asked.
    """
    lines = re.findall(r"sbatch: (?:error: |fatal: )?(.*)", answer) or answer.split("\n")[-1:]
    reasons = [line for line in lines if not line.startswith("Try ")]
    reason = reasons[-1].removeprefix("Batch job submission failed: ").strip()
    for part, setting, advice in REFUSALS:
        if part in " ".join(reasons).lower():
            key = setting if "." in setting else f"hydra.launcher.{setting}" if setting else "hydra/launcher"
            got = f"got {request.options[setting]!r}, but " if request.options.get(setting) else ""
            return f"{key}: {got}Slurm refused the jobs ({reason}); {advice}"
    return f"hydra/launcher: Slurm refused the jobs ({' | '.join(map(str.strip, reasons))}); nothing was submitted"
