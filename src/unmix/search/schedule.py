"""When trials are chosen, how long they are trained, and which are pruned: functions of the results, never of time.

Trial `k` is chosen and judged by the results of trials 0 to `known(k) - 1` alone. A search that is killed and started
again, on a faster or slower machine, therefore has the same trials.
"""

import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from unmix.checks import NO_LIMIT
from unmix.search.settings import SearchSettings

REDUCTION = 3  # of the trials of a rung, one in three is promoted, to three times the epochs
STARTUP_TRIALS = 5  # complete trials that a median needs


@dataclass(frozen=True)
class Seen:
    """What is known of a trial.

    Args:
        values: number of finished epochs -> value of the objective; empty with several objectives.
        is_trained: whether its runs are done, given a number of epochs; None is the whole length.
        has_failed: whether it ended without a value.
        is_complete: whether it was trained for the whole length.
    """

    values: Mapping[int, float]
    is_trained: Callable[[int | None], bool]
    has_failed: bool = False
    is_complete: bool = False

    def value_after(self, epochs: int) -> float:
        """Value after a number of epochs, or after the last before that; raises ValueError when there is none."""
        reached = [number for number in self.values if number <= epochs]
        if not reached:
            raise ValueError(
                f"hydra.sweeper.min_epochs: a trial was not validated in its first {epochs} epochs, and cannot be "
                "compared; take more epochs, or trainer.check_val_every_n_epoch=1"
            )
        return self.values[max(reached)]


@dataclass(frozen=True)
class Verdict:
    """What a trial is to do: train for so many epochs (None: the whole length), or end as pruned or complete."""

    kind: Literal["train", "pruned", "complete"]
    epochs: int | None = None


class Schedule(ABC):
    """Order of a search."""

    @abstractmethod
    def known(self, number: int) -> int:
        """Return how many of the first trials have ended when a trial is chosen."""

    @abstractmethod
    def verdict(self, number: int, trials: Sequence[Seen], after: int) -> Verdict:
        """Judge a trial that has not ended.

        Args:
            number: number of the trial.
            trials: all trials so far.
            after: number of epochs after which it is judged, one after the other; 0 at the beginning.
        """


class Window(Schedule):
    """Schedule of trials that are trained to their end, or until they are worse than the median.

    Args:
        parallel: number of trials under way; trial k knows the results up to trial k - parallel.
        first_epochs: number of epochs after which medians count; None: nothing is pruned.
        max_epochs: number of epochs of a trial.
        is_better_high: whether a higher value is better.
    """

    def __init__(self, parallel: int, first_epochs: int | None, max_epochs: int, *, is_better_high: bool) -> None:
        self.parallel, self.first_epochs, self.max_epochs = parallel, first_epochs, max_epochs
        self.sign = -1 if is_better_high else 1

    def known(self, number: int) -> int:
        """Return how many of the first trials have ended when a trial is chosen."""
        return max(0, number - self.parallel + 1)

    def verdict(self, number: int, trials: Sequence[Seen], after: int) -> Verdict:
        """Judge a trial by the complete trials that it knows."""
        own, others = trials[number], [trial for trial in trials[: self.known(number)] if trial.is_complete]
        if self.first_epochs is not None and self.first_epochs <= after != self.max_epochs and after in own.values:
            reached = [other.value_after(after) for other in others if min(other.values) <= after]
            if len(reached) >= STARTUP_TRIALS and self.sign * (own.values[after] - statistics.median(reached)) > 0:
                return Verdict("pruned", after)
        return Verdict("complete" if trials[number].is_trained(None) else "train")


@dataclass(frozen=True)
class Bracket:
    """Trials that compete: from rung to rung, the best third goes on.

    Args:
        trials: numbers of the trials.
        rungs: number of epochs of each rung, ascending.
    """

    trials: range
    rungs: tuple[int, ...]


