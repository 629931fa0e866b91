"""python src/train.py: one target of one experiment; the same command again goes on with it."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ProgressBar

from unmix import errors
from unmix.data.datamodule import SeparationDataModule
from unmix.data.memory import keep_freed_memory
from unmix.experiments import signals
from unmix.experiments.hold import Held, check_owner, hold, move_aside
from unmix.experiments.pool import LAUNCHER
from unmix.experiments.status import Status
from unmix.models import checkpoint
from unmix.models.checkpoint import Checkpoint
from unmix.plans import Plan, plan, requested_length, settled
from unmix.runs import evaluate
from unmix.runs.build import (
    build_module,
    leave_process_group,
    load_weights,
    make_datamodule,
    make_loggers,
    make_module,
    plain,
    quiet_lightning,
    rank,
)
from unmix.runs.provenance import derived, record, say_what_begins, say_what_came_out, write_provenance
from unmix.training.callbacks import StatusUpdates
from unmix.training.checkpoints import BEST, LAST, find_resumable
from unmix.training.loggers import Job
from unmix.training.trainer import check_arguments, num_processes

log = logging.getLogger(__name__)

IN_PROCESS_LAUNCHERS = ("basic", "joblib", "ray")


def check(cfg: DictConfig) -> None:
    """Refuse an unknown target, missing GPUs, sizes that do not fit, a foreign folder and unusable data."""
    if cfg.target not in cfg.data.sources:
        raise ValueError(errors.unknown("target", cfg.target, cfg.data.sources))
    arguments = check_arguments(**{str(name): value for name, value in cfg.trainer.items() if name != "_target_"})
    with torch.device("meta"):  # no memory, no numbers
        build_module(cfg)
    planned = plan(cfg)
    check_owner(planned.run, planned.previous, planned.experiment)
    if cfg.init_from and (planned.previous is None or cfg.fresh):
        load_weights(build_module(cfg), cfg)
    datamodule = make_datamodule(cfg.data)
    if datamodule.library.is_prepared:
        datamodule.check_training()
        datamodule.check_ranks(num_processes(arguments))
        if not cfg.fresh and (start := find_resumable(planned.run / "checkpoints")):
            _check_same_data(start, datamodule)


def check_single_process(cfg: DictConfig, launcher: str) -> None:
    """Refuse several ranks in a launcher that runs jobs in its own process: each rank would start the sweep again.

    Raises:
        ValueError: with the way out.
    """
    arguments = check_arguments(**{str(name): value for name, value in cfg.trainer.items() if name != "_target_"})
    if num_processes(arguments) > 1 and launcher in IN_PROCESS_LAUNCHERS:
        raise ValueError(
            f"hydra/launcher: {launcher} runs jobs within one process, where each of the "
            f"{num_processes(arguments)} ranks would start the whole sweep again; "
            "leave hydra/launcher=process, or use one device a job"
        )


def run(cfg: DictConfig) -> float | None:
    """Train one target; evaluate the experiment when it was the last one. Returns the best val/loss.

    Raises:
        ValueError: on a run that failed before (`retry=true`), or whose checkpoints or data do not fit.
        Busy: when another process is at it and `on_busy=fail`.
        Interrupted: when a signal stopped it, after a checkpoint.
    """
    quiet_lightning()
    planned = plan(cfg)
    if rank() != 0:  # its first rank holds the folder, and started this one
        _fit(planned, lambda **_: None)
        return None
    if cfg.fresh and (aside := move_aside(planned.run)):
        log.info("fresh: moved the old run to %s", aside)
    with hold(planned.run, planned.experiment, on_busy=cfg.on_busy, wanted=_wanted(cfg)) as held:
        if held is not None:
            with _log_file(planned.run / "train.log"):
                _train(planned, held)
    planned = plan(settled(cfg))
    if held is None:
        log.info("%s", planned)
    evaluate.after_training(planned)
    return None if planned.previous is None else planned.previous.best


def _wanted(cfg: DictConfig) -> Callable[[Status | None], bool]:
    def is_wanted(previous: Status | None) -> bool:
        found = Plan(cfg, "", Path(cfg.run_dir), previous)
        if found.state == "failed":
            raise ValueError(str(found))
        return found.state != "done"

    return is_wanted


def _train(planned: Plan, held: Held) -> None:
    _fit(planned, held.update)
    checkpoints = planned.run / "checkpoints"
    last, best = checkpoint.read(checkpoints / LAST).record, checkpoint.read(checkpoints / BEST)
    held.update(
        state="done",
        epoch=last["position"][0],
        step=last["step"],
        best=best.record["best_score"],
        length=requested_length(planned.cfg),
        stopped_early=last["stopped_early"],
        weights=checkpoint.digest(best.state),
        activity="",
    )
    say_what_came_out(planned, held.status)


def _fit(planned: Plan, update: Callable[..., None]) -> None:
    """Everything that all ranks do."""
    keep_freed_memory()
    cfg = planned.cfg
    datamodule = make_datamodule(cfg.data)
    datamodule.prepare_data()
    datamodule.check_training()
    for warning in datamodule.library.scan.warnings:
        log.warning("%s", warning)
    start = find_resumable(planned.run / "checkpoints")
    if start is not None:
        _check_same_data(start, datamodule)
        if start.record["stopped_early"]:
            return  # killed after its last epoch, before it could say so
        datamodule.start_at(*start.record["position"])
    config = plain(cfg, datamodule)
    module = make_module(cfg, datamodule)
    if cfg.init_from and start is None:
        load_weights(module, cfg)
    trainer = _make_trainer(planned, config, datamodule, update)
    if trainer.is_global_zero:
        say_what_begins(planned, start, trainer, datamodule, module)
        write_provenance(planned.run, config, start)
    with signals.deferred():
        trainer.fit(module, datamodule=datamodule, ckpt_path=start.path if start else None, weights_only=True)
    leave_process_group()


def _make_trainer(
    planned: Plan, config: dict[str, Any], datamodule: SeparationDataModule, update: Callable[..., None]
) -> Trainer:
    callbacks = instantiate(planned.cfg.callbacks)
    callbacks["checkpoints"].record = record(planned, config, datamodule)
    callbacks["status"] = StatusUpdates(update, callbacks["checkpoints"])
    loggers = make_loggers(planned.cfg.logger, _job(planned))
    facts = derived(planned.cfg, datamodule)
    for logger in loggers:
        logger.log_configuration({**config, "derived": facts})
    trainer: Trainer = instantiate(
        planned.cfg.trainer,
        logger=loggers or False,
        callbacks=[one for one in callbacks.values() if one is not None],
        enable_progress_bar=isinstance(callbacks.get("progress"), ProgressBar),
    )
    return trainer


def _job(planned: Plan) -> Job:
    cfg = planned.cfg
    kind = "sweep" if LAUNCHER in os.environ else "train"
    return Job(planned.experiment, f"{cfg.target}-s{cfg.seed}", kind, planned.run, (cfg.target, cfg.name))


def _check_same_data(start: Checkpoint, datamodule: SeparationDataModule) -> None:
    before, now = start.record["data_fingerprint"], datamodule.splits.fingerprint()
    if before == now:
        return
    changed = (
        f"data.root: the tracks in {datamodule.root} are not those this run was begun with "
        f"(fingerprint {now}, was {before})"
    )
    if not datamodule.allow_changed:
        raise ValueError(
            f"{changed}; name the old ones, or data.allow_changed=true goes on with these, fresh=true starts anew"
        )
    log.warning("%s: going on with them", changed)


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Also write the log, with dates, into the run folder."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
