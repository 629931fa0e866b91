"""python src/train.py: trains one run of an experiment; the same command again resumes it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ProgressBar

from unmix import torchrun
from unmix.checks import NO_LIMIT
from unmix.data.datamodule import SeparationDataModule
from unmix.data.memory import keep_freed_memory
from unmix.experiments.hold import Held, check_owner, check_writable, hold, move_aside
from unmix.experiments.status import Status
from unmix.identity import check_targets
from unmix.plans import Plan, plan, requested_length, settled, warn_of_no_test
from unmix.processes import signals
from unmix.runs import boards, evaluate
from unmix.runs.build import (
    build_module,
    configure_loggers,
    fetch_to_train,
    find_initial,
    leave_process_group,
    load_weights,
    make,
    make_datamodule,
    make_loggers,
    make_module,
    plain,
    quiet_lightning,
    rank,
    trainer_arguments,
)
from unmix.runs.inspection import check_callbacks, check_channels, check_model
from unmix.runs.provenance import (
    derived,
    log_file,
    logged,
    record,
    say_what_begins,
    say_what_came_out,
    write_provenance,
)
from unmix.training.callbacks import StatusUpdates
from unmix.training.checkpoints import BEST, LAST, find_resumable
from unmix.training.module import SeparationModule
from unmix.training.trainer import num_processes
from unmix.weights import checkpoint
from unmix.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainJob:
    """A prepared training run.

    Args:
        plan: the run and its state.
        datamodule: its data; checked already, unless they must be downloaded or decoded first.
        initial: checkpoint to start from, for a new run with `init_from`; None otherwise.
        callbacks: Lightning's callbacks by name in the configuration; None where one is left out.
    """

    plan: Plan
    datamodule: SeparationDataModule
    initial: Checkpoint | None
    callbacks: dict[str, Any]

    def run(self) -> float | None:
        """Train, then evaluate the seed if its runs now estimate all sources. Returns the best val/loss.

        Raises:
            ValueError: when the run failed before and `retry` is not set, or its checkpoints or data do not fit.
            Busy: when another process holds the run and `on_busy=fail`.
            Interrupted: when a signal stopped the training, after a checkpoint.
        """
        quiet_lightning()
        run, cfg = self.plan.run, self.plan.cfg
        if rank() != 0:  # rank 0 holds the folder, and started this process
            self._fit(lambda **_: None)
            return None
        fetch_to_train(self.datamodule)
        warn_of_no_test([self.plan])
        if cfg.fresh and (aside := move_aside(run)):
            log.info("fresh: moved the old run to %s", aside)
        with hold(run, self.plan.experiment, on_busy=cfg.on_busy, wanted=_wanted(cfg)) as held:
            if held is not None:
                torchrun.announce(is_training=True)
                with log_file(run / "train.log"):
                    self._train(held)
        torchrun.leave()
        planned = plan(settled(cfg))
        if held is None:
            log.info("%s", planned)
            boards.log_finished(planned)
        evaluate.after_training(planned)
        return None if planned.previous is None else planned.previous.best

    def _train(self, held: Held) -> None:
        self._fit(held.update)
        checkpoints = self.plan.run / "checkpoints"
        last, best = checkpoint.read(checkpoints / LAST).record, checkpoint.read(checkpoints / BEST)
        epoch, batch = last["position"]
        held.update(
            state="done",
            epoch=epoch,
            step=last["step"],
            batch=batch,
            best=best.record["best_score"],
            length=requested_length(self.plan.cfg),
            stopped_early=last["stopped_early"],
            weights=checkpoint.digest(best.state),
            targets=best.targets,
            activity="",
        )
        say_what_came_out(self.plan, held.status)

    def _fit(self, update: Callable[..., None]) -> None:
        """Train on this rank, from the last checkpoint if there is one; `update` changes the run's status."""
        keep_freed_memory()
        planned, datamodule = self.plan, self.datamodule
        datamodule.prepare_data()
        datamodule.check_training()
        for warning in datamodule.library.scan.warnings:
            log.warning("%s", warning)
        start = find_resumable(planned.run / "checkpoints")
        if start is not None:
            _check_same_data(start, datamodule)
            if start.record["stopped_early"]:
                return  # killed after its last epoch, before its status was `done`
            datamodule.start_at(*start.record["position"])
        config = plain(planned.cfg, datamodule)
        module = make_module(planned.cfg, datamodule)
        check_channels(module, datamodule)
        if self.initial is not None and start is None:
            load_weights(module, self.initial)
        trainer = self._make_trainer(config, module, update)
        if trainer.is_global_zero:
            say_what_begins(planned, start, trainer, datamodule, module)
            write_provenance(planned.run, config, start)
        with signals.deferred(), torchrun.stopping_together():
            trainer.fit(module, datamodule=datamodule, ckpt_path=start.path if start else None, weights_only=True)
        leave_process_group()

    def _make_trainer(self, config: dict[str, Any], module: SeparationModule, update: Callable[..., None]) -> Trainer:
        planned, callbacks = self.plan, dict(self.callbacks)
        callbacks["checkpoints"].record = recorded = record(planned, config, self.datamodule, module.targets)
        callbacks["status"] = StatusUpdates(update, callbacks["checkpoints"])
        loggers = make_loggers(planned.cfg.logger, boards.training_job(planned))
        facts = derived(planned.cfg, self.datamodule, module)
        configure_loggers(loggers, {**logged(config, recorded), "derived": facts})
        trainer: Trainer = make(
            planned.cfg.trainer,
            "trainer",
            logger=loggers or False,
            callbacks=[callback for callback in callbacks.values() if callback is not None],
            enable_progress_bar=isinstance(callbacks.get("progress"), ProgressBar),
        )
        return trainer


