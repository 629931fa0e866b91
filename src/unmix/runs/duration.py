"""How long a recipe takes: its steps and validations, from the configuration and the data, times what each costs."""

import math
from dataclasses import dataclass

from omegaconf import DictConfig

from unmix.checks import NO_LIMIT
from unmix.data.datamodule import SeparationDataModule
from unmix.errors import counted, human_time
from unmix.plans import Plan
from unmix.runs.cost import Cost


@dataclass(frozen=True)
class Length:
    """What is left to do of a run.

    Args:
        steps: batches to train on; None when there is no limit.
        epochs: complete validations; 0 without limit.
        steps_per_epoch: batches of an epoch.
        valid_seconds: audio that a validation reads, in seconds.
        limit: seconds after which `trainer.max_time` stops the run.
    """

    steps: int | None
    epochs: int
    steps_per_epoch: int
    valid_seconds: float
    limit: float = math.inf

    def seconds(self, cost: Cost) -> float | None:
        """Seconds that the run takes; None when it has no end, or a step was not timed."""
        if self.steps is None or cost.step is None:
            return None
        return min(self.limit, self.steps * cost.step + self.epochs * self.valid_seconds * cost.validation)

    def of_epoch(self, cost: Cost) -> float:
        """Seconds of an epoch with its validation, for a cost with a timed step."""
        assert cost.step is not None
        return self.steps_per_epoch * cost.step + self.valid_seconds * cost.validation


def length_of(planned: Plan, datamodule: SeparationDataModule) -> Length:
    """Work out what a planned run has left to do, from data that are prepared."""
    trainer, previous = planned.cfg.trainer, planned.previous
    is_new = previous is None or planned.state == "new"
    done_epochs, done_steps = (0, 0) if is_new or previous is None else (previous.epoch, previous.step)
    steps_per_epoch = limited(trainer.get("limit_train_batches"), datamodule.steps_per_epoch)
    tracks = datamodule.splits.valid
    tracks = tracks[: limited(trainer.get("limit_val_batches"), len(tracks))]
    valid_seconds = sum(track.num_samples / track.sample_rate for track in tracks)
    left = [NO_LIMIT if limit is None else limit for limit in (trainer.max_epochs, trainer.max_steps)]
    numbers = []
    if left[0] != NO_LIMIT:
        numbers.append(max(0, left[0] - done_epochs) * steps_per_epoch)
    if left[1] != NO_LIMIT:
        numbers.append(max(0, left[1] - done_steps) * (trainer.get("accumulate_grad_batches") or 1))
    steps = 0 if planned.state == "done" else min(numbers, default=None)
    epochs = 0 if steps is None or not steps_per_epoch else steps // steps_per_epoch
    return Length(steps, epochs, steps_per_epoch, valid_seconds, _seconds_of(trainer.get("max_time")))


def limited(limit: float | None, number: int) -> int:
    """Apply Lightning's limit: None is all, a whole number is that many at most, and a fraction is a share."""
    if limit is None:
        return number
    return int(number * limit) if isinstance(limit, float) else min(limit, number)


def time_text(cfg: DictConfig, length: Length | None, cost: Cost) -> str:
    """Describe how long a run takes, and what of it was measured."""
    if cost.step is None:
        return "not measured, for lack of memory"
    step = f"{human_time(cost.step)} a step ({cost.basis})"
    if length is None:
        return f"{step}; the number of steps is known once the data are there"
    tracks = f"{human_time(length.valid_seconds * cost.validation)} a validation"
    seconds, steps = length.seconds(cost), counted(length.steps_per_epoch, "step")
    if seconds is None:
        return f"{human_time(length.of_epoch(cost))} an epoch of {steps}, without end: {step}, {tracks}"
    stops = (cfg.callbacks or {}).get("early_stopping") is not None
    epochs = length.steps / length.steps_per_epoch if length.steps and length.steps_per_epoch else 0
    amount = f"{epochs:.3g} {'epoch' if epochs == 1 else 'epochs'} of {steps}"
    return f"{'at most ' if stops else ''}{human_time(seconds)} for {amount}: {step}, {tracks}"


def _seconds_of(max_time: str | None) -> float:
    if not isinstance(max_time, str):
        return math.inf
    days, hours, minutes, seconds = map(int, max_time.split(":"))
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
