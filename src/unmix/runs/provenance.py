"""Provenance of a training run: the facts recorded in its folder, its checkpoints and its log."""

import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning import Trainer

from unmix.data.datamodule import SeparationDataModule
from unmix.errors import counted
from unmix.experiments import folder
from unmix.experiments.status import Status
from unmix.plans import Plan
from unmix.processes.jobs import SWEEP
from unmix.runs.inspection import num_parameters
from unmix.training.checkpoints import BEST
from unmix.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)


def record(
    planned: Plan, config: dict[str, Any], datamodule: SeparationDataModule, targets: Sequence[str]
) -> dict[str, Any]:
    """Facts of the run for every checkpoint: configuration, experiment, data, commit; `targets` in output order."""
    return {
        "config": config,
        "experiment": planned.experiment,
        "targets": list(targets),
        "seed": planned.cfg.seed,
        "data_fingerprint": datamodule.splits.fingerprint(),
        "git": folder.git_state(),
        "sweep": os.environ.get(SWEEP),
    }


def logged(config: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Configuration of a run for loggers, with its experiment, and its sweep or None.

    An evaluation logs the same keys as the trainings of its weights, so that hyperparameters and test scores join.
    """
    return {**config, "experiment": recorded.get("experiment"), "sweep": recorded.get("sweep")}


def shared(configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Select the settings that several nested configurations have in common; empty for no configuration."""
    first, *others = configs or [{}]
    alike: dict[str, Any] = {}
    for key, value in first.items():
        values = [value, *(other[key] for other in others if key in other)]
        if len(values) <= len(others):
            continue
        if all(isinstance(each, Mapping) for each in values):
            alike[key] = shared(values)
        elif all(each == value for each in values):
            alike[key] = value
    return alike


def derived(cfg: DictConfig, datamodule: SeparationDataModule, module: torch.nn.Module) -> dict[str, Any]:
    """Facts for loggers that follow from configuration and data, such as the number of parameters."""
    return {
        "parameters": num_parameters(module),
        "effective_batch": datamodule.batch_size * int(cfg.trainer.get("accumulate_grad_batches") or 1),
        "steps_per_epoch": datamodule.steps_per_epoch,
        "training_tracks": len(datamodule.splits.train),
        "data_fingerprint": datamodule.splits.fingerprint(),
        "git": folder.git_state(),
    }


def write_provenance(run: Path, config: dict[str, Any], start: Checkpoint | None) -> None:
    """Write config.yaml and env.json; when a run resumes, from `start`, warn if its environment has changed."""
    now = folder.environment(
        threads=torch.get_num_threads(), cuda=torch.version.cuda, gpus=_gpus(), diff=folder.git_diff()
    )
    path = run / "env.json"
    if start is not None and path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        for name in ("threads", "gpus", "versions", "platform"):
            if before.get(name) != now[name]:
                log.warning(
                    "%s: was %s, is %s: the result may differ in its last bits", name, before.get(name), now[name]
                )
    folder.write_atomically(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
    folder.write_json(path, now)


def _gpus() -> list[str]:
    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def say_what_begins(
    planned: Plan,
    start: Checkpoint | None,
    trainer: Trainer,
    datamodule: SeparationDataModule,
    module: torch.nn.Module,
) -> None:
    where = "new"
    if start is not None:
        epoch, batch = start.record["position"]
        where = f"continues at epoch {epoch + 1}, batch {batch + 1}"
    git = folder.git_state()
    code = f"{git['sha'][:9]}{' (changed)' if git['dirty'] else ''}" if git else "not under git"
    device = (
        f"{trainer.world_size} x {trainer.strategy.root_device.type}, {counted(torch.get_num_threads(), 'CPU thread')}"
    )
    limit: float = trainer.limit_train_batches  # a number of batches, or a share of them
    steps = datamodule.steps_per_epoch
    steps = int(steps * limit) if isinstance(limit, float) else min(steps, limit)
    batches = f"{counted(steps, 'batch', 'batches')} of {datamodule.batch_size} an epoch"
    log.info("%s: %s", planned.run, where)
    log.info("  %s parameters, %s, %s, code %s", f"{num_parameters(module):,}", batches, device, code)


def say_what_came_out(planned: Plan, final: Status) -> None:
    early = " (early stopping)" if final.stopped_early else ""
    log.info("%s: done after %s%s, best val/loss %.4f", planned.run, final.duration, early, final.best)
    log.info("  best weights: %s", planned.run / "checkpoints" / BEST)


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write the log of the block to a file too, with dates."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
