"""What the Ray launcher asks of a cluster: its settings are checked, and divided among the jobs of a sweep."""

import logging
import os
import socket
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from unmix import checks, extras, settings
from unmix.errors import counted, one_line
from unmix.plans import Plan
from unmix.processes import signals

if TYPE_CHECKING:
    from unmix.processes.ray_tasks import RayTasks

PREFIX = "hydra.launcher"
CONNECT_SECONDS = 10
TOKEN = Path("~/.ray/auth_token")  # made by Ray when it first starts a cluster by `address=null`
# Nothing is reported to Ray's makers, and its notices stay out of the progress of a sweep.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SCHEDULER_EVENTS": "0",
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


def engine(plans: Sequence[Plan], *, address: Any, slots: Any, num_cpus: Any, max_retries: Any) -> "RayTasks":
    """Connect to the cluster, and make the engine that runs the planned jobs there.

    Args:
        plans: plans of the jobs.
        address, slots, num_cpus, max_retries: see `hydra_plugins.unmix_launchers.RayLauncher`.
    Raises:
        ValueError: when Ray is not installed, a setting has a wrong value, no cluster answers, or no node of it has
            what a job needs.
    """
    extras.require("hydra/launcher=ray", "ray", "ray")
    settings.check("", {"slots": slots})
    checks.integer(f"{PREFIX}.max_retries", max_retries, least=0)
    if num_cpus != "auto":
        checks.integer(f"{PREFIX}.num_cpus", num_cpus, least=1)
    for planned in plans:
        _check_devices(planned.cfg)
    nodes = connect(address)
    try:
        return _divided(plans, nodes, slots, num_cpus, max_retries)
    except ValueError:
        import ray

        ray.shutdown()
        raise


def connect(address: Any) -> list[Mapping[str, float]]:
    """Connect this process to a Ray cluster, or start one on this machine; return the resources of its nodes.

    Raises:
        ValueError: when no cluster answers there.
    """
    if address is not None:
        checks.text(f"{PREFIX}.address", address)
    os.environ.update(QUIET)
    if TOKEN.expanduser().exists():  # as `ray start` does, and then all that connects to its cluster has to
        os.environ.setdefault("RAY_AUTH_MODE", "token")
    import ray
    import ray._private.worker as ray_worker

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    ray_worker.print_to_stdstream = lambda *_, **__: None  # raylet's notices of dead nodes; the jobs' logs have theirs
    try:
        _check_answers(os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ray.init("local" if address is None else address, configure_logging=False, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{PREFIX}.address: got {address}, where no Ray cluster answers ({one_line(error)[:200]}); "
            "`ray start --head` starts one, HOST:PORT names another (if it has a token, RAY_AUTH_TOKEN is it), "
            "and null starts one on this machine for the sweep"
        ) from error
    signals.install()  # Ray has handlers of its own
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _check_answers(address: str | None) -> None:
    """Check that a port answers; Ray itself tries for a minute, and then ends the process."""
    host, _, port = str(address).rpartition("//")[2].partition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


def _check_devices(cfg: DictConfig) -> None:
    """Refuse jobs on several machines, and GPUs by index or all of them.

    Raises:
        ValueError: naming the setting.
    """
    if cfg.trainer.num_nodes != 1:
        raise ValueError(
            f"trainer.num_nodes: got {cfg.trainer.num_nodes}, but hydra/launcher=ray runs a job on one node; "
            "hydra/launcher=slurm runs a job on several"
        )
    gpus = cfg.trainer.gpus
    if gpus is not None and (not isinstance(gpus, int) or gpus < 0):
        raise ValueError(
            f"trainer.gpus: got {gpus}, but Ray chooses the GPUs of a job: their number is needed, "
            "or null for one if the cluster has any"
        )


def _divided(
    plans: Sequence[Plan], nodes: Sequence[Mapping[str, float]], slots: Any, num_cpus: Any, max_retries: int
) -> "RayTasks":
    """Divide the nodes, given by their resources, among jobs; other arguments and errors as for `engine`."""
    from unmix.processes.ray_tasks import Needs, RayTasks

    most_gpus = int(max(node.get("GPU", 0) for node in nodes))
    gpus = [min(1, most_gpus) if planned.cfg.trainer.gpus is None else planned.cfg.trainer.gpus for planned in plans]
    ranks = max(count or planned.cfg.trainer.cpu_processes for count, planned in zip(gpus, plans, strict=True))
    num_gpus = max(gpus)
    if num_gpus > most_gpus:
        raise ValueError(
            f"trainer.gpus: got {num_gpus}, but no node of the Ray cluster has more than {counted(most_gpus, 'GPU')}, "
            "and a job runs on one node"
        )
    cpus = ranks if num_cpus == "auto" else num_cpus
    suitable = [node for node in nodes if node.get("GPU", 0) >= num_gpus]
    most_cpus = int(max(node.get("CPU", 0) for node in suitable))
    if cpus > most_cpus:
        given = f"got {num_cpus}" if num_cpus == cpus else f"got {num_cpus}, which is {cpus} here"
        raise ValueError(
            f"{PREFIX}.num_cpus: {given}, but no node of the Ray cluster with {counted(num_gpus, 'GPU')} has "
            f"more than {counted(most_cpus, 'CPU')}"
        )
    room = sum(_room(node, cpus, num_gpus) for node in suitable)
    needs = Needs(cpus, num_gpus, threads=max(1, cpus // ranks), max_retries=max_retries)
    return RayTasks(room if slots == "auto" else slots, needs)


def _room(node: Mapping[str, float], cpus: int, gpus: int) -> int:
    """Number of jobs that a node, given by its resources, has room for."""
    rooms = [node.get("CPU", 0) // cpus, *([node.get("GPU", 0) // gpus] if gpus else [])]
    return int(min(rooms))
