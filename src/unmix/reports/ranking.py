"""Order of the leaderboard: the best row first, among rows whose results compare.

A val_loss compares with that of the same objective on the same data, a score with that of the same tracks, by the same
definition and in the same scenario.
"""

from collections.abc import Iterator, Sequence

from unmix import errors
from unmix.reports.leaderboard import Row, columns_of, is_score

# Kinds of rows, each with the column that it is sorted by, in the order in which they are listed.
RESULTS = {"evaluation": "sdr", "trial": "rank", "run": "val_loss", "job": "run"}
# Columns in which higher is better, sorted in descending order; all others are sorted in ascending order.
DESCENDING = ("sdr", "score", "val_sdr")


def sort_rows(rows: Sequence[Row], by: str | None = None) -> list[Row]:
    """Sort rows by kind and result, best first, or by a column; rows without a value in it come last.

    By `val_loss` or a test SDR, rows that do not compare are sorted apart, one group after the other.

    Raises:
        ValueError: when no row has the column, or it is a test SDR and nothing has been evaluated.
    """
    ordered = [row for kind in RESULTS for row in _by_result([row for row in rows if row["kind"] == kind], kind)]
    if by is None:
        return ordered
    columns = sorted(columns_of(rows), key=lambda name: not _is_result(name))  # the most likely ones first
    if is_score(by) and rows and not any(row["kind"] == "evaluation" for row in rows):
        raise ValueError(f"sort: got {by!r}, but nothing has been evaluated: run src/evaluate.py, or sort=val_loss")
    if rows and by not in columns:
        raise ValueError(errors.unknown("sort", by, columns, most=6))
    return _ranked(ordered, by)


def comparable(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Divide rows of one kind into those whose results compare, under what they share; one group has the name ''."""
    groups: dict[tuple[bool, str, str], list[Row]] = {}
    for row in sorted(rows, key=_group):
        groups.setdefault(_group(row), []).append(row)
    if len(groups) < 2:
        return {"": list(rows)}
    heads = [(name, details, details.partition(": ")[0]) for _, name, details in groups]  # of scores, the metric
    names, brief = [name for name, _, _ in heads], [(name, metric) for name, _, metric in heads]
    titles = [
        f"{name}, {(metric if brief.count((name, metric)) == 1 else details) or 'no arguments'}"
        if names.count(name) > 1
        else name
        for name, details, metric in heads
    ]
    return dict(zip(titles, groups.values(), strict=True))


def is_better_high(column: str) -> bool:
    """Whether a higher value of a column is better."""
    return column.partition(".")[0] in DESCENDING


def main_score(row: Row) -> str | None:
    """Column with the main score of an evaluation, over all targets; None when it has none."""
    return next(filter(is_score, row), None)  # those of the targets follow


def _by_result(rows: Sequence[Row], kind: str) -> Iterator[Row]:
    """Yield the rows of a kind, the best first; evaluations by each metric apart, museval's first."""
    column = RESULTS[kind]
    results = [(main_score(row) or column) if kind == "evaluation" else column for row in rows]
    for result in sorted(dict.fromkeys(results), key=lambda name: name != column):
        yield from _ranked([row for row, own in zip(rows, results, strict=True) if own == result], result)


def _group(row: Row) -> tuple[bool, str, str]:
    """Sort key of a row's group, its name, and the arguments of the objective; evaluations of test tracks are first."""
    if row["kind"] == "trial":
        return False, f"study {row['study']}", ""
    if row["kind"] != "run":
        name = row.get("test_set") or ""
        return not name.endswith("-test"), name, row.get("scores") or ""
    data = f", data {row['data.name']}" if row.get("data.name") else ""
    arguments = (f"{key}={row[key]}" for key in row if key.startswith("objective.") and row[key] is not None)
    return False, f"objective {row['objective']}{data}", ", ".join(arguments)


def _is_result(column: str) -> bool:
    return column == "val_loss" or is_score(column)


def _ranked(rows: Sequence[Row], by: str) -> list[Row]:
    """Sort rows by a column; if it is a result, kinds that have it come first, and every group is sorted apart."""
    ordered = _sorted(rows, by)
    if not _is_result(by):
        return ordered
    kinds = list(dict.fromkeys(row["kind"] for row in ordered))
    return sorted(ordered, key=lambda row: (kinds.index(row["kind"]), _group(row)))


def _sorted(rows: Sequence[Row], by: str) -> list[Row]:
    have = [row for row in rows if row.get(by) is not None and row[by] == row[by]]
    lack = [row for row in rows if row.get(by) is None or row[by] != row[by]]
    numbers = all(isinstance(row[by], int | float) for row in have)
    return sorted(have, key=lambda row: row[by] if numbers else str(row[by]), reverse=is_better_high(by)) + lack
