"""Charts of the leaderboard: test scores, values by model size, parallel coordinates, learning curves."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from unmix.data.tracks import SOURCES
from unmix.evaluation.oracle_names import is_method_of_oracle
from unmix.reports import charts, studies
from unmix.reports.charts import Chart, shown
from unmix.reports.leaderboard import FAILED, Leaderboard, Row, columns_of, is_setting
from unmix.reports.parallel_coordinates import parallel
from unmix.reports.ranking import comparable, is_better_high, main_score

MOST_CURVES = 40
MOST_EPOCHS = 200  # of a curve; of more, every second, third, ... is drawn
MOST_EVALUATIONS = 30
MOST_SETTINGS = 7  # axes of parallel coordinates, without that of the result
SIZE, DIRECTION = "model.hidden_size", "model.bidirectional"
DIRECTIONS = {True: "bidirectional", False: "unidirectional", None: "all"}


@dataclass(frozen=True)
class Group:
    """Rows whose results compare: what the result is, in words, for a title; rows; its column; label of its axis."""

    what: str
    rows: list[Row]
    column: str
    label: str

    @property
    def extreme(self) -> str:
        """Which values are the best."""
        return "highest" if is_better_high(self.column) else "lowest"


def all_charts(leaderboard: Leaderboard, rows: Sequence[Row]) -> list[Chart]:
    """Make all charts that have something to show, those of test scores first; failed runs are left out."""
    rows = [row for row in rows if row["state"] != FAILED]
    evaluations, groups = list(_evaluations(rows)), [*_evaluations(rows), *_runs(rows)]
    drawn = [
        *(_scores(group) for group in evaluations),
        *(_sizes(group) for group in groups),
        *(_parallel(group) for group in [*groups, *_trials(rows)]),
        *(
            charts.bars(f"Which settings matter in {study}?", values, x="share of the differences explained")
            for study, values in leaderboard.importances.items()
        ),
        *_curves(leaderboard, rows),
    ]
    return [chart for chart in drawn if chart is not None]


def _evaluations(rows: Sequence[Row]) -> Iterator[Group]:
    """Yield the scores on each test set, as only scores of the same tracks compare."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["kind"] == "evaluation" and (column := main_score(row)):
            groups.setdefault((row["test_set"], column), []).append(row)
    for (test_set, column), own in sorted(groups.items(), key=lambda item: item[0]):
        name, _, meaning = own[0]["scores"].partition(": ")
        unit = " in dB" if ", dB: " in meaning else ""
        yield Group(f"mean {name} on {test_set}", own, column, f"mean {name}{unit}")


def _runs(rows: Sequence[Row]) -> Iterator[Group]:
    """Yield the losses of each target and objective, as they differ in scale."""
    runs = [row for row in rows if row["kind"] == "run" and row["val_loss"] is not None]
    for (target, note), own in _by_target(runs).items():
        yield Group(f"validation loss of {target}{note}", own, "val_loss", "validation loss")


def _trials(rows: Sequence[Row]) -> Iterator[Group]:
    """Yield each objective of the complete trials of each study."""
    trials = [row for row in rows if row["kind"] == "trial" and row["rank"] is not None]
    for study in dict.fromkeys(row["study"] for row in trials):
        own = [row for row in trials if row["study"] == study]
        for column in studies.COLUMNS.values():
            if column in own[0]:
                yield Group(f"{column} in {study}", own, column, column)


def _scores(group: Group) -> Chart | None:
    """Chart of the score of the best evaluations: the mean over sources, and each source; None for fewer than two."""
    main = group.column
    finite = [row for row in group.rows if math.isfinite(row[main])]
    best = sorted(finite, key=lambda row: row[main], reverse=is_better_high(main))
    methods = [row["run"].rpartition("/")[0] for row in best]
    if len(best) < 2:
        return None
    columns = [name for name in columns_of(best) if name == main or name.startswith(f"{main}.")]
    rows = [
        {"panel": column.removeprefix(main)[1:] or "mean", "name": name, "label": row["run"], "value": row[column]}
        for column in columns
        for row, method in zip(best[:MOST_EVALUATIONS], methods, strict=False)
        if row.get(column) is not None
        for name in [method if methods.count(method) == 1 else row["run"]]
    ]
    oracles = [row["name"] for row in rows if is_method_of_oracle(row["label"].rpartition("/")[0])]
    title = f"Which method has the {group.extreme} {group.what}?{' (oracles are grey)' if oracles else ''}"
    return charts.dots(title, rows, value=group.label.removeprefix("mean "), labels="evaluation", muted=oracles)


