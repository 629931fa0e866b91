"""Hydra's launcher `process`: every job of a sweep in a process of its own.

Lightning's DDP starts its ranks by running the command line again; within a sweep that would be the whole sweep. In a
process of its own, a job's command line is the job's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """Runs training jobs side by side, each with its share of the devices.

    Args:
        slots: jobs at a time; `auto` is one for each set of GPUs, or one on the CPU.
        fail_fast: whether the first failed job stops the rest.
        sweep_dir: where the jobs' logs and jobs.jsonl go.
    """

    def __init__(self, slots: Any = "auto", fail_fast: bool = False, sweep_dir: str = "outputs/sweeps/unnamed") -> None:
        self.slots = slots
        self.fail_fast = fail_fast
        self.sweep_dir = Path(sweep_dir)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep the folder of `--config-dir`: a job is its overrides, and that."""
        sources = {source.provider: source.path for source in config.hydra.runtime.config_sources}
        self.config_dir = sources.get("command-line")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; see `unmix.runs.sweep.launch`."""
        from unmix.runs import sweep  # torch, which Hydra's look through its plugins must not pay for

        outcomes = sweep.launch(
            job_overrides,
            self.config_dir,
            slots=self.slots,
            fail_fast=self.fail_fast,
            sweep_dir=self.sweep_dir,
            first_number=initial_job_idx,
        )
        return [self._returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]

    @staticmethod
    def _returned(overrides: Sequence[str], outcome: "float | Exception | None") -> JobReturn:
        failed = isinstance(outcome, Exception)
        returned = JobReturn(overrides=overrides, status=JobStatus.FAILED if failed else JobStatus.COMPLETED)
        returned.return_value = outcome
        return returned
