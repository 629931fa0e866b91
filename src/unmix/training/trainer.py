"""A Lightning Trainer from the configuration's `trainer` group: devices, ranks and precision."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from pytorch_lightning import Trainer
from pytorch_lightning.strategies import DDPStrategy

from unmix import errors, settings
from unmix.training.checkpoints import SafeCheckpointIO

GPU_ONLY_PRECISIONS = ("16-mixed", "16")  # on a CPU, Lightning trains in bf16-mixed instead


def make_trainer(
    gpus: int | Sequence[int] | None = None,
    num_nodes: int = 1,
    cpu_processes: int = 1,
    matmul_precision: str = "highest",
    **trainer_arguments: Any,
) -> Trainer:
    """Make a Lightning Trainer.

    Args:
        gpus: None: one GPU if there is one, else the CPU; 0: the CPU; N: that many GPUs; a list: GPUs by index; -1:
            all GPUs. DDP is used with several.
        num_nodes: number of machines.
        cpu_processes: number of DDP processes when no GPU is used, to test multi-GPU training without GPUs.
        matmul_precision: `highest` is float32; `high` allows TF32 on a GPU (cuDNN's LSTM may use TF32 in any case).
        trainer_arguments: passed on to Lightning's Trainer.
    Raises:
        ValueError: when there are fewer GPUs than requested, or Lightning does not know an argument or we set it here.
    """
    available = torch.cuda.device_count()
    arguments = check_arguments(available, gpus, num_nodes, cpu_processes, matmul_precision, **trainer_arguments)
    torch.set_float32_matmul_precision(matmul_precision)
    if arguments["strategy"] == "ddp":
        # The only buffers are BatchNorm's; broadcasting them before every forward pass would hang ranks that validate
        # different numbers of tracks.
        arguments["strategy"] = DDPStrategy(broadcast_buffers=False)
    return Trainer(
        **arguments,
        plugins=[SafeCheckpointIO(), *_cluster()],
        use_distributed_sampler=False,  # our sampler divides batches among ranks itself
        enable_model_summary=False,
        num_sanity_val_steps=0,  # validation runs on full tracks: expensive, and its scores would count as real ones
        **trainer_arguments,
    )


def _cluster() -> list[SLURMEnvironment]:
    """Lightning's view of a Slurm job; a job is requeued by what submitted it, not by Lightning."""
    return [SLURMEnvironment(auto_requeue=False)] if SLURMEnvironment.detect() else []


def check_arguments(
    available: int,
    /,
    gpus: int | Sequence[int] | None = None,
    num_nodes: int = 1,
    cpu_processes: int = 1,
    matmul_precision: str = "highest",
    **trainer_arguments: Any,
) -> dict[str, Any]:
    """Check the arguments of `make_trainer`; return Lightning's arguments that select devices.

    Args:
        available: number of GPUs on the machine that trains; the others are those of `make_trainer`.
    Raises:
        ValueError: as `make_trainer`.
    """
    settings.check("trainer", {"matmul_precision": matmul_precision, **trainer_arguments})
    arguments = device_arguments(gpus, num_nodes, cpu_processes, available)
    _check_precision(trainer_arguments.get("precision"), arguments["accelerator"])
    allowed = set(inspect.signature(Trainer).parameters) - set(arguments)
    for name in trainer_arguments:
        if name in arguments:
            raise ValueError(f"trainer.{name}: not allowed, trainer.gpus sets it; use that, or trainer.cpu_processes")
        if name not in allowed:
            raise ValueError(errors.unknown(f"trainer.{name}", name, sorted(allowed)))
    return arguments


def _check_precision(precision: object, accelerator: str) -> None:
    """Refuse a precision that Lightning would replace by another one."""
    if accelerator == "cpu" and str(precision) in GPU_ONLY_PRECISIONS:
        allowed = ", ".join(name for name in settings.PRECISIONS if name not in GPU_ONLY_PRECISIONS)
        raise ValueError(f"trainer.precision: got {precision}, which a CPU cannot do; allowed {allowed} on a CPU")


def device_arguments(
    gpus: int | Sequence[int] | None, num_nodes: int, cpu_processes: int, available: int
) -> dict[str, Any]:
    """Translate our settings into Lightning's accelerator, devices, strategy and num_nodes.

    Raises:
        ValueError: when a setting is malformed, or there are fewer GPUs than requested.
    """
    settings.check("trainer", {"gpus": gpus, "num_nodes": num_nodes, "cpu_processes": cpu_processes})
    if gpus is None:
        gpus = min(1, available)
    if gpus == -1:
        gpus = available
    if isinstance(gpus, int):
        if gpus < 0 or gpus > available:
            raise ValueError(_too_few(gpus, available))
        count, devices = gpus, gpus
    else:
        if any(index not in range(available) for index in gpus):
            raise ValueError(_too_few(list(gpus), available))
        count, devices = len(gpus), list(gpus)  # type: ignore[assignment]
    if count == 0:
        return _arguments("cpu", cpu_processes, cpu_processes * num_nodes, num_nodes)
    return _arguments("gpu", devices, count * num_nodes, num_nodes)


def num_processes(arguments: dict[str, Any]) -> int:
    """Count the ranks that Lightning starts for the result of `device_arguments`."""
    devices = arguments["devices"]
    return (devices if isinstance(devices, int) else len(devices)) * int(arguments["num_nodes"])


def _arguments(accelerator: str, devices: Any, num_processes: int, num_nodes: int) -> dict[str, Any]:
    strategy = "ddp" if num_processes > 1 else "auto"
    return {"accelerator": accelerator, "devices": devices, "strategy": strategy, "num_nodes": num_nodes}


def _too_few(gpus: object, available: int) -> str:
    devices = "no CUDA device" if available == 0 else errors.counted(available, "CUDA device")
    return (
        f"trainer.gpus: got {gpus}, but this machine has {devices}; "
        f"allowed 0 (CPU){f', 1..{available}, -1 (all) or a list of indices' if available else ' or null'}"
    )
