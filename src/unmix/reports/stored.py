"""Stored evaluations: read from their folders, and selected as `ckpt=` names them."""

import csv
import glob
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from unmix.errors import one_line
from unmix.evaluation import summary as summaries
from unmix.evaluation.metrics import Definition
from unmix.evaluation.oracle_names import ORACLE, is_oracle
from unmix.evaluation.scores import TrackScore

SUMMARY, SCORES = "summary.json", "scores.csv"


@dataclass(frozen=True)
class Evaluation:
    """A finished evaluation.

    Args:
        path: its folder, `<test set>-<6 hex>`.
        summary: content of its summary.json.
        method: name of the evaluated method, as it was given to evaluate.py.
        definitions: what its scores mean, by name.
    """

    path: Path
    summary: Mapping[str, Any] = field(repr=False)
    method: str
    definitions: Mapping[str, Definition] = field(repr=False)

    @property
    def test_set(self) -> str:
        """Name of the data and of the subset, such as `musdb18hq-test`."""
        return self.path.name.rpartition("-")[0]

    @property
    def runs(self) -> list[str]:
        """Runs whose weights were evaluated, `<experiment>/<run>`; a checkpoint is <run>/checkpoints/<file>."""
        files = [Path(file) for file in self.summary.get("checkpoints", {}).values()]
        return list(
            dict.fromkeys("/".join(file.parts[-4:-2]) for file in files if file.parts[-2:-1] == ("checkpoints",))
        )

    @property
    def experiment(self) -> str | None:
        """Experiment of all runs; None when there are several, or none."""
        names = {run.partition("/")[0] for run in self.runs}
        return names.pop() if len(names) == 1 else None

    @property
    def seed(self) -> str | None:
        """Seed of all runs, from their names `<target>-s<seed>`; None when there are several, or none."""
        seeds = {match[1] if (match := re.search(r"-s(\d+)$", run)) else "" for run in self.runs}
        return (seeds.pop() or None) if len(seeds) == 1 else None

    @property
    def separator(self) -> dict[str, Any]:
        """Settings of the separator."""
        return dict(self.summary.get("separator") or {})

    @property
    def lengths(self) -> dict[str, int]:
        """Number of all windows of every track, with which audio of one name but another length is told apart."""
        return {track: counts[1] for track, counts in self.summary.get("windows_that_count", {}).items()}

    @cached_property
    def rows(self) -> list[TrackScore]:
        """Scores of the method per track and target, from scores.csv.

        Raises:
            ValueError: when the file is missing or damaged.
        """
        path = self.path / SCORES
        again = f"remove {self.path} and evaluate again"
        try:
            with path.open(encoding="utf-8", newline="") as file:
                lines = list(csv.DictReader(file))
            own = [line for line in lines if line["method"] == self.method]
            rows = [TrackScore(self.method, line["track"], line["target"], self._values(line)) for line in own]
        except (ValueError, KeyError, TypeError, OSError, csv.Error) as error:
            raise ValueError(f"ckpt: {path} is damaged ({one_line(error)}); {again}") from error
        expected = self.summary["num_tracks"] * len(self.summary["medians"][self.method])
        if len(rows) != expected:
            raise ValueError(f"ckpt: {path} is damaged ({len(rows)} scores of {self.method}, not {expected}); {again}")
        return rows

    def _values(self, line: Mapping[str, str]) -> dict[str, float]:
        return {name: float(line[name]) for name in self.definitions if name in line}

    @property
    def targets(self) -> list[str]:
        """Names of the sources that were scored together."""
        return list(dict.fromkeys(row.target for row in self.rows))

    @property
    def tracks(self) -> list[str]:
        """Names of the scored tracks."""
        return list(dict.fromkeys(row.track for row in self.rows))


def read(path: Path) -> Evaluation:
    """Read the summary of an evaluation.

    Raises:
        ValueError: when it is damaged.
    """
    try:
        content = json.loads((path / SUMMARY).read_text(encoding="utf-8"))
        known = summaries.from_json(content)
        evaluation = Evaluation(path, content, known.method, {each.name: each for each in known.definitions})
        if not isinstance(known.num_tracks, int) or not isinstance(content.get("checkpoints", {}), dict):
            raise TypeError("num_tracks: a whole number is needed; checkpoints: a mapping is needed")
    except (ValueError, KeyError, TypeError, AttributeError, StopIteration, OSError) as error:
        raise ValueError(f"ckpt: {path / SUMMARY} is damaged ({one_line(error)}); evaluate again") from error
    return evaluation


def select(entry: str, out: Path) -> list[Evaluation]:
    """Find the evaluations that an entry of `ckpt` names.

    A path is that of an evaluation, or of what was evaluated: an experiment, a run, or any other file or folder of
    weights. A pattern names all paths that match it; a name is that of a release or an oracle.

    Args:
        entry: path, pattern or name.
        out: folder with the evaluations of what is not an experiment, in `evaluations`.
    Raises:
        FileNotFoundError: when there is none.
        ValueError: when one is damaged.
    """
    path = Path(entry).expanduser()
    paths = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207
    selected = {file.resolve(): read(file) for each in paths for file in _folders_of(each)}
    names = (
        {entry.replace(ORACLE, "oracle-")} if is_oracle(entry) else {entry, path.name, *(each.name for each in paths)}
    )
    for file in _folders(out / "evaluations", f"*/{SUMMARY}"):
        evaluation = read(file)
        is_named = not evaluation.runs and evaluation.method in names
        if is_named or (evaluation.runs and all(_is_below(run, paths) for run in evaluation.runs)):
            selected.setdefault(file.resolve(), evaluation)
    if not selected:
        exists = "has no finished evaluation" if paths or is_oracle(entry) else "has no evaluation, and is no path"
        data = " data=..." if is_oracle(entry) else ""
        raise FileNotFoundError(f"ckpt: {entry} {exists}: python src/evaluate.py ckpt={entry}{data}")
    return list(selected.values())


def _folders_of(path: Path) -> list[Path]:
    """Folders of evaluations at, or below, an experiment, a run or a folder of weights."""
    if (path / SUMMARY).is_file():
        return [path]
    return _folders(path, f"eval/*/{SUMMARY}") + _folders(path, f"*/eval/*/{SUMMARY}")


def _folders(path: Path, pattern: str) -> list[Path]:
    return [file.parent for file in sorted(path.glob(pattern))]


def _is_below(run: str, paths: Sequence[Path]) -> bool:
    """Whether a run is one of `paths`, in one of them as an experiment, or one of them is its checkpoint."""
    experiment = run.partition("/")[0]
    return any(
        path.name == experiment or "/".join(path.parts[-2:]) == run or "/".join(path.parts[-4:-2]) == run
        for path in map(Path.absolute, paths)
    )
