"""The contract of metrics, and the definitions that say what a column of scores means.

A metric is a class with `definitions` and `__call__`, and one file in conf/metrics; docs/reference/metrics.md has all.
Importing this module needs neither torch nor museval, so that a command that only shows scores starts quickly.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from unmix import errors
from unmix.checks import number, text, word

if TYPE_CHECKING:
    from torch import Tensor

    from unmix.evaluation.stems import Stems

NO_METRICS = "metrics: got none, name at least one, as metrics=[museval,usdr]"
Scores = Mapping[str, Mapping[str, float]]  # target -> metric -> value


@dataclass(frozen=True)
class Definition:
    """What a column of scores means; scores are comparable only if their definitions are equal.

    Args:
        name: heading of the column and key in files, such as `SDR`.
        measure: what is measured, in a few words.
        unit: unit of the values; empty for a plain number.
        window_seconds: length of the windows whose median is the score of a track; None: the track has one value.
        over_tracks: `median` or `mean` over tracks.
        better: `high` or `low`, which values are better.
        version: version of the definition, to be changed whenever values change.

    Raises:
        ValueError: on a value that is not allowed.
    """

    name: str
    measure: str
    unit: str = "dB"
    window_seconds: float | None = None
    over_tracks: str = "mean"
    better: str = "high"
    version: str = "1"

    def __post_init__(self) -> None:
        for field in ("name", "measure", "version"):
            text(field, getattr(self, field))
        word("over_tracks", self.over_tracks, ("mean", "median"))
        word("better", self.better, ("high", "low"))
        if self.window_seconds is not None:
            number("window_seconds", self.window_seconds, above=0)

    @property
    def key(self) -> str:
        """Name for loggers and columns of the leaderboard, `si_sdr` for `SI-SDR`."""
        return "".join(character if character.isalnum() else "_" for character in self.name.lower())

    @property
    def aggregation(self) -> str:
        """How the score of a method follows from its windows and tracks."""
        if self.window_seconds is None:
            return f"whole track, {self.over_tracks} over tracks"
        return f"median over windows of {self.window_seconds:g} s, then {self.over_tracks} over tracks"

    @property
    def label(self) -> str:
        """Name and unit for axes and headings, as `SDR in dB`."""
        return f"{self.name} in {self.unit}" if self.unit else self.name

    def decimals(self, size: float) -> int:
        """Number of decimals that a value of this size is shown with: two, or more for small values without a unit."""
        if self.unit or not 0 < abs(size) < 0.1:
            return 2
        return min(6, 1 - math.floor(math.log10(abs(size))))

    def __str__(self) -> str:
        unit = f", {self.unit}" if self.unit else ""
        return f"{self.measure}{unit}: {self.aggregation}"


class Metric(Protocol):
    """Contract of a metric: any class with `definitions` and `__call__` keeps it, and needs no base class.

    A class may also have `together`, to save work when several methods are scored on the same references: it takes one
    `Stems` per method, and returns one result of `__call__` per method, in the same order.
    """

    @property
    def definitions(self) -> Sequence[Definition]:
        """Definitions of the columns that the metric computes."""
        ...

    def __call__(self, stems: "Stems") -> "Mapping[str, Tensor]":
        """Score the estimates of one track.

        Returns:
            For the name of every definition its values: (sources, windows) if it has windows, otherwise (sources,);
            NaN where the metric is not defined.
        """
        ...


# BSS Eval v4's ratios, computed together over one-second windows, in the order of SiSEC 2018's tables.
METRICS = ("SDR", "SIR", "ISR", "SAR")
BSS_EVAL = tuple(
    Definition(name, "BSS Eval v4 (museval)", window_seconds=1.0, over_tracks="median", version="4") for name in METRICS
)
USDR = Definition("uSDR", "energy ratio of the whole track (MDX 2021)")
# What was computed before the results named it.
FORMER = (*BSS_EVAL, USDR)
DEFAULT = {
    "museval": {"_target_": "unmix.evaluation.engines.BssEval"},
    "usdr": {"_target_": "unmix.evaluation.energy_ratios.TrackSdr"},
}


def that_count(nodes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Select what scores depend on from the node `metrics` of a configuration; None for the default metrics."""
    without = {
        name: {key: value for key, value in node.items() if key != "engine"} if isinstance(node, Mapping) else node
        for name, node in nodes.items()
    }
    return None if without == DEFAULT else without


def definitions_of(metrics: Iterable[Metric]) -> list[Definition]:
    """List the definitions of several metrics.

    Raises:
        ValueError: when there are none, a metric does not keep the contract, or two compute columns of one name.
    """
    owners: dict[str, str] = {}
    definitions = []
    for metric in metrics:
        owner = type(metric).__name__
        own = getattr(metric, "definitions", None)
        if not callable(metric) or not own or not all(isinstance(item, Definition) for item in own):
            raise ValueError(
                f"metrics: {owner} is no metric: it needs `definitions`, a list of "
                "unmix.evaluation.metrics.Definition, and `__call__(stems)`"
            )
        for definition in own:
            if definition.key in owners:
                raise ValueError(
                    f"metrics: {owners[definition.key]} and {owner} both compute {definition.name}; leave one out"
                )
            owners[definition.key] = owner
            definitions.append(definition)
    if not definitions:
        raise ValueError(NO_METRICS)
    return definitions


def to_json(definitions: Iterable[Definition]) -> dict[str, dict[str, Any]]:
    """Definitions in plain containers, by name."""
    return {
        definition.name: {**{k: v for k, v in asdict(definition).items() if k != "name"}} for definition in definitions
    }


def from_json(content: Mapping[str, Mapping[str, Any]] | None) -> list[Definition]:
    """Definitions from what `to_json` made; None, in files of earlier versions, means `FORMER`."""
    if content is None:
        return list(FORMER)
    known = [field.name for field in fields(Definition)]
    return [
        Definition(name, **{key: value for key, value in values.items() if key in known})
        for name, values in content.items()
    ]


def describe(definitions: Sequence[Definition], targets: Sequence[str]) -> list[str]:
    """Lines below a table: the meaning of its columns, and which sources were scored together."""
    lines = []
    for meaning, group in groupby(definitions, key=str):
        lines.append(f"{', '.join(definition.name for definition in group)}: {meaning}")
    return [*lines, f"scenario: {scenario(targets)}"]


def scenario(targets: Sequence[str]) -> str:
    """Name what is scored together, as `4 stems: vocals, drums, bass, other` or `vocals, accompaniment`."""
    names = ", ".join(targets)
    return names if len(targets) <= 2 else f"{errors.counted(len(targets), 'stem')}: {names}"


def difference(ours: Sequence[Definition], theirs: Sequence[Definition]) -> str | None:
    """Tell in a few words in what two lists of definitions differ; None when they are the same, in any order."""
    by_name = {definition.name: definition for definition in theirs}
    if {definition.name for definition in ours} != set(by_name):
        names = (", ".join(definition.name for definition in each) for each in (ours, theirs))
        return " instead of ".join(names)
    for mine in ours:
        other = by_name[mine.name]
        if mine != other:
            field = next(f.name for f in fields(Definition) if getattr(mine, f.name) != getattr(other, f.name))
            return f"{mine.name} with {field} {getattr(mine, field)!r} instead of {getattr(other, field)!r}"
    return None


def mean_over_targets(scores: Scores, name: str) -> float:
    """Mean over targets of a metric: one number to sort methods by; NaN when a target has no score."""
    return sum(metrics[name] for metrics in scores.values()) / len(scores)
