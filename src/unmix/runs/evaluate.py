"""python src/evaluate.py: the scores of a separator, also at the end of an experiment's fourth training."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import SOURCES
from unmix.evaluation import callback, published
from unmix.evaluation.report import Summary
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.table import print_comparison, print_table
from unmix.experiments import folder
from unmix.experiments.hold import hold
from unmix.models import checkpoint
from unmix.models.checkpoint import Checkpoint
from unmix.models.separator import find_checkpoints, load_separator
from unmix.plans import Plan
from unmix.runs.build import make_datamodule, quiet_lightning
from unmix.training.trainer import make_trainer

log = logging.getLogger(__name__)


def check(cfg: DictConfig) -> None:
    """Refuse checkpoints that are not there, or lack one of the four targets."""
    _complete(cfg.ckpt)


def run(cfg: DictConfig) -> None:
    """Score a separator over all tracks of a subset."""
    quiet_lightning()
    ckpt = list(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    parent, name = Path(cfg.paths.out) / "evaluations", "checkpoints"
    if isinstance(ckpt, str) and Path(ckpt).is_dir():
        parent, name = Path(ckpt) / "eval", Path(ckpt).resolve().name
    _evaluate(ckpt, parent, name, cfg, data=cfg.data, subset=cfg.subset, on_busy="wait")


def after_training(plan: Plan) -> None:
    """Evaluate the four targets of a seed when they are done; of several jobs that end together, one does it."""
    if not plan.wants_evaluation or plan.evaluation is not None:
        return
    ckpt = [plan.sibling(target) / "checkpoints" / "best.ckpt" for target in plan.targets]
    where = plan.run.parent / "eval"
    _evaluate(ckpt, where, plan.experiment, plan.cfg, data=None, subset="test", on_busy="skip")


def _evaluate(ckpt: Any, parent: Path, method: str, cfg: DictConfig, *, data: Any, subset: str, on_busy: str) -> None:
    """`parent`/<data>-<subset>-<6 hex>: other weights, data or settings are another folder, no score goes stale."""
    found, settings = _complete(ckpt), cfg.evaluation
    if settings.compare:
        published.medians_of(settings.compare)  # or say now that it is unknown
    separating: dict[str, Any] = OmegaConf.to_container(cfg.separator)  # type: ignore[assignment]
    data = data or next(iter(found.values())).config["data"]
    datamodule = make_datamodule(data, target=next(iter(found)), cache=cfg.paths.data)  # of this machine
    datamodule.prepare_data()
    tracks = getattr(datamodule.splits, subset)
    if not tracks:
        raise ValueError(f"subset: got {subset!r}, which has no track in {datamodule.root}")
    matters = _what_matters(found, datamodule, subset, separating)
    code = hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:6]
    where = EvaluationFolder(parent / f"{datamodule.name}-{subset}-{code}")
    described = {**matters, "checkpoints": {t: str(one.path) for t, one in found.items()}, **folder.environment()}
    with hold(where.path, where.path.name, on_busy=on_busy) as held:
        if held is None:
            return
        scorer = callback.Museval(
            tracks,
            where,
            method=method,
            settings=described,
            engine=settings.engine,
            workers=settings.workers,
            save_estimates=settings.save_estimates,
            compare=settings.compare,
            tell=lambda activity: held.update(activity=activity),
        )
        trainer = make_trainer(
            settings.gpus, logger=False, callbacks=[scorer], enable_checkpointing=False, enable_progress_bar=False
        )
        how = {key: value for key, value in separating.items() if key != "exact_seconds"}
        separator = load_separator(ckpt, targets=_targets(found), **how)
        summary = callback.evaluate(separator, scorer, trainer, separating["exact_seconds"])
        held.update(state="done", activity="")
    _show(summary, where, settings)


def _show(summary: Summary, where: EvaluationFolder, settings: DictConfig) -> None:
    print_table(summary.medians, summary.num_tracks)
    if summary.compared:
        print_comparison(summary.medians[summary.method], summary.published, summary.compared)
        if {row.track for row in summary.rows} != published.tracks():
            log.warning("published scores are of MUSDB18's 50 test tracks, these of %d others", summary.num_tracks)
    log.info("report: %s", where.path / "report.html")
    if settings.save_estimates:
        log.info("stems:  %s", where.path / "estimates")


def _what_matters(
    found: dict[str, Checkpoint], datamodule: SeparationDataModule, subset: str, separator: dict[str, Any]
) -> dict[str, Any]:
    """Whatever can change a score."""
    return {
        "weights": {target: checkpoint.digest(one.state) for target, one in found.items()},
        "data": datamodule.splits.fingerprint(),
        "subset": subset,
        "separator": separator,
    }


def _complete(ckpt: Any) -> dict[str, Checkpoint]:
    """Checkpoints of all targets: museval scores them together, or not at all."""
    found = find_checkpoints(ckpt)
    missing = [target for target in _targets(found) if target not in found]
    if missing:
        raise ValueError(
            f"ckpt: {ckpt} holds {', '.join(found)} and lacks {', '.join(missing)}; museval scores all together: "
            f"train the rest with the same options and -m target={','.join(missing)}"
        )
    return found


def _targets(found: dict[str, Checkpoint]) -> list[str]:
    """The sources of the data that the networks were trained on."""
    return list(next(iter(found.values())).config["data"].get("sources", SOURCES))
