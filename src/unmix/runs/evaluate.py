"""python src/evaluate.py: scores a separator; also called after the last training of an experiment."""

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.callbacks import TQDMProgressBar
from tqdm.contrib.logging import logging_redirect_tqdm

from unmix import errors, finished, next_steps
from unmix.data.datamodule import SeparationDataModule
from unmix.data.memory import keep_freed_memory
from unmix.errors import counted
from unmix.evaluation import callback, published, scenarios
from unmix.evaluation.estimates import RESIDUAL
from unmix.evaluation.metrics import Definition, Metric, definitions_of
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import in_scenario
from unmix.evaluation.summary import Summary
from unmix.experiments import folder
from unmix.experiments.hold import Held, hold
from unmix.plans import Plan
from unmix.reports import comparison, report
from unmix.reports.tables import print_comparison, print_methods, print_table
from unmix.runs.boards import mark_logged, show_scores
from unmix.runs.build import fetch, leave_process_group, make_datamodule, make_loggers, quiet_lightning, rank
from unmix.runs.candidates import Candidate, candidate, candidates
from unmix.runs.chosen_metrics import make_metrics
from unmix.training.loggers import Job
from unmix.training.trainer import check_arguments, make_trainer
from unmix.weights.find import read_all

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluateJob:
    """A prepared evaluation: the candidates, the data configuration of each, in the same order, and the metrics."""

    cfg: DictConfig
    candidates: list[Candidate]
    datas: list[Any]
    metrics: list[Metric]

    def run(self) -> None:
        """Score every candidate on all tracks of a subset; compare them when there are several."""
        quiet_lightning()
        keep_freed_memory()
        cfg = self.cfg
        datas = [_prepared(data, cfg) for data in self.datas]
        for item, data in zip(self.candidates, datas, strict=True):
            if data.splits.fingerprint() != datas[0].splits.fingerprint():
                raise ValueError(
                    f"data: {self.candidates[0].method} was trained with {datas[0].root} and {item.method} with "
                    f"{data.root}; name what all are scored on, as data=musdb18hq data.root=..."
                )
            item.check(getattr(data.splits, cfg.subset))
        scored = [
            _evaluate(item, cfg, data, self.metrics, subset=cfg.subset, on_busy="wait")
            for item, data in zip(self.candidates, datas, strict=True)
        ]
        pairs = [pair for pair in scored if pair is not None]  # None on all ranks except the first
        if len(pairs) > 1:
            _compare(pairs, cfg)
            log.info("%s", next_steps.script("report", *next_steps.from_command_line("ckpt", "paths")))
        elif pairs:
            log.info("%s", finished.next_step())


def prepare(cfg: DictConfig) -> EvaluateJob:
    """Check the settings, and find the checkpoints and their data.

    Raises:
        FileNotFoundError: when there are no checkpoints.
        ValueError: on an invalid setting or metric, a source without a checkpoint, unknown oracles or published scores,
            too few GPUs, or no data.
    """
    try:
        available = torch.cuda.device_count()
        check_arguments(available, cfg.evaluation.gpus, cpu_processes=cfg.evaluation.cpu_processes)
    except ValueError as error:
        raise ValueError(str(error).replace("trainer.", "evaluation.", 1)) from error
    metrics = make_metrics(cfg)
    located = candidates(cfg)
    rest = [RESIDUAL] if cfg.evaluation.residual else []
    for item in located:
        scenarios.check(cfg.evaluation.scenario, [*item.targets, *rest])
    return EvaluateJob(cfg, located, _datas(located, cfg.data), metrics)


def after_training(plan: Plan) -> None:
    """Evaluate the finished runs of a seed if it is wanted, and log it; skip it when another job is doing that."""
    if not plan.wants_evaluation or (plan.evaluation is not None and not plan.unlogged(plan.evaluation)):
        return
    ckpt = list(dict.fromkeys(folder / "checkpoints" / "best.ckpt" for folder, _ in plan.finished.values()))
    cfg = plan.cfg.copy()
    # on one device: further ranks would be started by running this training command again
    cfg.evaluation.update(gpus=0 if cfg.evaluation.gpus == 0 else None, cpu_processes=1)
    experiment = candidate(cfg, ckpt, read_all(ckpt), plan.experiment, plan.run.parent / "eval")
    _evaluate(experiment, cfg, _prepared(experiment.data, cfg), make_metrics(cfg), subset="test", on_busy="skip")
    if plan.evaluation is not None:  # perhaps of other data than those evaluated here
        mark_logged(plan, plan.evaluation)


def _datas(found: Sequence[Candidate], data: Any) -> list[Any]:
    """Choose each candidate's data configuration: the command line's, else its own, else another candidate's.

    Raises:
        ValueError: when no data are known.
    """
    known = [data or item.data for item in found]
    if not any(known):
        raise ValueError(errors.no_data(item.method for item in found))
    return [node or next(filter(None, known)) for node in known]


def _prepared(data: Any, cfg: DictConfig) -> SeparationDataModule:
    datamodule = make_datamodule(data, cache=cfg.paths.data)  # the cache of this machine
    fetch(datamodule)
    datamodule.prepare_data()
    return datamodule


