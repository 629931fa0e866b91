"""A table of files, as CSV or Parquet: paths, sources, and optionally tracks, spans and splits."""

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from unmix import errors
from unmix.augmentation_settings import WEIGHTS
from unmix.data.layouts.entry import LONGEST_NAME, MIXTURE, SPLITS, Entry, Part
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.sources import loose
from unmix.data.layouts.tree import Folder

ENDINGS = (".csv", ".parquet")
NEEDED, OPTIONAL = ("path", "source"), ("track", "start", "end", "split")
_LONGEST_LINE = 10_000  # characters of the line with the names of the columns
SYNONYMS = {"instrum": "source", "type": "source", "stem": "source", "stop": "end"}  # of other projects' tables
_KNOWN = (*NEEDED, *OPTIONAL, *SYNONYMS)


@dataclass(frozen=True)
class Table(Layout):
    """One row per file. Rows with the same `track` belong together; without that column, files are loose.

    Paths are relative to the folder of the table; start and end are seconds, split is `train` unless it is given.

    Args:
        weights: column with the weight of each track, that is how often training draws it; 1 where it is empty.
    """

    name = "csv"
    hint = "a table of files"
    weights: str | None = None

    def with_weights(self, column: str) -> Self:
        return replace(self, weights=column)

    def shape(self, sources: Sequence[str]) -> str:
        return f"a .csv or .parquet file with the columns {', '.join(NEEDED)} and optionally {', '.join(OPTIONAL)}"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        tables = _tables(tree)
        if len(tables) != 1:
            return Fit(0, f"one .csv or .parquet file, but {len(tables)} are there")
        try:
            lacking = [column for column in NEEDED if column not in _columns(tables[0])]
        except ValueError as error:
            return Fit(0.4, str(error))
        return Fit(0.4, f"the columns {', '.join(lacking)} in {tables[0].name}") if lacking else Fit()

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        """Find the tracks of a table; raises ValueError with the number of the line that is wrong."""
        tables = _tables(tree)
        if len(tables) != 1:
            raise ValueError(
                f"data.root: {tree.path} holds {len(tables)} tables ({', '.join(path.name for path in tables)}): "
                "name one as data.root"
            )
        tracks: dict[tuple[str, str], list[_Row]] = {}
        entries = []
        for row in _rows(tables[0], naming, self.weights):
            if row.track:
                tracks.setdefault((row.split, row.track), []).append(row)
            elif row.stem != MIXTURE:
                entry = loose(row.split, row.stem, row.part.path, row.part)
                entries.append(entry if row.weight is None else replace(entry, weight=row.weight))
        entries += [_entry(split, track, rows, tables[0], naming) for (split, track), rows in tracks.items()]
        return sorted(entries, key=lambda entry: (SPLITS.index(entry.split), entry.name))


@dataclass(frozen=True)
class _Row:
    """A row of a table, checked; `weight` is None where it is not given."""

    split: str
    track: str
    stem: str
    part: Part
    weight: float | None


def _entry(split: str, name: str, rows: Sequence[_Row], table: Path, naming: Naming) -> Entry:
    parts: dict[str, tuple[Part, ...]] = {}
    for row in rows:
        parts[row.stem] = (*parts.get(row.stem, ()), row.part)
    entry = naming.completed(split, name, table, parts, [row.part.path.name for row in rows])
    weights = list(dict.fromkeys(row.weight for row in rows if row.weight is not None))
    if len(weights) > 1:
        numbers = " and ".join(f"{weight:g}" for weight in weights)
        return replace(entry, problem=f"data.track_weights: {name!r} has {numbers} in {table}: give a track one weight")
    return replace(entry, weight=weights[0]) if weights else entry


def _tables(tree: Folder) -> list[Path]:
    if tree.path.suffix.lower() in ENDINGS:
        return [tree.path] if tree.path.is_file() else []
    return [tree.path / name for name in tree.files if name.lower().endswith(ENDINGS)]


