"""Plans: what a training command has to do, given its configuration and the files on disk.

This module does not import torch, so that "done" is printed within a second instead of ten.
"""

import json
import logging
import math
import os
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf

from unmix import run_loggers
from unmix.evaluation import metrics
from unmix.evaluation.summary import from_json
from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.identity import experiment_id, targets_of, value_of
from unmix.reports.tables import print_table
from unmix.survey import Survey

log = logging.getLogger(__name__)

State = Literal["new", "continues", "done", "failed", "running"]
LENGTHS = ("max_epochs", "max_steps", "max_time")
# Environment variable of a job: the id of the experiment that it was planned as, to notice an edited configuration.
EXPECTED_EXPERIMENT = "UNMIX_EXPERIMENT"


@dataclass(frozen=True)
class Plan:
    """One training job.

    Args:
        cfg: its configuration.
        experiment: id of the experiment.
        run: folder of the run.
        previous: status of the folder; None when there is none.
        survey: view of the disk that it shares with other jobs; None looks again whenever something is asked.
    """

    cfg: DictConfig
    experiment: str
    run: Path
    previous: Status | None
    survey: Survey | None = None

    @property
    def state(self) -> State:
        """State of the run before the command starts."""
        if self.previous is None or self.cfg.fresh:
            return "new"
        if self.previous.is_alive():
            return "running"
        if self.has_failed and self.previous.step == 0:
            return "new"
        if self.has_failed and not self.cfg.retry:
            return "failed"
        return "done" if is_done(self.previous, requested_length(self.cfg)) else "continues"

    @property
    def has_failed(self) -> bool:
        """Whether the last attempt ended with an error; before its first step, that does not count as a failed run."""
        return self.previous is not None and self.previous.state == "failed"

    @property
    def is_finished(self) -> bool:
        """Whether the run is done and its seed is evaluated if `wants_evaluation`, both in all loggers of ours."""
        if self.state != "done" or self.unlogged(self.run):
            return False
        return not self.wants_evaluation or (self.evaluation is not None and not self.unlogged(self.evaluation))

    @property
    def wants_evaluation(self) -> bool:
        """Whether this seed is to be evaluated: it is asked for, all sources are trained, and there are test tracks."""
        is_asked = bool(self.cfg.evaluation.after_training)
        return is_asked and len(self.weights) == len(self.sources) and self.has_test_tracks

    @property
    def has_test_tracks(self) -> bool:
        """Whether the data have tracks to evaluate on; True also when the data do not exist yet."""
        data, cache = value_of(self.cfg, "data"), Path(value_of(self.cfg, "paths.data"))
        return self._disk.has_test_tracks(data, cache.expanduser())

    @property
    def _disk(self) -> Survey:
        return self.survey or Survey()

    def unlogged(self, folder: Path) -> list[str]:
        """Names of the configured loggers, among ours, that have not logged a run or an evaluation."""
        return run_loggers.unlogged(self.cfg.logger, folder)

    @property
    def weights(self) -> dict[str, str]:
        """Source -> digest of the weights that `finished` has for it."""
        return {source: found.weights for source, (_, found) in self.finished.items()}

    @property
    def finished(self) -> dict[str, tuple[Path, Status]]:
        """Source -> folder and status of the finished run of this seed that estimates it.

        Among several runs, the one with the fewest targets is taken, then the one with the lowest val/loss.
        """
        runs = self._disk.finished_runs(self.run.parent, self.cfg.seed)
        best: dict[str, tuple[Path, Status]] = {}
        for source in self.sources:
            estimating = [run for run in runs if source in self._targets_of(*run)]
            if estimating:
                best[source] = min(estimating, key=lambda run: (len(self._targets_of(*run)), run[1].best or math.inf))
        return best

    def _targets_of(self, folder: Path, found: Status) -> list[str]:
        """Targets of a run, from its status, or from the name of its folder if an older version wrote that."""
        return list(found.targets) or [folder.name.rpartition("-s")[0]]

    @property
    def sources(self) -> list[str]:
        """Names of all sources of the data."""
        return list(self.cfg.data.sources)

    @property
    def targets(self) -> list[str]:
        """Names of the sources that this run estimates."""
        return targets_of(self.cfg.target, self.sources)

    @property
    def evaluation(self) -> Path | None:
        """Folder of the finished evaluation of exactly these weights; None when there is none."""
        wanted = {
            "weights": self.weights,
            "subset": "test",
            "separator": OmegaConf.to_container(self.cfg.separator),
            "metrics": metrics.that_count(value_of(self.cfg, "metrics")),
            "beside_accompaniment": self.cfg.evaluation.scenario,
        }
        return next((folder for folder, each in self._disk.evaluations(self.run.parent) if each == wanted), None)

    def __str__(self) -> str:
        text: str = self.state
        if self.cfg.fresh and self.run.exists():
            text += f"; the old run will be moved to {self.run.parent / 'old'}"
        if self.previous is not None and self.has_failed and text == "new":
            text += f"; the last attempt failed before its first step ({self.previous.reason})"
        if self.previous is not None and text == "continues":
            text += f" at epoch {self.previous.epoch + 1}, step {self.previous.step}"
        if self.previous is not None and text == "failed":
            text += f" ({self.previous.reason}); retry=true tries again"
        if self.previous is not None and text == "done":
            best = "" if self.previous.best is None else f", best val/loss {self.previous.best:.4f}"
            text += f" after {self.previous.duration}{best}"
        return f"{self.run}: {text}"


