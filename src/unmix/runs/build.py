"""Build the objects that a configuration describes, and check that they fit each other."""

import logging
import os
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.data.datamodule import SeparationDataModule
from unmix.identity import targets_of
from unmix.processes import signals
from unmix.training.loggers import Job
from unmix.training.module import SeparationModule
from unmix.training.trainer import check_arguments
from unmix.weights.checkpoint import Checkpoint
from unmix.weights.find import find_checkpoints
from unmix.weights.fit import misfit


def make_datamodule(data: Any, **overrides: Any) -> SeparationDataModule:
    """Build the data module from the node `data`; `overrides` replace its keys.

    Raises:
        ValueError: as `SeparationDataModule`.
    """
    datamodule: SeparationDataModule = make(data, "data", **overrides)
    return datamodule


def fetch(datamodule: SeparationDataModule) -> None:
    """Download the data set if that is asked for and it is not there; say how to go on when a signal ends it.

    Called before a folder of results is held, so that a download that fails leaves none behind.

    Raises:
        ValueError, OSError: as `Archive.fetch`.
    """
    with signals.explained(lambda: "the same command goes on with the download"):
        datamodule.library.fetch()


def fetch_to_train(datamodule: SeparationDataModule) -> None:
    """Do `fetch`, and check that every source sounds somewhere if draws depend on it.

    Raises:
        ValueError, OSError: as `fetch` and `SeparationDataModule.check_levels`.
    """
    fetch(datamodule)
    with signals.explained(lambda: "nothing has been trained yet; the same command begins"):
        datamodule.check_levels()


def make_module(cfg: DictConfig, datamodule: SeparationDataModule) -> SeparationModule:
    """Build model, objective and optimisation, ready to train; the initial weights follow from the seed."""
    torch.manual_seed(cfg.seed)  # the initial weights
    module = build_module(cfg)
    if hasattr(module.model, "prepare"):
        module.model.prepare(datamodule, _device(cfg))
    return module


def find_initial(cfg: DictConfig) -> Checkpoint:
    """Find the checkpoint with the targets of a run, among those that `init_from` names.

    Raises:
        ValueError: when no checkpoint estimates exactly these targets.
    """
    try:
        located = find_checkpoints(cfg.init_from)
    except ValueError as error:
        raise ValueError(re.sub("^ckpt:", "init_from:", str(error))) from error
    targets = tuple(targets_of(cfg.target, cfg.data.sources))
    for checkpoint in located.values():
        if set(checkpoint.targets) == set(targets):
            return checkpoint
    raise ValueError(
        f"init_from: {cfg.init_from} holds {', '.join(located)}, and no model for {', '.join(targets)}"
        f"{'' if len(targets) == 1 else ' together'}"
    )


def load_weights(module: SeparationModule, checkpoint: Checkpoint) -> None:
    """Load trained weights, input statistics included, into a module, to fine-tune them as Open-Unmix does.

    Raises:
        ValueError: when names or shapes of the weights, or the order of the targets, differ from the module's.
    """
    if checkpoint.targets != module.targets:
        raise ValueError(
            f"init_from: {checkpoint.path} estimates {', '.join(checkpoint.targets)} in this order, "
            f"model=... {', '.join(module.targets)}: give model.targets the same order"
        )
    try:
        module.model.load_state_dict(checkpoint.state)
    except RuntimeError as error:
        wrong = misfit(module.model.state_dict(), checkpoint.state) or errors.one_line(error)
        raise ValueError(
            f"init_from: {checkpoint.path} ({checkpoint.family}) does not fit model={type(module.model).__name__}: "
            f"it {wrong}"
        ) from error


def trainer_arguments(cfg: DictConfig, available: int | None = None) -> dict[str, Any]:
    """Convert the node `trainer` to the device arguments of Lightning's Trainer.

    Args:
        cfg: configuration of a training.
        available: number of GPUs on the machine that trains; None: this one.
    Raises:
        ValueError: as `check_arguments`.
    """
    available = torch.cuda.device_count() if available is None else available
    return check_arguments(available, **{str(name): value for name, value in cfg.trainer.items() if name != "_target_"})


