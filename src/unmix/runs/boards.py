"""Log trainings and evaluations to W&B, TensorBoard or any Lightning logger."""

import csv
import logging
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from filelock import FileLock

from unmix import run_loggers
from unmix.evaluation import bootstrap, passages, statistics
from unmix.evaluation.metrics import describe, mean_over_targets
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.identity import run_name
from unmix.plans import Plan
from unmix.processes.jobs import SWEEP
from unmix.runs.build import configure_loggers, make_loggers
from unmix.runs.provenance import logged
from unmix.training.checkpoints import BEST
from unmix.training.loggers import Job
from unmix.weights import checkpoint

log = logging.getLogger(__name__)


def training_job(planned: Plan) -> Job:
    """Make the job that loggers know a training run by."""
    cfg = planned.cfg
    kind = "sweep" if SWEEP in os.environ else "train"
    name = run_name(cfg.target, cfg.seed, planned.sources)
    return Job(planned.experiment, name, kind, planned.run, (*planned.targets, cfg.name))


def log_finished(planned: Plan) -> None:
    """Log a finished training, from its files, to the configured loggers that were added after it."""
    if planned.state != "done":
        return
    run_loggers.print_never_logged([(planned.cfg.logger, planned.run)])
    with FileLock(planned.run / ".guard"):  # another process with the same command waits, and then has nothing to do
        names, cfg = planned.unlogged(planned.run), planned.cfg.copy()
        if not names:
            return
        cfg.logger = {name: node if name in names else None for name, node in cfg.logger.items()}
        loggers = make_loggers(cfg.logger, training_job(planned))
        best = checkpoint.read(planned.run / "checkpoints" / BEST)
        configure_loggers(loggers, logged(best.config, best.record))
        epochs = list(_epochs(planned.run / "metrics.csv"))
        for logger in loggers:
            for step, metrics in epochs:
                logger.log_metrics(metrics, step)
            logger.finalize("success")
        mark_logged(planned, planned.run)
    log.info("%s: logged to %s (epochs: %d)", planned.run, ", ".join(names), len(epochs))


def mark_logged(planned: Plan, folder: Path) -> None:
    """Make the folders that loggers did not make, such as W&B when disabled, so that each is asked only once."""
    for name in planned.unlogged(folder):
        (folder / run_loggers.FOLDERS[planned.cfg.logger[name]._target_]).mkdir(exist_ok=True)


def _epochs(path: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield the step that Lightning logs an epoch at, and its metrics, for each row of metrics.csv, if it exists."""
    if path.is_file():
        for row in csv.DictReader(path.read_text(encoding="utf-8").splitlines()):
            yield int(row.pop("step")) - 1, {name: float(value) for name, value in row.items() if value}


def show_scores(board: Any, summary: Summary, where: EvaluationFolder, config: dict[str, Any]) -> None:
    """Log scores over all tracks as `test/<target>/<metric>`, and their means over targets as `test/<metric>`.

    What they mean stands in the configuration, under `test.meaning`.

    Our own loggers also get all scores, the box plot, clips and names of the best and the worst track, and intervals
    over tracks, see `_intervals`.

    Args:
        board: the logger; it is closed.
        summary: scores of the evaluation.
        where: its folder.
        config: configuration of the training whose weights were evaluated; what the evaluation adds is under `test`.
    """
    overall = summary.overall[summary.method]
    config = {**config, "test": {**summary.settings, "meaning": describe(summary.definitions, summary.targets)}}
    values = {
        f"test/{target}/{each.key}": overall[target][each.name] for target in overall for each in summary.definitions
    }
    values |= {f"test/{each.key}": mean_over_targets(overall, each.name) for each in summary.definitions}
    if not hasattr(board, "log_summary"):  # a logger of Lightning, not of this project
        board.log_hyperparams(config)
        board.log_metrics(values)
        board.finalize("success")
        return
    board.log_configuration(config)
    board.log_summary({**values, **_intervals(summary), **_extremes(summary)})
    names = [each.name for each in summary.definitions]
    rows = [[row.method, row.track, row.target, *(row.metrics[name] for name in names)] for row in summary.rows]
    board.log_table("test/scores", ["method", "track", "target", *names], rows)
    board.log_picture("test/boxplot", (where.path / "boxplot.png").read_bytes(), 0)
    for target in summary.targets:
        for which, track in summary.extremes(target).items():
            if (path := where.passage(track, target)).is_file():
                passage = passages.read(path)
                for stem, waveform in passage.stems.items():
                    board.log_clip(f"test/{target}/{which}/{stem}", waveform, passage.sample_rate, 0, track)
    board.finalize("success")


def _extremes(summary: Summary) -> dict[str, Any]:
    """Name and main score of the best and the worst track per target: `test/<target>/best/track`, `.../sdr`."""
    return {
        f"test/{target}/{which}/{name}": value
        for target in summary.targets
        for which, track in summary.extremes(target).items()
        for name, value in (("track", track), (summary.main.key, summary.score(track, target)))
    }


def _intervals(summary: Summary) -> dict[str, float]:
    """Intervals of the main score over tracks, and its improvement over the baseline, track by track, with its own.

    The names are `test/<target>/sdr_low`, `_high`, `_improvement`, `_improvement_low` and `_improvement_high`, and
    `test/sdr_low` and so on for the mean over targets. An improvement is positive, also of an error. With fewer than
    two tracks there are no intervals.
    """
    values: dict[str, float] = {}
    for prefix, targets in {"": summary.targets, **{f"{target}/": [target] for target in summary.targets}}.items():
        name = f"test/{prefix}{summary.main.key}"
        own, baseline = (_main_scores(summary, method, targets) for method in (summary.method, summary.baseline))
        values |= _ends(name, bootstrap.score_interval(own, summary.main.over_tracks))
        runs = {key: [_mean_run(scores)] for key, scores in (("own", own), ("baseline", baseline))}
        (pair,) = statistics.compare(runs, summary.main)
        if math.isfinite(pair.difference):
            values |= {f"{name}_improvement": pair.difference, **_ends(f"{name}_improvement", pair.interval)}
    return values


def _main_scores(summary: Summary, method: str, targets: Sequence[str]) -> np.ndarray:
    """Main score of a method: (targets, tracks)."""
    scores = {(row.target, row.track): row.metrics[summary.main.name] for row in summary.rows if row.method == method}
    return np.array([[scores[target, track] for track in summary.tracks] for target in targets])


def _mean_run(scores: np.ndarray) -> dict[str, float]:
    """Mean over targets of every track, (targets, tracks) -> track -> value, NaN if a target has none."""
    return {str(number): fmean(of_track) for number, of_track in enumerate(scores.T)}


def _ends(name: str, interval: tuple[float, float] | None) -> dict[str, float]:
    return {} if interval is None else dict(zip((f"{name}_low", f"{name}_high"), interval, strict=True))