def plan(cfg: DictConfig, survey: Survey | None = None) -> Plan:
    """Plan the job of one configuration.

    Args:
        cfg: the configuration.
        survey: see `Plan`.
    Raises:
        ValueError: when its status is damaged, or its configuration was edited since a launcher planned the job.
    """
    experiment, run = experiment_id(cfg), Path(value_of(cfg, "run_dir"))
    expected = os.environ.get(EXPECTED_EXPERIMENT, experiment)
    if expected != experiment:
        raise ValueError(
            f"conf: this job was planned as {expected} and is {experiment} now: a configuration file was edited "
            "while it waited; start the sweep again"
        )
    return Plan(cfg, experiment, run, None if cfg.fresh else status.read(run), survey)


def plan_all(cfgs: Sequence[DictConfig]) -> list[Plan]:
    """Plan all jobs of a command.

    Raises:
        ValueError: when two of them would write into one folder.
    """
    survey = Survey()
    plans = [plan(cfg, survey) for cfg in cfgs]
    if repeated := [run for run, count in Counter(planned.run for planned in plans).items() if count > 1]:
        raise ValueError(
            f"sweep: two jobs are {repeated[0]}: a value is given twice, or differs in nothing that changes the "
            "result (seed and target do, devices and lengths do not)"
        )
    return plans


def settled(cfg: DictConfig) -> DictConfig:
    """Copy a configuration with `fresh` and `retry` cleared, for planning again after the run."""
    copy = cfg.copy()
    copy.fresh = copy.retry = False
    return copy


def requested_length(cfg: DictConfig) -> dict[str, Any]:
    """Limits of a training by name: max_epochs, max_steps and max_time."""
    return {name: cfg.trainer.get(name) for name in LENGTHS}


def is_done(previous: Status, length: dict[str, Any]) -> bool:
    """Tell whether a run is done at the limits `length`: it reached them, or early stopping ended it."""
    if previous.state != "done":
        return False
    reached = previous.length or {}
    return previous.stopped_early or all(_limit(length[name]) <= _limit(reached.get(name)) for name in LENGTHS)


def _limit(value: Any) -> float:
    """Convert a limit to a number, infinity when there is none; a time DD:HH:MM:SS becomes seconds."""
    if isinstance(value, str):
        days, hours, minutes, seconds = (int(part) for part in value.split(":"))
        return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
    return float("inf") if value is None or value == -1 else float(value)


def print_evaluations(plans: Sequence[Plan]) -> None:
    """Print the scores and files of every finished evaluation that belongs to the plans, each once."""
    for folder in filter(None, dict.fromkeys(each.evaluation for each in plans if each.wants_evaluation)):
        stored = from_json(json.loads((folder / "summary.json").read_text(encoding="utf-8")))
        print_table(stored.overall, stored.num_tracks, definitions=stored.definitions)
        print(f"report: {folder / 'report.html'}")  # noqa: T201
        if (folder / "estimates").is_dir():
            print(f"stems:  {folder / 'estimates'}")  # noqa: T201


def warn_of_no_test(plans: Sequence[Plan]) -> None:
    """Warn, once per data set, if runs that are not done will not be evaluated because there are no test tracks."""
    wanting = [each for each in plans if each.cfg.evaluation.after_training and each.state != "done"]
    first = {str(each.cfg.data.root): each for each in reversed(wanting) if not each.has_test_tracks}
    for root, each in reversed(first.items()):
        targets = {target for other in plans if other.experiment == each.experiment for target in other.targets}
        options = [] if targets | set(each.weights) >= set(each.sources) else ["evaluation.residual=true"]
        options += [f"plugins=[{','.join(each.cfg.plugins)}]"] if each.cfg.plugins else []
        log.warning("%s", no_test(root, shlex.quote(f"ckpt={each.run.parent}"), *map(shlex.quote, options)))


def no_test(root: object, ckpt: str, *options: str) -> str:
    """Format the warning of a data set without test tracks, with a command that scores the validation tracks."""
    command = " ".join(["python src/evaluate.py", ckpt, "subset=valid", *options])
    return (
        f"data.root: {root} has no track in test, so nothing is evaluated after training; "
        f"{command} scores the validation tracks"
    )
