"""The study file: Optuna's journal of trials, which survives SIGKILL at any moment.

Every change is one line of the file: a trial is added together with its parameters. Samplers see a copy of the trials
in memory, so that what they suggest is a function of the seed, the number of the trial and the results that it knows.
"""

import operator
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from unmix.search.settings import SearchSettings
from unmix.search.space import Choice, Dimension

optuna.logging.set_verbosity(optuna.logging.ERROR)

FILE = "study.log"
BEGINNING = b'{"op_code":'  # of a line of Optuna's journal
RECORD = "unmix"  # attribute of a study: what must stay the same
METRIC_NAMES = "study:metric_names"  # Optuna's attribute of a study
RUNS = "runs"  # attribute of a trial: its run folders
LOCK_SECONDS = 3  # after which a lock is stale, as that of a killed process; lines are written in milliseconds


class StudyFile:
    """A study in its file.

    Args:
        path: the file; made if missing.
        name: name of the study.
    Raises:
        ValueError: when the file is not Optuna's, or holds another study.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        try:
            if path.exists() and not _is_begun(path):
                raise ValueError
            self.storage = JournalStorage(
                JournalFileBackend(str(path), JournalFileSymlinkLock(str(path), grace_period=LOCK_SECONDS))
            )
            names = [study.study_name for study in self.storage.get_all_studies()]
        except (ValueError, KeyError, TypeError, AttributeError, AssertionError) as error:
            raise ValueError(
                f"{path}: is not a study of Optuna ({type(error).__name__}); move it away, or take another sweep_name"
            ) from error
        if names not in ([], [name]):
            raise ValueError(f"{path}: holds the study {', '.join(names)}, not {name}; take another sweep_name")
        self._id = self.storage.get_study_id_from_name(name) if names else None

    @property
    def record(self) -> dict[str, Any] | None:
        """What must stay the same, as given to `begin`; None before."""
        return None if self._id is None else self.storage.get_study_user_attrs(self._id).get(RECORD)

    def begin(self, record: Mapping[str, Any], settings: SearchSettings) -> None:
        """Create the study, or complete what a killed process began to create."""
        if self._id is None:
            high, low = StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE
            directions = [high if is_better_high else low for is_better_high in settings.is_better_high]
            self._id = self.storage.create_new_study(directions, self.name)
            self.storage.set_study_system_attr(self._id, METRIC_NAMES, settings.objectives)
        if self.record is None:
            self.storage.set_study_user_attr(self._id, RECORD, dict(record))

    @property
    def objectives(self) -> list[str]:
        """Names of the objectives; empty before `begin`."""
        return [] if self._id is None else list(self.storage.get_study_system_attrs(self._id).get(METRIC_NAMES, ()))

    @property
    def is_better_high(self) -> list[bool]:
        """Whether a higher value is better, for each objective; empty before `begin`."""
        directions = [] if self._id is None else self.storage.get_study_directions(self._id)
        return [direction == StudyDirection.MAXIMIZE for direction in directions]

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return [] if self._id is None else self.storage.get_all_trials(self._id, deepcopy=False)

    def suggest(self, settings: SearchSettings, dimensions: Sequence[Dimension], known: int) -> dict[str, Any]:
        """Choose the values of the next trial, by the results of the first `known` trials.

        The other trials count as under way: their parameters are avoided, their results unknown. A known trial without
        a result has failed.
        """
        trials = self.trials
        assert self._id is not None
        memory = optuna.create_study(
            study_name=self.name,
            directions=self.storage.get_study_directions(self._id),
            sampler=_sampler(settings, len(trials)),
        )
        memory.add_trials([_ended(trial) if trial.number < known else _under_way(trial) for trial in trials])
        return dict(memory.ask(distributions(dimensions)).params)

    def add(self, values: Mapping[str, Any], dimensions: Sequence[Dimension], runs: Sequence[str]) -> None:
        """Add a trial that is under way, given its values and its run folders."""
        trial = optuna.trial.create_trial(
            state=TrialState.RUNNING,
            params=dict(values),
            distributions=distributions(dimensions),
            user_attrs={RUNS: list(runs)},
        )
        assert self._id is not None
        self.storage.create_new_trial(self._id, trial)

    def report(self, number: int, epochs: int, value: float) -> None:
        """Record the value of a trial after a number of epochs."""
        self.storage.set_trial_intermediate_value(self._trial_id(number), epochs, value)

    def end(self, number: int, state: TrialState, values: Sequence[float] | None = None) -> None:
        """Record the end of a trial; WAITING is the end of one that failed, which the next command tries again."""
        self.storage.set_trial_state_values(self._trial_id(number), state, values)

    def begin_again(self, number: int) -> None:
        """Record that a trial that failed is under way again."""
        self.storage.set_trial_state_values(self._trial_id(number), TrialState.RUNNING)

    def _trial_id(self, number: int) -> int:
        assert self._id is not None
        return self.storage.get_trial_id_from_study_id_trial_number(self._id, number)


def distributions(dimensions: Sequence[Dimension]) -> dict[str, BaseDistribution]:
    """Optuna's distribution of every searched setting."""
    return {dimension.key: _distribution(dimension) for dimension in dimensions}


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choice):
        return CategoricalDistribution(list(dimension.texts))
    if isinstance(dimension.low, int):
        return IntDistribution(dimension.low, int(dimension.high), log=dimension.is_log, step=int(dimension.step or 1))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log, step=dimension.step)