def _device(cfg: DictConfig) -> torch.device:
    """Device that this process trains on."""
    arguments = trainer_arguments(cfg)
    if arguments["accelerator"] != "gpu":
        return torch.device("cpu")
    rank, devices = int(os.environ.get("LOCAL_RANK", "0")), arguments["devices"]
    return torch.device("cuda", rank if isinstance(devices, int) else devices[rank])


def build_module(cfg: DictConfig) -> SeparationModule:
    """Build model, objective and optimisation as configured."""
    return SeparationModule(
        make(cfg.model, "model"),
        make(cfg.objective, "objective"),
        optimizer=make(cfg.optimizer, "optimizer"),
        scheduler=make(cfg.scheduler, "scheduler"),
    )


def make(node: Any, key: str, **arguments: Any) -> Any:
    """Build the object that a node describes, with plain lists, as a checkpoint gives them to the same class.

    Args:
        node: node with a `_target_`, or a node of such nodes.
        key: its name in the configuration.
        arguments: further arguments of the constructor.
    Raises:
        ValueError: in one line that names the key, whatever the constructor raised.
    """
    try:
        return instantiate(node, _convert_="all", **arguments)
    except InstantiationException as error:
        _, _, path = str(error).rpartition("full_key: ")
        for part in path.split(".")[1:]:
            name = part if part in node else part.rstrip("0123456789")  # Hydra writes item 2 of the list a as a2
            index = part.removeprefix(name)
            path = path.replace(part, f"{name}[{index}]", 1) if index else path
            node = node[name][int(index)] if index else node[name]
        raise ValueError(name_error(error.__cause__ or error, path or key, node)) from error


def name_error(error: BaseException, path: str, node: DictConfig) -> str:
    """Format a constructor's error so that it names a key, or all values of the node when the error names none.

    Args:
        error: error that the constructor raised.
        path: path of the node in the configuration.
        node: arguments of the constructor.
    """
    message, root = errors.one_line(error), path.partition(".")[0]
    if message.startswith((f"{root}.", f"{root}:", "target:")):
        return message
    if message.partition(":")[0].isidentifier() and ": got" in message:
        return f"{path}.{message}"
    values = ", ".join(f"{name!s}={value}" for name, value in node.items() if not str(name).startswith("_"))
    return f"{path}: {message} ({values})"


def plain(cfg: DictConfig, datamodule: SeparationDataModule) -> dict[str, Any]:
    """Resolve a configuration to plain containers, with an absolute `data.root`."""
    config = OmegaConf.to_container(cfg, resolve=True)
    config["data"]["root"] = str(datamodule.root.resolve())  # type: ignore[index, call-overload]
    return config  # type: ignore[return-value]


def quiet_lightning() -> None:
    """Silence Lightning's messages below the level of warnings, such as those about devices."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)


def rank() -> int:
    """Global rank of this process; available before a Trainer exists."""
    global_rank: int = getattr(rank_zero_only, "rank", None) or 0
    return global_rank


def leave_process_group() -> None:
    """Destroy the process group of a training, so that rank 0 can continue alone or start another.

    The other tasks of a Slurm job are no ranks from then on, either.
    """
    os.environ.pop("SLURM_NTASKS", None)
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def make_loggers(nodes: DictConfig | None, job: Job) -> list[Any]:
    """Build the loggers of a configuration; those that are partial in it (ours) are called with the job."""
    built = instantiate(nodes or {}).values()
    return [make(job) if isinstance(make, partial) else make for make in built if make is not None]


def configure_loggers(loggers: Sequence[Any], config: dict[str, Any]) -> None:
    """Log the configuration; Lightning's own loggers receive it as hyperparameters."""
    for logger in loggers:
        if hasattr(logger, "log_configuration"):
            logger.log_configuration(config)
        else:
            logger.log_hyperparams(config)
