"""Hydra launchers that run every job of a sweep by a command of its own.

Lightning's DDP starts ranks by running the command line again. With the command line of a sweep, each rank would start
the whole sweep; a job with its own command line can also run on another machine.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

if TYPE_CHECKING:
    from unmix.plans import Plan
    from unmix.processes.jobs import Engine


class SweepLauncher(Launcher):
    """Hydra launcher that runs training jobs by an engine.

    Args:
        sweep_dir: folder for the logs of the jobs and jobs.jsonl.
        fail_fast: whether no further job starts after a failure.
    """

    is_elsewhere = False  # whether the jobs run on other machines, which have the data and the devices

    def __init__(self, sweep_dir: str, fail_fast: bool = False) -> None:
        self.sweep_dir = Path(sweep_dir)
        self.fail_fast = fail_fast
        self.config_dir: str | None = None

    @abstractmethod
    def engine(self, plans: "Sequence[Plan]") -> "Engine":
        """Make the engine that runs jobs such as the planned ones.

        Raises:
            ValueError: when it cannot run them, with what to change.
        """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Remember the folder of `--config-dir`, which is passed on to the jobs; called by Hydra."""
        sources = {source.provider: source.path for source in config.hydra.runtime.config_sources}
        self.config_dir = sources.get("command-line")

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs; see `unmix.runs.sweep.launch`."""
        from unmix.runs import sweep  # imports torch, which Hydra's plugin discovery should not wait for

        outcomes = sweep.launch(job_overrides, self.config_dir, self, initial_job_idx)
        return [_returned(overrides, outcome) for overrides, outcome in zip(job_overrides, outcomes, strict=True)]


class ProcessLauncher(SweepLauncher):
    """Hydra launcher that runs jobs in parallel on this machine, each on its own share of the devices.

    Args:
        sweep_dir, fail_fast: see `SweepLauncher`.
        slots: number of jobs at a time; `auto` is as many as the GPUs allow, or one on the CPU.
    """

    def __init__(
        self, sweep_dir: str = "outputs/sweeps/unnamed", fail_fast: bool = False, slots: int | str = "auto"
    ) -> None:
        super().__init__(sweep_dir, fail_fast)
        self.slots = slots

    def engine(self, plans: "Sequence[Plan]") -> "Engine":
        """Make the engine; see `unmix.runs.devices`."""
        from unmix.processes.pool import ProcessPool
        from unmix.runs.devices import Devices

        devices = Devices(plans, self.slots)
        return ProcessPool(devices.slots, devices.environment)


class RayLauncher(SweepLauncher):
    """Hydra launcher that runs each job as a task of a Ray cluster.

    Args:
        sweep_dir, fail_fast: see `SweepLauncher`; all nodes must see the folder.
        slots: number of jobs that Ray has at a time; `auto` is as many as the cluster has room for.
        address: of the cluster, as for `ray.init`; `auto` is RAY_ADDRESS or the one that this machine is in, None
            starts one on this machine.
        num_cpus: CPUs of a job; `auto` is one for each of its processes.
        max_retries: times that a job is started again after its worker or node died.
    """

    is_elsewhere = True

    def __init__(
        self,
        sweep_dir: str = "outputs/sweeps/unnamed",
        fail_fast: bool = False,
        slots: int | str = "auto",
        address: str | None = "auto",
        num_cpus: int | str = "auto",
        max_retries: int = 3,
    ) -> None:
        super().__init__(sweep_dir, fail_fast)
        self.settings: dict[str, Any] = {
            "address": address,
            "slots": slots,
            "num_cpus": num_cpus,
            "max_retries": max_retries,
        }

    def engine(self, plans: "Sequence[Plan]") -> "Engine":
        """Make the engine; see `unmix.runs.ray_cluster`."""
        from unmix.runs import ray_cluster

        return ray_cluster.engine(plans, **self.settings)


class SlurmLauncher(SweepLauncher):
    """Hydra launcher that runs jobs as a Slurm job array.

    Args:
        sweep_dir, fail_fast: see `SweepLauncher`; all nodes must see the folder.
        wait: whether the command waits for the jobs, and shows them.
        max_parallel: number of jobs of the array that may run at once; None is no limit.
        time: limit after which a job is requeued: minutes, HH:MM:SS or D-HH:MM:SS.
        signal_seconds: seconds before the limit at which the job is told to save a checkpoint.
        cpus_per_task: CPUs of each rank; see `unmix.runs.resources`.
        setup: shell lines to run before the command.
        extra: further options of sbatch, as it takes them.
        options: `partition`, `account`, `constraint` and `mem` of sbatch.
    """

    is_elsewhere = True

    def __init__(
        self,
        sweep_dir: str = "outputs/sweeps/unnamed",
        fail_fast: bool = False,
        wait: bool = True,
        max_parallel: int | None = None,
        time: str | int = "1-00:00:00",
        signal_seconds: int = 120,
        cpus_per_task: int | str = "auto",
        setup: str | Sequence[str] = (),
        extra: str | None = None,
        **options: str | None,
    ) -> None:
        super().__init__(sweep_dir, fail_fast)
        self.wait, self.max_parallel, self.cpus_per_task = wait, max_parallel, cpus_per_task
        self.asked: dict[str, Any] = {"time": time, "signal_seconds": signal_seconds, "setup": setup, "extra": extra}
        self.options = options

    def engine(self, plans: "Sequence[Plan]") -> "Engine":
        """Make the engine; see `unmix.cluster.options` and `unmix.runs.resources`."""
        from unmix import checks
        from unmix.cluster import options
        from unmix.cluster.slurm import SlurmArray
        from unmix.runs.resources import needs

        waits = checks.flag("hydra.launcher.wait", self.wait)
        folder, most = self.sweep_dir / "slurm", self.max_parallel
        request = options.request(folder, max_parallel=most, options=self.options, **self.asked)
        resources = needs(plans, options.cpus(self.cpus_per_task), self.options.get("partition"))
        return SlurmArray(most or len(plans), request, resources, waits=waits)


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