def _by_target(runs: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Runs by target, and by what those that compare share, in parentheses; the latter is empty if all compare."""
    return {
        (target, f" ({name})" if name else ""): [row for row in group if row["target"] == target]
        for name, group in comparable(runs).items()
        for target in sorted({row["target"] for row in group}, key=_order)
    }


def _order(target: str) -> tuple[int, str]:
    """Sort key of targets: the order of the sources, as in every other table, then by name."""
    return (SOURCES.index(target) if target in SOURCES else len(SOURCES), target)


def _sizes(group: Group) -> Chart | None:
    """Chart of the best value by hidden size, uni- or bidirectional; None if no row has these columns."""
    column, best = group.column, max if is_better_high(group.column) else min
    rows = [row for row in group.rows if math.isfinite(row[column]) and not row.keys().isdisjoint((SIZE, DIRECTION))]
    rows = sorted(rows, key=lambda row: row.get(SIZE) or 0)
    sizes = list(dict.fromkeys(shown(row.get(SIZE)) or "all" for row in rows))
    series: dict[str, dict[str, float]] = {}
    for direction, name in DIRECTIONS.items():  # in the same order, and therefore colours, in every chart
        values: dict[str, list[float]] = {size: [] for size in sizes}
        for row in rows:
            if row.get(DIRECTION) is direction:
                values[shown(row.get(SIZE)) or "all"].append(row[column])
        if any(values.values()):
            series[name] = {size: best(own, default=math.nan) for size, own in values.items()}
    title = f"Which hidden size has the {group.extreme} {group.what}?"
    return charts.groups(title, series, x="hidden size", y=group.label)


def _parallel(group: Group) -> Chart | None:
    """Chart of the hyperparameters and the result of each row in parallel coordinates; None if they add nothing."""
    column = group.column
    rows = [row for row in group.rows if math.isfinite(row[column]) and any(is_setting(name) for name in row)]
    names = _hyperparameters(rows)
    plain = [name for name in names if all(isinstance(row.get(name), int | float | str) for row in rows)]
    if plain in ([SIZE], [DIRECTION]):
        return None  # the chart of sizes shows it
    title = f"Which settings give the {group.extreme} {group.what}? (the best in orange)"
    return parallel(title, rows, [*plain[:MOST_SETTINGS], column], is_better_high=is_better_high(column))


def _hyperparameters(rows: Sequence[Row]) -> list[str]:
    """Names of the configuration's columns in which the rows differ."""
    names = [name for name in columns_of(rows) if is_setting(name)]
    return [name for name in names if len({repr(row.get(name)) for row in rows}) > 1]


def _curves(leaderboard: Leaderboard, rows: Sequence[Row]) -> Iterator[Chart | None]:
    """Yield a chart of the best runs' learning curves per target; equal settings share a colour where possible."""
    runs = [row for row in rows if row["kind"] == "run" and leaderboard.curves.get(row["run"])]
    runs = sorted(runs, key=lambda row: math.inf if row["val_loss"] is None else row["val_loss"])
    shown_runs = [row for group in comparable(runs).values() for row in group[:MOST_CURVES]]
    settings = _hyperparameters(shown_runs)
    for (target, note), best in _by_target(shown_runs).items():
        own = {_label(row, settings, best): leaderboard.curves[row["run"]] for row in best}
        names = list(own)
        names = sorted(names[: len(charts.COLORS)]) + names[len(charts.COLORS) :]
        curves = {name: [(epoch + 1, loss) for epoch, loss in _thinned(own[name])] for name in names}
        title = f"How does the validation loss of {target}{note} fall?"
        yield charts.lines(title, curves, x="epoch", y="validation loss")


def _thinned(curve: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most `MOST_EPOCHS` epochs of a curve, with the last one."""
    step = -(-len(curve) // MOST_EPOCHS) or 1
    return list(curve[::-1][::step][::-1])


def _label(row: Row, settings: Sequence[str], runs: Sequence[Row]) -> str:
    """Label of a run: its values of `settings` if no other of the runs in its chart has the same, else its name."""
    label = ", ".join(f"{name.rpartition('.')[2]} {shown(row[name])}" for name in settings if row.get(name) is not None)
    others = [other for other in runs if other is not row]
    is_enough = label and all(any(other.get(name) != row.get(name) for name in settings) for other in others)
    return label if is_enough else row["run"]
