"""Rows of a table of methods: stored evaluations, those that differ only in the seed together."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.errors import counted
from unmix.evaluation.metrics import METRICS, scenario
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


def group(entries: Mapping[str, Sequence[Evaluation]], metric: str, is_current: Callable[[Path], bool]) -> list[Method]:
    """Group evaluations on one test set into the rows of a table.

    Evaluations of one experiment, release or oracle with the same settings of the separator are one row. If they are
    of two or more seeds, it has these; otherwise it is the evaluation of the whole experiment.

    Args:
        entries: entry of `ckpt` -> its evaluations.
        metric: name of the metric; of several evaluations of the same weights, one with this metric is taken.
        is_current: tells whether the weights behind an evaluation are still those in their files.
    Raises:
        ValueError: when a method lacks the metric, or several evaluations of one seed could be meant.
    """
    chosen = [each for own in entries.values() for each in own]
    groups: dict[str, list[Evaluation]] = {}
    for each in {evaluation.path.resolve(): evaluation for evaluation in chosen}.values():
        groups.setdefault(f"{_subject(each)} {json.dumps(each.separator, sort_keys=True)}", []).append(each)
    members = [_seeds(evaluations, metric, is_current) for evaluations in groups.values()]
    names = _names([evaluations[0] for evaluations in members])
    return [Method(name, evaluations) for name, evaluations in zip(names, members, strict=True)]


def _subject(evaluation: Evaluation) -> str:
    """What was evaluated: the experiment, or else the weights; the folder of results that do not record them."""
    weights = evaluation.summary.get("weights")
    named = f"{evaluation.method} {json.dumps(weights, sort_keys=True)}" if weights else str(evaluation.path.resolve())
    return evaluation.experiment or named


def first_metric(entries: Mapping[str, Sequence[Evaluation]]) -> str:
    """Choose the first metric that all entries have, SDR before others; the first of all when they share none."""
    evaluations = [each for own in entries.values() for each in own]
    ordered = sorted(evaluations, key=lambda each: next(iter(each.definitions)) != METRICS[0])
    names = list(dict.fromkeys(name for each in ordered for name in each.definitions))
    shared = (name for name in names if all(any(name in each.definitions for each in own) for own in entries.values()))
    return next(shared, names[0])


def on_test_set(entries: Mapping[str, Sequence[Evaluation]], test_set: str | None) -> dict[str, Sequence[Evaluation]]:
    """Select the evaluations on one test set.

    Args:
        entries: entry of `ckpt` -> its evaluations.
        test_set: data and subset; None is the only one that all entries have.
    Raises:
        ValueError: when an entry has none on this test set, or when it is not clear which one is meant.
    """
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
    return {entry: [each for each in own if each.test_set == test_set] for entry, own in entries.items()}


def _seeds(evaluations: Sequence[Evaluation], metric: str, is_current: Callable[[Path], bool]) -> list[Evaluation]:
    """Select one evaluation per seed, or the one of all seeds together when fewer than two have their own."""
    by_seed: dict[str | None, list[Evaluation]] = {}
    for each in evaluations:
        by_seed.setdefault(each.seed, []).append(each)
    together = by_seed.pop(None, None)
    if together is not None and len(by_seed) < 2:
        return [_only(together, metric, is_current)]
    return [_only(by_seed[seed], metric, is_current) for seed in sorted(by_seed, key=lambda seed: int(seed or 0))]


def _only(evaluations: Sequence[Evaluation], metric: str, is_current: Callable[[Path], bool]) -> Evaluation:
    """Select the evaluation with the metric, of the weights as they are now; of several whose scores agree, any."""
    method, current = evaluations[0].method, evaluations
    if len(evaluations) > 1:
        current = [each for each in evaluations if is_current(each.path)] or evaluations  # oracles have no files
    remaining = [each for each in current if metric in each.definitions]
    if not remaining:
        names = list(dict.fromkeys(name for each in current for name in each.definitions))
        near = next((f"did you mean {name!r}?" for name in names if name.casefold() == metric.casefold()), "")
        advice = near or "evaluate all by one metric"
        raise ValueError(f"metric: got {metric!r}, but {method} has {', '.join(names)}; {advice}")
    if all(_agree(each, remaining[0], metric) for each in remaining[1:]):
        return remaining[0]
    scenarios = [scenario(each.targets) for each in remaining]
    differ = len(set(scenarios)) > 1
    paths = [
        f"{each.path} ({own})" if differ else str(each.path) for each, own in zip(remaining, scenarios, strict=True)
    ]
    count = counted(len(remaining), "evaluation")
    raise ValueError(f"ckpt: {method} has {count} that could be meant, name one of them: {' and '.join(paths)}")


def _agree(one: Evaluation, other: Evaluation, metric: str) -> bool:
    """Whether two evaluations are of the same weights and have the same scores of a metric, by one definition."""
    weights = one.summary.get("weights")
    scores = [
        {(row.track, row.target): repr(row.metrics[metric]) for row in each.rows} for each in (one, other)
    ]  # as text, because NaN is unequal to itself
    is_alike = one.definitions[metric] == other.definitions[metric] and scores[0] == scores[1]
    return bool(weights) and weights == other.summary.get("weights") and is_alike


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
