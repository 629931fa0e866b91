"""How the devices of this machine are divided among the jobs of a sweep."""

import os
from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import DictConfig

from unmix.errors import counted
from unmix.plans import Plan
from unmix.runs.build import trainer_arguments
from unmix.training.trainer import num_processes

IN_PROCESS_LAUNCHERS = ("basic", "joblib")


class Devices:
    """Division of GPUs and CPU threads among slots.

    It depends on the machine and the command, never on the number of unfinished jobs, because the number of threads
    changes the last bits of a result.
    """

    def __init__(self, plans: Sequence[Plan], slots: Any) -> None:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        count = torch.cuda.device_count()
        self.gpus = visible.split(",")[:count] if visible and count else [str(index) for index in range(count)]
        self.gpus_a_job = max(_gpus_of(planned.cfg) for planned in plans)
        are_listed = any(not isinstance(planned.cfg.trainer.gpus, int | None) for planned in plans)
        most = 1 if are_listed else len(self.gpus) // self.gpus_a_job if self.gpus_a_job else None
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

    def environment(self, slot: int) -> dict[str, str]:
        """Environment variables for a job: its GPUs and threads; none when it has the whole machine."""
        added = {}
        if self.slots > 1:
            added["OMP_NUM_THREADS"] = str(self.threads)
            if self.gpus_a_job:
                first = slot * self.gpus_a_job
                added["CUDA_VISIBLE_DEVICES"] = ",".join(self.gpus[first : first + self.gpus_a_job])
        return added


def check_single_process(cfg: DictConfig, launcher: str) -> None:
    """Refuse several ranks in a launcher that runs jobs in its own process: each rank would start the sweep again.

    Raises:
        ValueError: naming the launcher to use instead.
    """
    arguments = trainer_arguments(cfg)
    if num_processes(arguments) > 1 and launcher in IN_PROCESS_LAUNCHERS:
        raise ValueError(
            f"hydra/launcher: {launcher} runs jobs within one process, where each of the "
            f"{num_processes(arguments)} ranks would start the whole sweep again; "
            "leave hydra/launcher=process, or use one device a job"
        )


def _gpus_of(cfg: DictConfig) -> int:
    arguments = trainer_arguments(cfg)
    return num_processes(arguments) // int(arguments["num_nodes"]) if arguments["accelerator"] == "gpu" else 0
