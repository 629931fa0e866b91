"""The table of a paper: methods by sources, with what may be said about their differences."""

import math
import statistics as averages
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unmix.evaluation import published, scenarios, statistics
from unmix.evaluation.metrics import BSS_EVAL, METRICS, Definition
from unmix.evaluation.scores import OVER_TRACKS
from unmix.evaluation.statistics import Comparison, Run
from unmix.reports import comparable, run_facts
from unmix.reports.methods import Method

MEAN = "mean"  # column with the mean over sources


@dataclass(frozen=True)
class Cell:
    """A score: the mean over seeds, its standard deviation when there are several, and whether it is bold."""

    value: float
    deviation: float | None = None
    is_best: bool = False


@dataclass(frozen=True)
class Row:
    """A method, its scores by column, and facts; None where a fact was not recorded.

    Args:
        name: name of the method.
        kind: `method`, `oracle` or `published`; only methods are compared with each other.
        cells: column -> score.
        seeds: seeds of the evaluations; empty when there is only one.
        parameters: number of trainable parameters.
        pace: seconds of processing per second of audio.
        training: seconds that training took, all targets together, mean over seeds.
        hardware: what it was trained on.
        evaluations: names of the folders with its scores.
    """

    name: str
    kind: str
    cells: dict[str, Cell]
    seeds: Sequence[str] = ()
    parameters: int | None = None
    pace: float | None = None
    training: float | None = None
    hardware: str | None = None
    evaluations: Sequence[str] = ()


@dataclass(frozen=True)
class Table:
    """A table of methods.

    Args:
        metric: definition of the metric.
        test_set: name of data and subset.
        columns: names of the sources, and `mean` when there are several.
        rows: methods in the given order, then oracles, then published scores.
        comparisons: column -> comparisons of all pairs of methods.
        tracks: names of the tracks compared.
        left_out: names of tracks that some methods were not scored on.
        scores: method -> target -> track -> value, mean over seeds; for box plots.
    """

    metric: Definition
    test_set: str
    columns: list[str]
    rows: list[Row]
    comparisons: dict[str, list[Comparison]]
    tracks: list[str]
    left_out: list[str]
    scores: dict[str, dict[str, Run]]

    @property
    def sources(self) -> list[str]:
        """Names of the sources."""
        return [column for column in self.columns if column != MEAN]


def build(methods: Sequence[Method], *, metric: str, tracks: str, compare: Sequence[str], out: Path) -> Table:
    """Compute the table of several methods.

    Args:
        methods: at least one, all on the same test set.
        metric: name of the metric.
        tracks: `all`: all methods must have been scored on the same tracks; `common`: only tracks that all have.
        compare: names of published scores to add, see `published.medians_of`.
        out: folder with the runs.
    Raises:
        ValueError: when the methods do not compare, or scores are damaged.
    """
    definition = comparable.check_scores(methods, metric)
    _check_published(compare, definition, methods[0].targets)
    common, left_out = comparable.tracks(methods, tracks)
    targets = methods[0].targets
    columns = [*targets, MEAN] if len(targets) > 1 else targets
    runs = {
        column: {method.name: _only(_runs(method, column, definition.name), common) for method in methods}
        for column in columns
    }
    competing = [method.name for method in methods if not method.is_oracle] or [method.name for method in methods]
    comparisons = {
        column: statistics.compare({name: runs[column][name] for name in competing}, definition) for column in columns
    }
    ordered = sorted(methods, key=lambda method: method.name not in competing)
    values = {
        method.name: {
            target: [_over_tracks(run, definition) for run in runs[target][method.name]] for target in targets
        }
        for method in ordered
    }
    rows = [_row(method, values[method.name], columns, out) for method in ordered]
    rows += [_published_row(name, columns, definition.name) for name in compare]
    scores = {
        method.name: {target: _mean_run(runs[target][method.name], common) for target in targets} for method in ordered
    }
    test_set = methods[0].evaluations[0].test_set
    table = Table(definition, test_set, columns, rows, comparisons, common, left_out, scores)
    return replace(table, rows=_marked(table))


