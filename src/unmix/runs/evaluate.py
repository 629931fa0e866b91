"""python src/evaluate.py: the scores of a separator, also at the end of an experiment's fourth training."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.data.tracks import SOURCES, Track
from unmix.evaluation import callback, published
from unmix.evaluation.callback import MakeTest, NetworksTest, OracleTest, SeparationTest
from unmix.evaluation.estimates import RESIDUAL
from unmix.evaluation.oracle import ORACLES
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

ORACLE = "oracle:"  # what `ckpt` begins with then


@dataclass(frozen=True)
class Candidate:
    """What is evaluated.

    Args:
        method: its name in tables.
        targets: of its estimates.
        data: configuration of the data it knows; None when it knows none.
        weights: a digest per target, or what else tells it from others.
        said: where it comes from.
        test: makes what separates.
    """

    method: str
    targets: list[str]
    data: Any
    weights: dict[str, str]
    said: dict[str, str]
    test: MakeTest


def check(cfg: DictConfig) -> None:
    """Refuse checkpoints that are not there, or lack one of the four targets, and unknown oracles."""
    _candidate(cfg, cfg.ckpt, "")


def run(cfg: DictConfig) -> None:
    """Score a separator over all tracks of a subset."""
    quiet_lightning()
    ckpt = list(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    parent, name = Path(cfg.paths.out) / "evaluations", "checkpoints"
    if isinstance(ckpt, str) and Path(ckpt).is_dir():
        parent, name = Path(ckpt) / "eval", Path(ckpt).resolve().name
    _evaluate(_candidate(cfg, ckpt, name), parent, cfg, data=cfg.data, subset=cfg.subset, on_busy="wait")


def after_training(plan: Plan) -> None:
    """Evaluate the four targets of a seed when they are done; of several jobs that end together, one does it."""
    if not plan.wants_evaluation or plan.evaluation is not None:
        return
    ckpt = [plan.sibling(target) / "checkpoints" / "best.ckpt" for target in plan.targets]
    where = plan.run.parent / "eval"
    _evaluate(_candidate(plan.cfg, ckpt, plan.experiment), where, plan.cfg, data=None, subset="test", on_busy="skip")


def _candidate(cfg: DictConfig, ckpt: Any, method: str) -> Candidate:
    if isinstance(ckpt, str) and ckpt.startswith(ORACLE):
        return _oracle(cfg, ckpt.removeprefix(ORACLE))
    residual = bool(cfg.evaluation.residual)
    found = _complete(ckpt, residual)
    how: dict[str, Any] = OmegaConf.to_container(cfg.separator)  # type: ignore[assignment]
    exact_seconds, targets = how.pop("exact_seconds"), [one for one in _targets(found) if one in found]

    def test(tracks: Sequence[Track], where: EvaluationFolder) -> SeparationTest:
        return NetworksTest(
            load_separator(ckpt, targets=targets, residual=residual, **how), tracks, where, exact_seconds
        )

    weights = {target: checkpoint.digest(one.state) for target, one in found.items()}
    if residual:
        weights["residual"], method = "mixture - the others", f"{method}, {' + '.join((*targets, RESIDUAL))}"
    said = {target: str(one.path) for target, one in found.items()}
    return Candidate(method, targets, next(iter(found.values())).config["data"], weights, said, test)


def _oracle(cfg: DictConfig, name: str) -> Candidate:
    if name not in ORACLES:
        raise ValueError(errors.unknown("ckpt", f"{ORACLE}{name}", [f"{ORACLE}{one}" for one in ORACLES]))
    if cfg.data is None:
        raise ValueError(f"ckpt: {ORACLE}{name} knows no data: name it with data=musdb18hq data.root=... or data=demo")
    targets = list(cfg.data.get("sources", SOURCES))
    return Candidate(
        f"oracle-{name}", targets, None, {"oracle": name}, {}, lambda *args: OracleTest(name, targets, *args)
    )


def _evaluate(candidate: Candidate, parent: Path, cfg: DictConfig, *, data: Any, subset: str, on_busy: str) -> None:
    """`parent`/<data>-<subset>-<6 hex>: other weights, data or settings are another folder, no score goes stale."""
    settings = cfg.evaluation
    if settings.compare:
        published.medians_of(settings.compare)  # or say now that it is unknown
    # of this machine
    datamodule = make_datamodule(data or candidate.data, target=candidate.targets[0], cache=cfg.paths.data)
    datamodule.prepare_data()
    tracks = getattr(datamodule.splits, subset)
    if not tracks:
        raise ValueError(f"subset: got {subset!r}, which has no track in {datamodule.root}")
    matters = {
        "weights": candidate.weights,
        "data": datamodule.splits.fingerprint(),
        "subset": subset,
        "format": 2,  # of the files; other files are no scores of ours
        "separator": OmegaConf.to_container(cfg.separator),
    }
    code = hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:6]
    where = EvaluationFolder(parent / f"{datamodule.name}-{subset}-{code}")
    with hold(where.path, where.path.name, on_busy=on_busy) as held:
        if held is None:
            return
        scorer = callback.Museval(
            tracks,
            where,
            method=candidate.method,
            settings={**matters, "checkpoints": candidate.said, **folder.environment()},
            engine=settings.engine,
            workers=settings.workers,
            save_estimates=settings.save_estimates,
            compare=settings.compare,
            tell=lambda activity: held.update(activity=activity),
        )
        trainer = make_trainer(
            settings.gpus, logger=False, callbacks=[scorer], enable_checkpointing=False, enable_progress_bar=False
        )
        summary = callback.evaluate(candidate.test, scorer, trainer)
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


def _complete(ckpt: Any, residual: bool) -> dict[str, Checkpoint]:
    """Checkpoints of all targets: museval scores them together, or not at all; or of some, and a residual."""
    found = find_checkpoints(ckpt)
    missing = [target for target in _targets(found) if target not in found]
    if residual and not missing:
        raise ValueError(f"evaluation.residual: got true, but {ckpt} holds all targets, which leave nothing")
    if missing and not residual:
        raise ValueError(
            f"ckpt: {ckpt} holds {', '.join(found)} and lacks {', '.join(missing)}; museval scores all together: "
            f"train the rest with the same options and -m target={','.join(missing)}, or score what is left "
            "as one source, which gives other numbers: evaluation.residual=true"
        )
    return found


def _targets(found: dict[str, Checkpoint]) -> list[str]:
    """The sources of the data that the networks were trained on."""
    return list(next(iter(found.values())).config["data"].get("sources", SOURCES))