def _columns(path: Path) -> dict[str, str]:
    """Names of the columns of a table, by our names; reads only the first line of a CSV file."""
    if path.suffix.lower() == ".parquet":
        names = _parquet(path).schema_arrow.names
    else:
        with _opened(path) as file:
            names = next(csv.reader([file.readline(_LONGEST_LINE)]), [])
    plain = {name: name.strip().lower() for name in names}
    return {SYNONYMS.get(name, name): original for original, name in plain.items()}


def _opened(path: Path) -> Any:
    return path.open(encoding="utf-8-sig", newline="", errors="surrogateescape")


def _parquet(path: Path) -> Any:
    if find_spec("pyarrow") is None:
        raise ValueError(
            f"data.root: {path.name} needs the package pyarrow, which is not installed: pip install 'unmix[parquet]'"
        )
    import pyarrow
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"data.root: {path} is not a readable Parquet file: {errors.one_line(error)}") from error


def _records(path: Path) -> Iterator[Mapping[str, Any]]:
    if path.suffix.lower() == ".parquet":
        for batch in _parquet(path).iter_batches():
            yield from batch.to_pylist()
        return
    with _opened(path) as file:
        try:
            yield from csv.DictReader(file)
        except csv.Error as error:
            raise ValueError(f"data.root: {path} is not a readable CSV file: {error}") from error


def _rows(path: Path, naming: Naming, weights: str | None) -> Iterator[_Row]:
    columns = _columns(path)
    lacking = [column for column in NEEDED if column not in columns]
    if lacking:
        raise ValueError(
            f"data.root: {path} lacks the columns {', '.join(lacking)}; it has "
            f"{', '.join(columns.values()) or 'none'}, needed are {', '.join(NEEDED)}, allowed {', '.join(OPTIONAL)}"
        )
    if weights is not None and weights not in columns.values():
        allowed = [*WEIGHTS, *(name for name in columns.values() if name.strip().lower() not in _KNOWN)]
        raise ValueError(errors.unknown("data.track_weights", weights, allowed))
    for number, record in enumerate(_records(path), start=2):
        values = {column: record.get(original) for column, original in columns.items()}
        try:
            row = _row(path.parent, values, naming, None if weights is None else _weight(weights, record[weights]))
        except ValueError as error:
            raise ValueError(f"data.root: {path}, line {number}: {error}") from error
        if row is not None:
            yield row


def _row(folder: Path, values: Mapping[str, Any], naming: Naming, weight: float | None) -> _Row | None:
    """Check a row; None for a source that is not asked for."""
    source, split = str(values["source"] or "").strip(), str(values.get("split") or "train").strip()
    name, track = str(values["path"] or ""), str(values.get("track") or "").strip()
    if not source or not name:
        raise ValueError("path and source are needed")
    if split not in SPLITS:
        raise ValueError(errors.unknown("split", split, SPLITS))
    if "/" in track or "\0" in track or track.startswith(".") or len(track.encode()) > LONGEST_NAME:
        raise ValueError(f"track: got {track[:60]!r}, a name of a file, without /, is needed")
    start, stop = _seconds("start", values.get("start")), _seconds("end", values.get("end"))
    if stop is not None and stop <= (start or 0):
        raise ValueError(f"end: got {stop:g}, which is not after start={start or 0:g}")
    stems = dict.fromkeys(stem for stem, _ in naming.matcher(source))
    if not stems:
        return None
    if len(stems) > 1:
        raise ValueError(f"source: {source!r} is {' and '.join(stems)}: make data.rename distinct")
    path = folder / name
    if not path.is_file():
        raise ValueError(f"path: {path} is no file")
    return _Row(split, track, next(iter(stems)), Part(path, start or 0.0, stop), weight)


def _seconds(name: str, value: Any) -> float | None:
    return _from_zero(name, value, "seconds from 0 on are needed")


def _weight(column: str, value: Any) -> float | None:
    return _from_zero(column, value, "a weight from 0 on is needed, or nothing for 1")


def _from_zero(name: str, value: Any, needed: str) -> float | None:
    """Read a number of a cell; None for an empty one."""
    if value is None or value == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result) or result < 0:
        raise ValueError(f"{name}: got {value!r}, {needed}")
    return result