def _sampler(settings: SearchSettings, number: int) -> BaseSampler:
    """Make the sampler of one trial, with random numbers of its own."""
    seed = int(np.random.SeedSequence([settings.seed, number]).generate_state(1)[0])
    return RandomSampler(seed) if settings.sampler == "random" else TPESampler(seed=seed, constant_liar=True)


def _ended(trial: FrozenTrial) -> FrozenTrial:
    """Return a trial that has ended; as failed, if it is to be tried again."""
    if trial.state.is_finished():
        return trial
    return optuna.trial.create_trial(state=TrialState.FAIL, params=trial.params, distributions=trial.distributions)


def _under_way(trial: FrozenTrial) -> FrozenTrial:
    """Copy a trial without its results."""
    return optuna.trial.create_trial(state=TrialState.RUNNING, params=trial.params, distributions=trial.distributions)


def _is_begun(path: Path) -> bool:
    """Whether a file begins as Optuna's does, as far as it goes: Optuna itself takes any line that is the last one."""
    with path.open("rb") as file:
        return BEGINNING.startswith(file.read(len(BEGINNING)))


def repair(path: Path) -> None:
    """Cut off a line that a killed process did not finish; only for the process that writes the file."""
    content = path.read_bytes() if path.is_file() else b""
    complete = content[: content.rfind(b"\n") + 1]
    if complete != content and _is_begun(path):
        with path.open("r+b") as file:
            file.truncate(len(complete))


def best(trials: Sequence[FrozenTrial], is_better_high: Sequence[bool]) -> list[FrozenTrial]:
    """Select the complete trials that no other is better than: one, or several that trade one objective for another."""
    first = [number for number, rank in ranks(trials, is_better_high).items() if rank == 1]
    return [trial for trial in trials if trial.number in (first if len(is_better_high) > 1 else first[:1])]


def ranks(trials: Sequence[FrozenTrial], is_better_high: Sequence[bool]) -> dict[int, int]:
    """Number of each complete trial -> 1 plus how many others are better: in some objective, and worse in none."""
    costs = {
        trial.number: [
            -value if is_high else value for value, is_high in zip(trial.values, is_better_high, strict=True)
        ]
        for trial in trials
        if trial.state == TrialState.COMPLETE
    }

    def num_better(cost: list[float]) -> int:
        return sum(other != cost and all(map(operator.le, other, cost)) for other in costs.values())

    return {number: 1 + num_better(cost) for number, cost in costs.items()}


def described(values: Mapping[str, Any]) -> str:
    """Format values by key in one line, with the last part of each key."""
    texts = {key: f"{value:.4g}" if isinstance(value, float) else str(value) for key, value in values.items()}
    return " ".join(f"{key.rpartition('.')[2]}={text}" for key, text in texts.items())
