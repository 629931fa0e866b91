"""Build the objects that a configuration describes, and check that they fit each other."""

import logging
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf
from torch import nn

from unmix import plugins as packages
from unmix.data.datamodule import SeparationDataModule
from unmix.identity import targets_of
from unmix.models import contract
from unmix.training.loggers import Job
from unmix.training.module import SeparationModule
from unmix.training.objectives import check_losses
from unmix.training.trainer import check_arguments
from unmix.weights.checkpoint import Checkpoint
from unmix.weights.find import find_checkpoints


def make_datamodule(data: Mapping[str, Any], **overrides: Any) -> SeparationDataModule:
    """Build the data module from the node `data`; `overrides` replace its keys.

    Raises:
        ValueError: when no root was given.
    """
    if data["root"] is None:
        raise ValueError(
            "data.root: not given; set data.root=/path/to/musdb18hq or the environment variable MUSDB_PATH, "
            "or try experiment=demo, which makes its own data"
        )
    root = Path(data["root"]).expanduser()
    return instantiate(data, root=str(root), **overrides)


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
    located, targets = find_checkpoints(cfg.init_from), tuple(targets_of(cfg.target, cfg.data.sources))
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
        shapes = " ".join(str(error).split()[:60])
        raise ValueError(f"init_from: {checkpoint.path} does not fit model=...: {shapes}") from error


def trainer_arguments(cfg: DictConfig) -> dict[str, Any]:
    """Convert the node `trainer` to the device arguments of Lightning's Trainer; raises as `check_arguments`."""
    return check_arguments(**{str(name): value for name, value in cfg.trainer.items() if name != "_target_"})


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
        instantiate(cfg.model, _convert_="all"),  # plain lists, as a checkpoint gives them to the same class
        instantiate(cfg.objective, _convert_="all"),
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
    )


def check_model(cfg: DictConfig) -> SeparationModule:
    """Check that the configured model keeps the contract, suits the data, and can be trained by the objective.

    Plugins are also run on noise: a model must separate one second of it, and for a model or an objective the losses of
    one segment are computed.

    Returns:
        The module, only for inspection: its weights may have no values.
    Raises:
        ValueError: naming the key to change.
    """
    module = _build_for_inspection(cfg)
    targets = targets_of(cfg.target, cfg.data.sources)
    if set(module.targets) != set(targets):
        raise ValueError(
            f"target: got {', '.join(targets)}, but model={_class_of(cfg)} estimates {', '.join(module.targets)}; "
            "the two must be the same: target=all, or change model.targets"
        )
    if module.model.sample_rate != cfg.data.sample_rate:
        raise ValueError(
            f"model.sample_rate: got {module.model.sample_rate}, data.sample_rate is {cfg.data.sample_rate}: "
            "the two must be the same"
        )
    if packages.is_plugin(cfg.model._target_):
        contract.check_output(module.model)
    if _is_plugin(cfg):
        segment = round(cfg.data.segment_seconds * cfg.data.sample_rate)
        check_losses(module.objective, module.model, cfg.data.sources, segment, str(cfg.objective._target_))
    return module


def check_channels(module: SeparationModule, datamodule: SeparationDataModule) -> None:
    """Check that all tracks have the number of channels that the model takes.

    Raises:
        ValueError: naming the first track with another number.
    """
    for track in (*datamodule.splits.train, *datamodule.splits.valid):
        if track.num_channels != module.model.num_channels:
            raise ValueError(
                f"model.num_channels: got {module.model.num_channels}, {track.folder} has {track.num_channels}: "
                "the two must be the same"
            )


def _class_of(cfg: DictConfig) -> str:
    return str(cfg.model._target_).rpartition(".")[2]


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
    """Destroy the process group of a training, so that rank 0 can continue alone or start another."""
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


def num_parameters(module: nn.Module) -> int:
    """Count the trainable parameters of a module."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def count_parameters(cfg: DictConfig) -> int:
    """Count the trainable parameters of the configured model, without allocating its weights."""
    return num_parameters(_build_for_inspection(cfg))


def _build_for_inspection(cfg: DictConfig) -> SeparationModule:
    """Build a module for inspection, leaving the state of torch's random number generator unchanged.

    Models of this project are built on the device `meta`, which takes no memory; those of plugins on the CPU, because
    their constructors may read the values of tensors, which `meta` does not have.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if _is_plugin(cfg) else "meta"):
        return build_module(cfg)


def _is_plugin(cfg: DictConfig) -> bool:
    """Whether the model or the objective belongs to a user's package."""
    return packages.is_plugin(cfg.model._target_) or packages.is_plugin(cfg.objective._target_)
