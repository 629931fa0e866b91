"""Charts of the leaderboard: scores by model size, parallel coordinates, learning curves."""

import math
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from unmix.reports import charts, studies
from unmix.reports.charts import shown
from unmix.reports.leaderboard import FAILED, Leaderboard, Row, columns_of, is_setting
from unmix.reports.ranking import comparable, is_better_high

MOST_CURVES = 40
MOST_AXES = 6
SIZE, DIRECTION = "model.hidden_size", "model.bidirectional"
DIRECTIONS = {True: "bidirectional", False: "unidirectional", None: "all"}


def figures(leaderboard: Leaderboard, rows: Sequence[Row]) -> list[Figure]:
    """Draw all charts that have something to show, those of test scores first; failed runs are left out."""
    rows = [row for row in rows if row["state"] != FAILED]
    groups = [*_evaluations(rows), *_runs(rows)]
    drawn = [
        *(_sizes(title, own, column) for title, own, column in groups),
        *(_parallel(title, own, column) for title, own, column in [*groups, *_trials(rows)]),
        *(
            charts.shares(f"{study}: importance of each setting", values, x="share of the differences")
            for study, values in leaderboard.importances.items()
        ),
        *_curves(leaderboard, rows),
    ]
    return [figure for figure in drawn if figure is not None]


def _evaluations(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], str]]:
    """Yield title, rows and column of the scores on each test set, as only scores of the same tracks compare."""
    evaluations = [row for row in rows if row["kind"] == "evaluation" and "sdr" in row]
    for test_set in sorted(dict.fromkeys(row["test_set"] for row in evaluations)):
        yield f"{test_set}: mean SDR in dB", [row for row in evaluations if row["test_set"] == test_set], "sdr"


def _runs(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], str]]:
    """Yield title, rows and column of the losses of each target and objective, as they differ in scale."""
    runs = [row for row in rows if row["kind"] == "run" and row["val_loss"] is not None]
    for (target, note), own in _by_target(runs).items():
        yield f"{target}: best validation loss{note}", own, "val_loss"


def _trials(rows: Sequence[Row]) -> Iterator[tuple[str, list[Row], str]]:
    """Yield title, rows and column of each objective of the complete trials of each study."""
    trials = [row for row in rows if row["kind"] == "trial" and row["rank"] is not None]
    for study in dict.fromkeys(row["study"] for row in trials):
        own = [row for row in trials if row["study"] == study]
        for column in studies.COLUMNS.values():
            if column in own[0]:
                yield f"{study}: {column}", own, column


def _by_target(runs: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """Runs by target, and by what those that compare share, in parentheses; the latter is empty if all compare."""
    return {
        (target, f" ({name})" if name else ""): [row for row in group if row["target"] == target]
        for name, group in comparable(runs).items()
        for target in sorted(dict.fromkeys(row["target"] for row in group))
    }


def _sizes(title: str, rows: Sequence[Row], column: str) -> Figure | None:
    """Draw the best value by hidden size, uni- or bidirectional; None if no row has these columns."""
    best = max if is_better_high(column) else min
    rows = [row for row in rows if math.isfinite(row[column]) and not row.keys().isdisjoint((SIZE, DIRECTION))]
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
    return charts.groups(title, series, x="hidden size")


def _parallel(title: str, rows: Sequence[Row], column: str) -> Figure | None:
    """Draw the hyperparameters and the result of each row in parallel coordinates; None if they add nothing."""
    rows = [row for row in rows if math.isfinite(row[column]) and any(is_setting(name) for name in row)]
    names = _hyperparameters(rows)
    plain = [name for name in names if all(isinstance(row.get(name), int | float | str) for row in rows)]
    if plain in ([SIZE], [DIRECTION]):
        return None  # the chart of sizes shows it
    columns = [*plain[:MOST_AXES], column]
    return charts.parallel(f"{title}, the best in orange", rows, columns, is_better_high=is_better_high(column))


def _hyperparameters(rows: Sequence[Row]) -> list[str]:
    """Names of the configuration's columns in which the rows differ."""
    names = [name for name in columns_of(rows) if is_setting(name)]
    return [name for name in names if len({repr(row.get(name)) for row in rows}) > 1]


def _curves(leaderboard: Leaderboard, rows: Sequence[Row]) -> Iterator[Figure | None]:
    """Yield a chart of the best runs' learning curves per target; equal settings share a colour where possible."""
    runs = [row for row in rows if row["kind"] == "run" and leaderboard.curves.get(row["run"])]
    runs = sorted(runs, key=lambda row: math.inf if row["val_loss"] is None else row["val_loss"])
    shown_runs = [row for group in comparable(runs).values() for row in group[:MOST_CURVES]]
    settings = _hyperparameters(shown_runs)
    for (target, note), best in _by_target(shown_runs).items():
        own = {_label(row, settings, best): leaderboard.curves[row["run"]] for row in best}
        names = list(own)
        names = sorted(names[: len(charts.COLORS)]) + names[len(charts.COLORS) :]
        curves = {name: [(epoch + 1, loss) for epoch, loss in own[name]] for name in names}
        yield charts.lines(f"{target}: validation loss{note}", curves, x="epoch")


def _label(row: Row, settings: Sequence[str], runs: Sequence[Row]) -> str:
    """Label of a run: its values of `settings` if no other of the runs in its chart has the same, else its name."""
    label = ", ".join(f"{name.rpartition('.')[2]} {shown(row.get(name))}" for name in settings)
    others = [other for other in runs if other is not row]
    is_enough = label and all(any(other.get(name) != row.get(name) for name in settings) for other in others)
    return label if is_enough else row["run"]
