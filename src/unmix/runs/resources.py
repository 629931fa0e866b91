"""What jobs need of a cluster, from their plans: nodes, ranks, GPUs and CPUs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from unmix.cluster import queue
from unmix.cluster.submission import Resources
from unmix.plans import Plan
from unmix.runs.build import trainer_arguments
from unmix.runs.preflight import ANY_NUMBER
from unmix.training.trainer import num_processes


def needs(plans: Sequence[Plan], cpus_per_task: Any, partition: str | None) -> dict[Path, Resources]:
    """Find out what each job needs: folder of its run -> resources.

    Args:
        plans: plans of the jobs.
        cpus_per_task: CPUs of each rank; `auto` is one, and one for each process that loads data.
        partition: Slurm partition, which decides whether `trainer.gpus=null` is a GPU; None is Slurm's default.
    Raises:
        OSError: when Slurm does not answer.
        ValueError: when `trainer.gpus` is not a number of GPUs.
    """
    is_open = any(planned.cfg.trainer.gpus is None for planned in plans)
    has_gpus = is_open and queue.has_gpus(partition)
    return {planned.run: _needs(planned.cfg, cpus_per_task, has_gpus) for planned in plans}


def _needs(cfg: DictConfig, cpus_per_task: Any, has_gpus: bool) -> Resources:
    gpus = cfg.trainer.gpus
    if gpus is not None and (not isinstance(gpus, int) or gpus < 0):
        raise ValueError(f"trainer.gpus: got {gpus}, but Slurm chooses the GPUs: a number of them per node is needed")
    arguments = trainer_arguments(cfg, 0 if gpus is None and not has_gpus else ANY_NUMBER)
    nodes = int(arguments["num_nodes"])
    ranks = num_processes(arguments) // nodes
    cpus = 1 + int(cfg.data.num_workers) if cpus_per_task == "auto" else int(cpus_per_task)
    return Resources(nodes, ranks, ranks if arguments["accelerator"] == "gpu" else 0, cpus)
