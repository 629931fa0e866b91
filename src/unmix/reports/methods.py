"""Rows of a table of methods: stored evaluations, those that differ only in the seed together."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.errors import counted
from unmix.reports.leaderboard import name_of
from unmix.reports.stored import Evaluation


@dataclass(frozen=True)
class Method:
    """A row of a table: evaluations on one test set that differ only in the seed.

    Args:
        name: its name, unique among the rows.
        evaluations: one per seed.
    """

    name: str
    evaluations: Sequence[Evaluation]

    @property
    def seeds(self) -> list[str]:
        """Seeds of the evaluations; empty when there is only one evaluation."""
        return [str(each.seed) for each in self.evaluations] if len(self.evaluations) > 1 else []

    @property
    def is_oracle(self) -> bool:
        """Whether it knows the true sources."""
        return "oracle" in self.evaluations[0].summary.get("weights", {})

    @property
    def targets(self) -> list[str]:
        """Names of the sources that were scored together."""
        return self.evaluations[0].targets

    def runs(self, target: str, metric: str) -> list[dict[str, float]]:
        """Scores of a target, one mapping per evaluation: track -> value."""
        return [
            {row.track: row.metrics[metric] for row in each.rows if row.target == target} for each in self.evaluations
        ]

    def runs_of_mean(self, metric: str) -> list[dict[str, float]]:
        """Means over all targets, one mapping per evaluation: track -> value; NaN when a target has none."""
        by_target = [self.runs(target, metric) for target in self.targets]
        return [
            {track: sum(values[track] for values in each) / len(each) for track in each[0]}
            for each in zip(*by_target, strict=True)
        ]


def group(
    entries: Mapping[str, Sequence[Evaluation]], test_set: str | None, is_current: Callable[[Path], bool]
) -> list[Method]:
    """Group evaluations into the rows of a table.

    Evaluations of one experiment with the same settings of the separator are one row. If they are of two or more
    seeds, it has these; otherwise it is the evaluation of the whole experiment.

    Args:
        entries: entry of `ckpt` -> its evaluations.
        test_set: only evaluations on this one; None is the only one that all entries have.
        is_current: tells whether the weights behind an evaluation are still those in their files.
    Raises:
        ValueError: when the test set is not known, or several evaluations of one seed could be meant.
    """
    chosen = _on(entries, test_set)
    groups: dict[str, list[Evaluation]] = {}
    for each in {evaluation.path.resolve(): evaluation for evaluation in chosen}.values():
        key = str(each.path.resolve()) if each.experiment is None else each.experiment
        groups.setdefault(f"{key} {json.dumps(each.separator, sort_keys=True)}", []).append(each)
    members = [_seeds(evaluations, is_current) for evaluations in groups.values()]
    names = _names([evaluations[0] for evaluations in members])
    return [Method(name, evaluations) for name, evaluations in zip(names, members, strict=True)]


def _on(entries: Mapping[str, Sequence[Evaluation]], test_set: str | None) -> list[Evaluation]:
    """Evaluations of all entries on one test set."""
    sets = {entry: list(dict.fromkeys(each.test_set for each in own)) for entry, own in entries.items()}
    if test_set is None:
        common = [name for name in next(iter(sets.values())) if all(name in own for own in sets.values())]
        if len(common) > 1:
            raise ValueError(f"test_set: not given, and all were scored on {', '.join(common)}: test_set={common[0]}")
        if not common:
            listed = "; ".join(f"{entry} on {', '.join(own)}" for entry, own in sets.items())
            raise ValueError(f"ckpt: scored on different data: {listed}; evaluate all on one: evaluate.py data=...")
        (test_set,) = common
    for entry, own in sets.items():
        if test_set not in own:
            raise ValueError(f"test_set: got {test_set!r}, but {entry} was scored on {', '.join(own)}")
    return [each for own in entries.values() for each in own if each.test_set == test_set]


def _seeds(evaluations: Sequence[Evaluation], is_current: Callable[[Path], bool]) -> list[Evaluation]:
    """Select one evaluation per seed, or the one of all seeds together when fewer than two have their own."""
    by_seed: dict[str | None, list[Evaluation]] = {}
    for each in evaluations:
        by_seed.setdefault(each.seed, []).append(each)
    together = by_seed.pop(None, None)
    if together is not None and len(by_seed) < 2:
        return [_only(together, is_current)]
    return [_only(by_seed[seed], is_current) for seed in sorted(by_seed, key=lambda seed: int(seed or 0))]


def _only(evaluations: Sequence[Evaluation], is_current: Callable[[Path], bool]) -> Evaluation:
    """Select the only evaluation, or the only one of the weights as they are now."""
    remaining = [each for each in evaluations if is_current(each.path)] if len(evaluations) > 1 else evaluations
    if len(remaining) != 1:
        paths = " and ".join(str(each.path) for each in evaluations)
        count = counted(len(evaluations), "evaluation")
        raise ValueError(f"ckpt: {evaluations[0].method} has {count} that could be meant, name one of them: {paths}")
    return remaining[0]


def _names(evaluations: Sequence[Evaluation]) -> list[str]:
    """Name the rows: by experiment, without its hash if that is unique, or method; with the settings that differ."""
    full = [each.experiment or each.method for each in evaluations]
    brief = [name_of(name) for name in full]
    names = [one if brief.count(one) == full.count(other) else other for one, other in zip(brief, full, strict=True)]
    result = []
    for name, each in zip(names, evaluations, strict=True):
        others = [other for other, its_name in zip(evaluations, names, strict=True) if its_name == name]
        keys = [key for key in each.separator if len({repr(other.separator.get(key)) for other in others}) > 1]
        settings = ", ".join(f"{key}={each.separator[key]}" for key in keys)
        result.append(f"{name} ({settings})" if settings else name)
    return [
        name if result.count(name) == 1 else f"{name} ({each.path.name})"
        for name, each in zip(result, evaluations, strict=True)
    ]
