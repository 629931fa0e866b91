"""python src/train.py: trains one run of an experiment; the same command again resumes it."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pytorch_lightning import Trainer
from pytorch_lightning.callbacks import ProgressBar

from unmix import torchrun, trained
from unmix.data.datamodule import SeparationDataModule
from unmix.data.memory import keep_freed_memory
from unmix.distinct import Distinct
from unmix.experiments.hold import Held, hold, move_aside
from unmix.experiments.status import Status
from unmix.plans import Plan, plan, requested_length, settled, warn_of_no_test
from unmix.processes import jobs, signals
from unmix.runs import boards, evaluate, preflight
from unmix.runs.build import (
    configure_loggers,
    fetch_to_train,
    leave_process_group,
    load_weights,
    make,
    make_datamodule,
    make_loggers,
    make_module,
    plain,
    quiet_lightning,
    rank,
)
from unmix.runs.inspection import check_channels
from unmix.runs.preflight import check_same_data
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
from unmix.weights import checkpoint
from unmix.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainJob:
    """A prepared training run.

    Args:
        plan: the run and its state.
        initial: checkpoint to start from, for a new run with `init_from`; None otherwise.
        checked_data: its data module, if no other job has it.
    """

    plan: Plan
    initial: Checkpoint | None
    checked_data: SeparationDataModule | None

    @cached_property
    def datamodule(self) -> SeparationDataModule:
        """The data; checked already, unless they must be downloaded or decoded first."""
        return self.checked_data or make_datamodule(self.plan.cfg.data)

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
        if jobs.SWEEP not in os.environ:  # a sweep says at its end what to do next
            trained.print_next([plan(settled(cfg))])
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
            check_same_data(start, datamodule)
            if start.record["stopped_early"]:
                return  # killed after its last epoch, before its status was `done`
            datamodule.start_at(*start.record["position"])
        config = plain(planned.cfg, datamodule)
        module = make_module(planned.cfg, datamodule)
        check_channels(module.model.num_channels, datamodule)
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
        planned, callbacks = self.plan, make(self.plan.cfg.callbacks or {}, "callbacks")
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


def prepare(cfg: DictConfig, distinct: Distinct | None = None) -> TrainJob:
    """Check everything about a run, see `preflight.check`, and find the checkpoint of `init_from`.

    Args:
        cfg: the configuration.
        distinct: the checks of the other jobs of a sweep.
    Raises:
        ValueError, OSError: as `preflight.check`.
    """
    planned = plan(cfg)
    initial, datamodule = preflight.check(planned, distinct or Distinct())
    return TrainJob(planned, initial, datamodule if distinct is None else None)


def _wanted(cfg: DictConfig) -> Callable[[Status | None], bool]:
    def is_wanted(previous: Status | None) -> bool:
        planned = Plan(cfg, "", Path(cfg.run_dir), previous)
        if planned.state == "failed":
            raise ValueError(str(planned))
        return planned.state != "done"

    return is_wanted
