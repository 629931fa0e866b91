"""Hydra launcher `process`: runs every job of a sweep in its own process.

Lightning's DDP starts ranks by running the command line again. With the command line of a sweep, each rank would start
the whole sweep; a job in its own process has its own command line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class ProcessLauncher(Launcher):
    """Hydra launcher that runs training jobs in parallel, each on its own share of the devices.

    Args:
        slots: number of jobs at a time; `auto` is as many as the GPUs allow, or one on the CPU.
        fail_fast: whether no further job starts after a failure.
        sweep_dir: folder for the logs of the jobs and jobs.jsonl.
    """

    def __init__(self, slots: Any = "auto", fail_fast: bool = False, sweep_dir: str = "outputs/sweeps/unnamed") -> None:
        self.slots = slots
        self.fail_fast = fail_fast
        self.sweep_dir = Path(sweep_dir)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember the folder of `--config-dir`, which is passed on to the jobs; called by Hydra."""
        sources = {source.provider: source.path for source in config.hydra.runtime.config_sources}
        self.config_dir = sources.get("command-line")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; see `unmix.runs.sweep.launch`."""
        from unmix.runs import sweep  # imports torch, which Hydra's plugin discovery should not wait for

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
        """Wrap the outcome of a job (val/loss or error) in the JobReturn that Hydra's sweepers expect."""
        if isinstance(outcome, Exception):
            return FailedJob(overrides=overrides, status=JobStatus.FAILED, error=outcome)
        returned = JobReturn(overrides=overrides, status=JobStatus.COMPLETED)
        returned.return_value = outcome
        return returned


@dataclass
class FailedJob(JobReturn):
    """A failed job, which raises its error and prints nothing: the command explains the error in one line."""

    error: Exception | None = None

    @property  # type: ignore[misc]  # Hydra's can be set
    def return_value(self) -> Any:
        """Raise the error, as Hydra's JobReturn does."""
        assert self.error is not None
        raise self.error
