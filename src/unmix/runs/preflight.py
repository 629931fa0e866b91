"""Checks of a training job before anything is written; what the jobs of a sweep have in common is checked once."""

import logging
from typing import Any

from omegaconf import DictConfig

from unmix import torchrun
from unmix.checks import NO_LIMIT
from unmix.data.datamodule import SeparationDataModule
from unmix.distinct import Distinct
from unmix.experiments.hold import check_owner, check_writable
from unmix.identity import check_targets, resolved
from unmix.plans import Plan, plan
from unmix.runs.build import build_module, find_initial, load_weights, make, make_datamodule, trainer_arguments
from unmix.runs.inspection import check_callbacks, check_channels, check_model, count_parameters
from unmix.training.checkpoints import find_resumable
from unmix.training.trainer import num_processes
from unmix.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)

ANY_NUMBER = 1 << 16  # GPUs of a machine that is not known yet
# What `check_model` reads of a configuration.
OF_MODEL = ("model", "objective", "optimizer", "scheduler", "target")
OF_SEGMENT = ("sources", "sample_rate", "segment_seconds")


def check(planned: Plan, distinct: Distinct) -> tuple[Checkpoint | None, SeparationDataModule]:
    """Check everything that `check_settings` does, and the data.

    Args:
        planned: the job.
        distinct: the checks of jobs before this one.
    Returns:
        The checkpoint to start from, for a new run with `init_from`, None otherwise; and the data module, which is
        shared with jobs that differ in the seed.
    Raises:
        ValueError: as `check_settings`, and on unusable data.
    """
    cfg, data = planned.cfg, resolved(planned.cfg)["data"]
    arguments, num_channels, initial = check_settings(planned, distinct)
    datamodule = shared_datamodule(cfg, data, distinct)
    of_data = [_without_seed(data), num_channels, arguments]
    is_prepared = distinct.once(lambda: _check_data(datamodule, num_channels, arguments), "data", of_data)
    if is_prepared and not cfg.fresh and (start := find_resumable(planned.run / "checkpoints")):
        check_same_data(start, datamodule)
    return initial, datamodule


def check_elsewhere(cfg: DictConfig, distinct: Distinct) -> None:
    """Check a training that another machine runs, which has its data and devices; arguments and errors as `check`."""
    check_settings(plan(cfg), distinct, ANY_NUMBER)


def check_settings(
    planned: Plan, distinct: Distinct, num_gpus: int | None = None
) -> tuple[dict[str, Any], int, Checkpoint | None]:
    """Check targets, devices, model, objective, callbacks and folder, and find the checkpoint of `init_from`.

    Args:
        planned: the job.
        distinct: the checks of jobs before this one.
        num_gpus: number of GPUs on the machine that trains; None: this one.
    Returns:
        Lightning's arguments that select devices, the number of channels, and the checkpoint as `check`.
    Raises:
        ValueError: on an unknown target, too few GPUs, an unsuitable model or objective, a folder of another
            experiment, or weights that do not fit.
    """
    cfg = planned.cfg
    content = resolved(cfg)
    check_targets(cfg.target, cfg.data.sources)
    arguments = distinct.once(lambda: trainer_arguments(cfg, num_gpus), "trainer", content["trainer"])
    torchrun.check_world(arguments)
    of_model = [{key: content[key] for key in OF_MODEL}, {key: content["data"].get(key) for key in OF_SEGMENT}]
    num_channels = distinct.once(lambda: _num_channels(cfg, distinct), "model", of_model)
    distinct.once(lambda: check_callbacks(make(cfg.callbacks or {}, "callbacks")), "callbacks", _anywhere(content))
    check_owner(planned.run, planned.previous, planned.experiment)
    check_writable(planned.run)
    _check_length(planned)
    initial = None
    if cfg.init_from and (planned.previous is None or cfg.fresh):
        initial = find_initial(cfg)
        load_weights(build_module(cfg), initial)
    return arguments, num_channels, initial


def _num_channels(cfg: DictConfig, distinct: Distinct) -> int:
    """Check the model, keep its number of parameters for `count_parameters`, and return its number of channels."""
    module = check_model(cfg)
    count_parameters(cfg, distinct, module)
    return int(module.model.num_channels)


def shared_datamodule(cfg: Any, data: dict[str, Any], distinct: Distinct) -> SeparationDataModule:
    """Make the data module, or return that of a job that differs in the seed, for checks and downloads only.

    Args:
        cfg: the configuration.
        data: its node `data`, without interpolations.
        distinct: the data modules of jobs before this one.
    """
    return distinct.once(lambda: make_datamodule(cfg.data), "data module", _without_seed(data))


def _without_seed(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key != "seed"}


def _anywhere(content: dict[str, Any]) -> Any:
    """The callbacks of a configuration, in which the run's folder has no name."""
    return repr(content["callbacks"]).replace(repr(content["run_dir"])[1:-1], "")


def _check_data(datamodule: SeparationDataModule, num_channels: int, arguments: dict[str, Any]) -> bool:
    """Check data, and that model and devices suit them; return whether they are prepared, and so checked in full."""
    if not datamodule.library.is_prepared:
        datamodule.library.check_files()
        return False
    datamodule.check_training()
    check_channels(num_channels, datamodule)
    key = "trainer.cpu_processes" if arguments["accelerator"] == "cpu" else "trainer.gpus"
    datamodule.check_ranks(num_processes(arguments), key)
    return True


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


def check_same_data(start: Checkpoint, datamodule: SeparationDataModule) -> None:
    """Refuse to continue with other tracks than a checkpoint was made of, unless `data.allow_changed` is set."""
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