def _evaluate(
    item: Candidate,
    cfg: DictConfig,
    datamodule: SeparationDataModule,
    metrics: Sequence[Metric],
    *,
    subset: str,
    on_busy: str,
) -> tuple[Summary, EvaluationFolder] | None:
    """Evaluate a candidate in <parent>/<data>-<subset>-<6 hex>, a hash of weights, data, settings and metrics.

    Returns None on all ranks except the first, and when another process holds the folder and `on_busy` is `skip`.
    """
    tracks = getattr(datamodule.splits, subset)
    if not tracks:
        raise ValueError(f"subset: got {subset!r}, which has no track in {datamodule.root}")
    settings = subset, cfg.separator, cfg.metrics, cfg.evaluation.scenario
    matters = finished.identifying(item.weights, datamodule.splits.fingerprint(), *settings)
    output = EvaluationFolder(item.parent / finished.folder_name(str(datamodule.name), matters))
    facts = {**matters, "checkpoints": item.paths, "parameters": item.parameters, **folder.environment()}
    if rank() != 0:  # rank 0 holds the folder, and started this process
        _score(item, cfg.evaluation, metrics, tracks, output, facts)
        return None
    scored_so_far = partial(_scored_so_far, tracks, output, item.method, definitions_of(metrics))
    with hold(output.path, output.path.name, on_busy=on_busy, kept=scored_so_far) as held:
        if held is None:
            return None
        summary = _score(item, cfg.evaluation, metrics, tracks, output, facts, held).finish()
        report.write(summary, output)
        if item.inputs:
            folder.write_json(output.path / finished.INPUTS, item.inputs)
        held.update(state="done", activity="")
    _show(summary, output, cfg.evaluation)
    experiment = item.config.get("experiment") or item.method
    job = Job(experiment, output.path.name, "evaluate", output.path, (subset, str(datamodule.name)))
    config = {**item.config, "separator": matters["separator"], "evaluation": OmegaConf.to_container(cfg.evaluation)}
    for board in make_loggers(cfg.get("logger"), job):
        show_scores(board, summary, output, config)
    return summary, output


def _scored_so_far(
    tracks: Sequence[Any], output: EvaluationFolder, method: str, definitions: Sequence[Definition]
) -> str:
    """Describe what an interrupted evaluation has saved."""
    num_scored = len(tracks) - len(callback.unscored(tracks, output, method, definitions))
    return (
        f"{output.path} has the scores of {num_scored} of {counted(len(tracks), 'track')}; the same command continues"
    )


def _score(
    item: Candidate,
    how: DictConfig,
    metrics: Sequence[Metric],
    tracks: Sequence[Any],
    output: EvaluationFolder,
    facts: dict[str, Any],
    held: Held | None = None,
) -> callback.Museval:
    scorer = callback.Museval(
        tracks,
        output,
        method=item.method,
        settings=facts,
        metrics=metrics,
        workers=how.workers,
        save_estimates=how.save_estimates,
        compare=[how.compare] if isinstance(how.compare, str) else list(how.compare or ()),
        on_progress=lambda activity: held.update(activity=activity) if held else None,
    )
    if not scorer.unscored:
        scorer.settings = {**facts, **_recorded(output, facts)}
    has_bar = held is not None and sys.stderr.isatty()
    trainer = make_trainer(
        how.gpus,
        cpu_processes=how.cpu_processes,
        logger=False,
        callbacks=[scorer, TQDMProgressBar()] if has_bar else [scorer],
        enable_checkpointing=False,
        enable_progress_bar=has_bar,
    )
    with ExitStack() as stack:
        if has_bar:
            stack.enter_context(logging_redirect_tqdm())  # log lines appear above the bar
        callback.evaluate(in_scenario(item.test, how.scenario), scorer, trainer)
    leave_process_group()
    return scorer


def _recorded(output: EvaluationFolder, facts: Iterable[str]) -> dict[str, Any]:
    """Read the facts of the command that made the scores, by name; none if it was stopped before its summary."""
    path = output.path / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: summary[name] for name in facts if name in summary}


def _show(summary: Summary, output: EvaluationFolder, how: DictConfig) -> None:
    print_table(summary.overall, summary.num_tracks, definitions=summary.definitions)
    for name, medians in summary.published.items():
        print_comparison(summary.overall[summary.method], medians, name)
    if summary.compared and {row.track for row in summary.rows} != published.tracks():
        others = counted(summary.num_tracks, "other track")
        log.warning("published scores are of MUSDB18's 50 test tracks, these of %s", others)
    log.info("report: %s", output.path / "report.html")
    if how.save_estimates:
        log.info("stems:  %s", output.path / "estimates")


def _compare(pairs: Sequence[tuple[Summary, EvaluationFolder]], cfg: DictConfig) -> None:
    """Print a table and write a page that compare several evaluations."""
    summaries = [summary for summary, _ in pairs]
    print_methods(comparison.overall(summaries), summaries[0].num_tracks, main=summaries[0].main)
    code = hashlib.sha256(" ".join(str(output.path.resolve()) for _, output in pairs).encode()).hexdigest()[:6]
    path = Path(cfg.paths.out) / "evaluations" / f"comparison-{code}"
    comparison.write([(summary, output.path) for summary, output in pairs], path)
    log.info("comparison: %s", path / "comparison.html")