def prepare(cfg: DictConfig) -> TrainJob:
    """Check targets, devices, model, objective, callbacks, folder and data, and find the checkpoint of `init_from`.

    Raises:
        ValueError: on an unknown target, too few GPUs, an unsuitable model or objective, a folder of another
            experiment, weights that do not fit, or unusable data.
    """
    check_targets(cfg.target, cfg.data.sources)
    arguments = trainer_arguments(cfg)
    torchrun.check_world(arguments)
    module = check_model(cfg)
    callbacks = make(cfg.callbacks or {}, "callbacks")
    check_callbacks(callbacks)
    planned = plan(cfg)
    check_owner(planned.run, planned.previous, planned.experiment)
    check_writable(planned.run)
    _check_length(planned)
    initial = None
    if cfg.init_from and (planned.previous is None or cfg.fresh):
        initial = find_initial(cfg)
        load_weights(build_module(cfg), initial)
    datamodule = make_datamodule(cfg.data)
    if datamodule.library.is_prepared:
        datamodule.check_training()
        check_channels(module, datamodule)
        key = "trainer.cpu_processes" if arguments["accelerator"] == "cpu" else "trainer.gpus"
        datamodule.check_ranks(num_processes(arguments), key)
        if not cfg.fresh and (start := find_resumable(planned.run / "checkpoints")):
            _check_same_data(start, datamodule)
    else:
        datamodule.library.check_files()
    return TrainJob(planned, datamodule, initial, callbacks)


def _check_length(planned: Plan) -> None:
    """Refuse to continue a run to fewer epochs or steps than it has."""
    previous = planned.previous
    if previous is None or planned.state != "continues":
        return
    for name, reached in (("max_epochs", previous.epoch), ("max_steps", previous.step)):
        if NO_LIMIT != planned.cfg.trainer[name] < reached:
            raise ValueError(
                f"trainer.{name}: got {planned.cfg.trainer[name]}, but {planned.run} has {reached} already: "
                "take at least as many, or fresh=true starts anew"
            )


def _wanted(cfg: DictConfig) -> Callable[[Status | None], bool]:
    def is_wanted(previous: Status | None) -> bool:
        planned = Plan(cfg, "", Path(cfg.run_dir), previous)
        if planned.state == "failed":
            raise ValueError(str(planned))
        return planned.state != "done"

    return is_wanted


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