class Brackets(Schedule):
    """Schedule by successive halving: a rung is decided when all of its trials have been trained for its epochs.

    A trial that is promoted goes on from its checkpoint. All trials of a bracket are chosen at once, and know the
    results of the brackets before it.

    Args:
        rungs: number of epochs of each rung, ascending, at least two.
        shortest: numbers of rungs of the brackets, in turn; one for successive halving, several for Hyperband.
        is_better_high: whether a higher value is better.
    Source:
        Li et al., Hyperband, JMLR 2018, algorithm 1.
    """

    def __init__(self, rungs: Sequence[int], lengths: Sequence[int], *, is_better_high: bool) -> None:
        self.rungs, self.lengths = tuple(rungs), tuple(lengths)
        self.sign = -1 if is_better_high else 1

    def brackets(self) -> Iterator[Bracket]:
        """Yield all brackets, without end."""
        first, index = 0, 0
        while True:
            length = self.lengths[index % len(self.lengths)]
            promotions = length - 1
            size = (
                -(-len(self.rungs) * REDUCTION**promotions // length)
                if len(self.lengths) > 1
                else (REDUCTION**promotions)
            )
            yield Bracket(range(first, first + size), self.rungs[-length:])
            first, index = first + size, index + 1

    def bracket(self, number: int) -> Bracket:
        """Return the bracket of a trial."""
        return next(bracket for bracket in self.brackets() if number in bracket.trials)

    def known(self, number: int) -> int:
        """Return how many of the first trials have ended when a trial is chosen."""
        return self.bracket(number).trials.start

    def check(self, n_trials: int) -> None:
        """Check that a number of trials is one of whole brackets; raises ValueError."""
        last = self.bracket(n_trials - 1).trials
        if last.stop != n_trials:
            allowed = " or ".join(str(count) for count in (last.start, last.stop) if count)
            raise ValueError(
                f"hydra.sweeper.n_trials: got {n_trials}, allowed {allowed}: all trials of a bracket compete "
                f"({len(last)} from trial {last.start} on)"
            )

    def verdict(self, number: int, trials: Sequence[Seen], after: int) -> Verdict:
        """Judge a trial by its rung: train for it, end as pruned after it, or be promoted to the next."""
        bracket = self.bracket(number)
        alive = [other for other in bracket.trials if other < len(trials) and not trials[other].has_failed]
        promoted = len(bracket.trials)
        for epochs in bracket.rungs[:-1]:
            if len(trials) < bracket.trials.stop or not all(trials[other].is_trained(epochs) for other in alive):
                return Verdict("train", epochs)
            alive.sort(key=lambda other: (self.sign * trials[other].value_after(epochs), other))
            promoted = max(1, promoted // REDUCTION)
            alive = alive[:promoted]
            if number not in alive:
                return Verdict("pruned", epochs)
        return Verdict("complete" if trials[number].is_trained(None) else "train")


def make_schedule(settings: SearchSettings, max_epochs: int, parallel: int) -> Schedule:
    """Make the schedule of a search.

    Args:
        settings: its settings.
        max_epochs: trainer.max_epochs, -1 for no limit.
        parallel: number of trials under way, for pruners that do not set it themselves.
    Raises:
        ValueError: when the pruner does not suit trainer.max_epochs.
    """
    is_better_high = settings.is_better_high[0]
    if settings.pruner != "none" and max_epochs == NO_LIMIT:
        raise ValueError(f"hydra.sweeper.pruner: got {settings.pruner}, which needs trainer.max_epochs")
    least = settings.min_epochs or max(1, max_epochs // REDUCTION**2)
    if settings.pruner in ("none", "median"):
        first = least if settings.pruner == "median" else None
        return Window(parallel, first, max_epochs, is_better_high=is_better_high)
    rungs = _rungs(least, max_epochs)
    if len(rungs) < 2:
        raise ValueError(
            f"trainer.max_epochs: got {max_epochs}, hydra.sweeper.pruner={settings.pruner} needs at least "
            f"{REDUCTION} times hydra.sweeper.min_epochs ({least})"
        )
    lengths = [len(rungs)] if settings.pruner == "halving" else range(len(rungs), 0, -1)
    return Brackets(rungs, list(lengths), is_better_high=is_better_high)


def _rungs(least: int, most: int) -> list[int]:
    """Numbers of epochs from `least` or more to `most`, each about three times the one before."""
    rungs = [most]
    while rungs[0] // REDUCTION >= least:
        rungs.insert(0, rungs[0] // REDUCTION)
    return rungs
