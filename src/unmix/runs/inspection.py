"""Checks of a configured model, its objective and its optimisation, before anything is written."""

from collections.abc import Mapping
from typing import Any

import torch
from omegaconf import DictConfig
from pytorch_lightning import Callback
from torch import nn

from unmix import errors, plugins
from unmix.data.datamodule import SeparationDataModule
from unmix.distinct import Distinct
from unmix.dsp.stft import Stft
from unmix.identity import targets_of, value_of
from unmix.models import contract
from unmix.runs.build import build_module, name_error
from unmix.training.module import SeparationModule
from unmix.training.objectives import check_losses

METRICS = ("val/loss", "val/sdr", "train/loss")  # logged once an epoch in every training


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
    segment = round(cfg.data.segment_seconds * cfg.data.sample_rate)
    _check_segment(module, segment)
    check_optimization(module, cfg)
    if plugins.is_plugin(cfg.model._target_):
        contract.check_output(module.model)
    if _is_plugin(cfg):
        check_losses(module.objective, module.model, cfg.data.sources, segment, str(cfg.objective._target_))
    return module


def _check_segment(module: SeparationModule, segment: int) -> None:
    """Check that a training segment is as long as the longest window of the model's and the objective's STFTs."""
    windows = [part.fft_size for part in module.modules() if isinstance(part, Stft)]
    if windows and segment < max(windows):
        raise ValueError(
            f"data.segment_seconds: got {segment} samples, fewer than a window of {max(windows)}; take longer segments"
        )


def check_channels(num_channels: int, datamodule: SeparationDataModule) -> None:
    """Check that all tracks have the number of channels that the model takes.

    Raises:
        ValueError: naming the first track with another number.
    """
    for track in (*datamodule.splits.train, *datamodule.splits.valid):
        if track.num_channels != num_channels:
            raise ValueError(
                f"model.num_channels: got {num_channels}, {track.folder} has {track.num_channels}: "
                f"the two must be the same; model.num_channels={track.num_channels} fits this track"
            )


def _class_of(cfg: DictConfig) -> str:
    return str(cfg.model._target_).rpartition(".")[2]


def check_optimization(module: SeparationModule, cfg: DictConfig) -> None:
    """Build optimiser and schedule once, for their constructors' checks.

    Raises:
        ValueError: in one line that names the node.
    """
    key = "optimizer"
    try:
        optimizer = module.make_optimizer(module.parameters())
        key = "scheduler"
        module.make_scheduler(optimizer)
    except Exception as error:
        raise ValueError(name_error(error, key, cfg[key])) from error


def check_callbacks(callbacks: Mapping[str, Any]) -> None:
    """Check that every entry is a callback, and that early stopping watches a metric of ours.

    Raises:
        ValueError: naming the key to change.
    """
    for name, callback in callbacks.items():
        if callback is not None and not isinstance(callback, Callback):
            raise ValueError(f"callbacks.{name}: got {callback!r}, keys with the _target_ of a callback are needed")
    if any(plugins.is_plugin(type(callback).__module__) for callback in callbacks.values() if callback is not None):
        return  # which may log metrics of their own
    for name, callback in callbacks.items():
        monitor = getattr(callback, "monitor", None)
        if monitor is not None and monitor not in METRICS and not monitor.startswith("museval/"):
            raise ValueError(errors.unknown(f"callbacks.{name}.monitor", monitor, METRICS))


def num_parameters(module: nn.Module) -> int:
    """Count the trainable parameters of a module."""
    return sum(weight.numel() for weight in module.parameters() if weight.requires_grad)


def count_parameters(cfg: DictConfig, distinct: Distinct | None = None, module: nn.Module | None = None) -> int:
    """Count the trainable parameters of the configured model, without allocating its weights.

    Args:
        cfg: the configuration.
        distinct: the checks of other jobs.
        module: the model, if it is built already.
    """
    content = [value_of(cfg, node) for node in ("model", "objective")]
    return (distinct or Distinct()).once(
        lambda: num_parameters(module or _build_for_inspection(cfg)), "parameters", content
    )


def _build_for_inspection(cfg: DictConfig) -> SeparationModule:
    """Build a module for inspection, leaving the state of torch's random number generator unchanged.

    Models of this project are built on the device `meta`, which takes no memory; those of plugins on the CPU, because
    their constructors may read the values of tensors, which `meta` does not have.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if _is_plugin(cfg) else "meta"):
        return build_module(cfg)


def _is_plugin(cfg: DictConfig) -> bool:
    """Whether the model or the objective belongs to a user's package."""
    return plugins.is_plugin(cfg.model._target_) or plugins.is_plugin(cfg.objective._target_)
