"""The training runs of a trial of a search, and what they are worth."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from omegaconf import DictConfig

from unmix.composition import bases_of
from unmix.experiments import status
from unmix.plans import Plan, is_done, plan, requested_length
from unmix.reports.charts import shown
from unmix.runs import sweep
from unmix.runs.inspection import count_parameters
from unmix.search import objectives
from unmix.search.objectives import Curve


class TrialRuns:
    """The runs of a trial: one, or one for each target and seed whose mean counts.

    Args:
        number: number of the trial.
        jobs: overrides of each run.
        label: the trial's values, for display.
        config_dir: see `composition.compose`.
        objectives: names of the objectives.
    """

    def __init__(
        self,
        number: int,
        jobs: Sequence[Sequence[str]],
        label: str,
        *,
        config_dir: str | None,
        objectives: Sequence[str],
    ) -> None:
        self.number, self.label, self.objectives = number, label, objectives
        self.jobs = [sweep.with_config_dir(overrides, config_dir) for overrides in jobs]
        bases = bases_of("train", config_dir)
        self.plans = [plan(bases.compose(overrides, with_hydra=False)) for overrides in jobs]
        self.parameters = [count_parameters(each.cfg) for each in self.plans]
        self.before = [each.previous for each in self.plans]
        self.curve: Curve = {}
        self.refresh()

    @property
    def folders(self) -> list[str]:
        """Folders of the runs, `<experiment>/<run>`."""
        return ["/".join(each.run.parts[-2:]) for each in self.plans]

    def refresh(self) -> None:
        """Read status and metrics of the runs again."""
        self.plans = [replace(each, previous=status.read(each.run)) for each in self.plans]
        curves = [
            objectives.curve(each.run / "metrics.csv", self.objectives, parameters)
            for each, parameters in zip(self.plans, self.parameters, strict=True)
        ]
        self.curve = objectives.mean(curves, [self.is_run_trained(index, None) for index in range(len(curves))])

    def has_failed(self, index: int) -> bool:
        """Whether a run has failed in this command, or has diverged before and is not to be retried.

        What failed before in another way, as for lack of memory, is tried again.
        """
        planned = self.plans[index]
        is_new = planned.has_failed and planned.previous != self.before[index]
        return is_new or (self.has_diverged(index) and planned.state == "failed")

    def has_diverged(self, index: int) -> bool:
        """Whether the last attempt of a run ended with a loss or weights that were NaN or infinite."""
        previous = self.plans[index].previous
        return previous is not None and previous.diverged

    def is_trained(self, epochs: int | None) -> bool:
        """Whether all runs have been trained for a number of epochs, or for their whole length if it is None."""
        return all(self.is_run_trained(index, epochs) for index in range(len(self.plans)))

    def is_run_trained(self, index: int, epochs: int | None) -> bool:
        """Whether a run has been trained for a number of epochs, or for its whole length if it is None."""
        planned = self.plans[index]
        if planned.previous is None:
            return False
        if epochs is not None and planned.previous.epoch >= epochs and not self.has_failed(index):
            return True
        return is_done(planned.previous, requested_length(planned.cfg))

    def planned(self, index: int, epochs: int | None) -> Plan:
        """Plan of a run that is to be trained for a number of epochs; None is its whole length."""
        planned = self.plans[index]
        cfg: DictConfig = planned.cfg.copy()
        cfg.retry = cfg.retry or planned.has_failed
        if epochs is not None:
            cfg.trainer.max_epochs = epochs
        return replace(planned, cfg=cfg)

    def arguments(self, index: int, epochs: int | None) -> list[str]:
        """Arguments of the command that trains a run for a number of epochs, also one that failed before."""
        length = [] if epochs is None else [f"trainer.max_epochs={epochs}"]
        return [*self.jobs[index], *length, *(["retry=true"] if self.plans[index].has_failed else [])]

    def described(self, values: Sequence[Any]) -> str:
        """Format values of the objectives."""
        return ", ".join(f"{name} {shown(value)}" for name, value in zip(self.objectives, values, strict=True))


def latest(curve: Curve, epochs: float = math.inf) -> tuple[float, ...]:
    """Values of a curve after a number of epochs, or after the last before that."""
    return curve[max(number for number in curve if number <= epochs)]
