"""From nodes of a configuration to the objects they name."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from lightning_utilities.core.rank_zero import rank_zero_only
from omegaconf import DictConfig, OmegaConf

from unmix.data import statistics
from unmix.data.datamodule import SeparationDataModule
from unmix.models.open_unmix import OpenUnmix
from unmix.models.separator import find_checkpoints
from unmix.training.loggers import Job
from unmix.training.module import SeparationModule
from unmix.training.trainer import check_arguments


def make_datamodule(data: Mapping[str, Any], **overrides: Any) -> SeparationDataModule:
    """The data module of a configuration.

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
    """Network with the statistics of its training data, loss and optimisation; the same for the same seed."""
    torch.manual_seed(cfg.seed)  # the initial weights
    module = build_module(cfg)
    cache = datamodule.library.cache / "statistics"
    mean, std = statistics.load_or_compute(datamodule.splits.train, module.stft, cache, _device(cfg))
    cast(OpenUnmix, module.model).set_statistics(mean, std)
    return module


def load_weights(module: SeparationModule, cfg: DictConfig) -> None:
    """Start from the network that `init_from` names, statistics included, as Open-Unmix's fine-tuning does.

    Raises:
        ValueError: when it holds no network of this target, or one of another shape.
    """
    found = find_checkpoints(cfg.init_from)
    if cfg.target not in found:
        raise ValueError(f"init_from: {cfg.init_from} holds {', '.join(found)}, and no network for {cfg.target}")
    try:
        module.model.load_state_dict(found[cfg.target].state)
    except RuntimeError as error:
        shapes = " ".join(str(error).split()[:60])
        raise ValueError(f"init_from: {found[cfg.target].path} does not fit model=...: {shapes}") from error


def _device(cfg: DictConfig) -> torch.device:
    """What this process will train on."""
    arguments = check_arguments(**{str(name): value for name, value in cfg.trainer.items() if name != "_target_"})
    if arguments["accelerator"] != "gpu":
        return torch.device("cpu")
    rank, devices = int(os.environ.get("LOCAL_RANK", "0")), arguments["devices"]
    return torch.device("cuda", rank if isinstance(devices, int) else devices[rank])


def build_module(cfg: DictConfig) -> SeparationModule:
    """Network, loss and optimisation as configured."""
    return SeparationModule(
        instantiate(cfg.model),
        instantiate(cfg.stft),
        target=cfg.target,
        optimizer=instantiate(cfg.optimizer),
        scheduler=instantiate(cfg.scheduler),
    )


def plain(cfg: DictConfig, datamodule: SeparationDataModule) -> dict[str, Any]:
    """The resolved configuration as plain containers, with the data's folder absolute."""
    config = OmegaConf.to_container(cfg, resolve=True)
    config["data"]["root"] = str(datamodule.root.resolve())  # type: ignore[index, call-overload]
    return config  # type: ignore[return-value]


def quiet_lightning() -> None:
    """Its notes on hardware and on itself are noise in a log; its warnings stay."""
    for name in ("pytorch_lightning", "lightning_fabric", "lightning.pytorch"):
        logging.getLogger(name).setLevel(logging.WARNING)


def rank() -> int:
    """Of this process among those that work together; known before any trainer is."""
    found: int = getattr(rank_zero_only, "rank", None) or 0
    return found


def leave_process_group() -> None:
    """What follows runs on the first rank alone, or in another group."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def make_loggers(nodes: DictConfig | None, job: Job) -> list[Any]:
    """The loggers of a configuration, for one job."""
    return [make(job) for make in instantiate(nodes or {}).values()]


def count_parameters(cfg: DictConfig) -> int:
    """Of the network: all numbers that training changes."""
    with torch.device("meta"):  # no memory, no numbers
        return sum(weight.numel() for weight in build_module(cfg).parameters() if weight.requires_grad)