def _runs(method: Method, column: str, metric: str) -> list[dict[str, float]]:
    return method.runs_of_mean(metric) if column == MEAN else method.runs(column, metric)


def _only(runs: Sequence[Run], tracks: Sequence[str]) -> list[Run]:
    return [{track: run[track] for track in tracks} for run in runs]


def _over_tracks(run: Run, definition: Definition) -> float:
    """Score over all tracks that have one, as the definition averages them."""
    values = [value for value in run.values() if not math.isnan(value)]
    return OVER_TRACKS[definition.over_tracks](values) if values else math.nan


def _mean_run(runs: Sequence[Run], tracks: Sequence[str]) -> Run:
    return {track: averages.fmean(run[track] for run in runs) for track in tracks}


def _row(method: Method, values: Mapping[str, Sequence[float]], columns: Sequence[str], out: Path) -> Row:
    """Row of a method; `values` has the score of every target, one per seed."""
    over_sources = [averages.fmean(each) for each in zip(*values.values(), strict=True)]
    cells = {column: _cell(over_sources if column == MEAN else values[column]) for column in columns}
    folders = [[out / "runs" / run for run in each.runs] for each in method.evaluations]
    times = [[run_facts.training_seconds(run) for run in runs] for runs in folders]
    known = [sum(filter(None, each)) for each in times if each and None not in each]
    machines = dict.fromkeys(machine for runs in folders for run in runs if (machine := run_facts.hardware(run)))
    return Row(
        method.name,
        "oracle" if method.is_oracle else "method",
        cells,
        method.seeds,
        parameters=_shared([each.summary.get("parameters") for each in method.evaluations]),
        pace=_mean([each.summary.get("seconds_per_second") for each in method.evaluations]),
        training=averages.fmean(known) if len(known) == len(folders) else None,
        hardware=", ".join(machines) or None,
        evaluations=[each.path.name for each in method.evaluations],
    )


def _cell(values: Sequence[float]) -> Cell:
    return Cell(averages.fmean(values), averages.stdev(values) if len(values) > 1 else None)


def _shared(values: Sequence[int | None]) -> int | None:
    return values[0] if len(set(values)) == 1 else None


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return averages.fmean(known) if len(known) == len(values) else None


def _marked(table: Table) -> list[Row]:
    """Mark the best score of each column if it is shown to be better than the second best."""
    best = {(name, column) for column, (name, pair) in deciding(table).items() if pair.is_shown and pair.better == name}
    return [
        replace(row, cells={key: replace(cell, is_best=(row.name, key) in best) for key, cell in row.cells.items()})
        for row in table.rows
    ]


def deciding(table: Table) -> dict[str, tuple[str, Comparison]]:
    """What decides about the best of a column: column -> its name, its comparison with the second best."""
    pairs: dict[str, tuple[str, Comparison]] = {}
    for column, of_column in table.comparisons.items():
        compared = {name for pair in of_column for name in (pair.first, pair.second)}
        known = [row for row in table.rows if row.name in compared and not math.isnan(row.cells[column].value)]
        if len(known) > 1:
            ordered = sorted(known, key=lambda row: row.cells[column].value, reverse=table.metric.better == "high")
            first, second = ordered[:2]
            names = {first.name, second.name}
            pairs[column] = first.name, next(pair for pair in of_column if {pair.first, pair.second} == names)
    return pairs


def _check_published(compare: Sequence[str], definition: Definition, targets: Sequence[str]) -> None:
    for name in compare:
        scenarios.check_published("compare", name, published.medians_of(name), targets)
    if compare and definition not in BSS_EVAL:
        raise ValueError(
            f"compare: published scores are {', '.join(METRICS)} by {BSS_EVAL[0].measure}, not {definition.name}: "
            "choose metric=SDR, or leave compare away"
        )


def _published_row(name: str, columns: Sequence[str], metric: str) -> Row:
    medians = published.medians_of(name)
    values = {target: medians.get(target, {}).get(metric, math.nan) for target in columns if target != MEAN}
    cells = {column: Cell(averages.fmean(values.values()) if column == MEAN else values[column]) for column in columns}
    return Row(f"{name} as published", "published", cells)
