"""Rows of the leaderboard: every run, job and evaluation below a folder, read from their files alone."""

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from unmix import errors
from unmix.experiments import status

Row = dict[str, Any]
# Columns in which higher is better, sorted in descending order; all others are sorted in ascending order.
DESCENDING = ("sdr", "val_sdr")
# Keys of a configuration that get no column: they tell where or how a run was made, not what it is.
UNINTERESTING = ("target", "seed", "run_dir", "sweep_name", "paths", "logger", "callbacks", "separator", "evaluation")
UNINTERESTING_NESTED = (
    "data.root",
    "data.cache",
    "data.seed",
    "data.prepare",
    "trainer.gpus",
    "model.targets",
    "data.target",  # in runs of before 2026-12
)


@dataclass
class Leaderboard:
    """Runs, jobs and evaluations, as read from their files.

    Args:
        rows: one per run, job without a run, and evaluation; column -> value.
        damaged: (path, reason) of everything that cannot be read.
        curves: name of the run -> (epoch, val/loss) of every epoch.
    """

    rows: list[Row] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def collect(out: Path, name: str | None = None, group: str | None = None) -> Leaderboard:
    """Read all runs, jobs without a run, and evaluations; each row has the columns that apply to it.

    Args:
        out: the folder that has `runs`, `sweeps` and `evaluations`.
        name: only experiments with this name, or that match this pattern, such as `umx*`; None is all.
        group: only the experiment with this id; None is all.
    """
    leaderboard = Leaderboard()
    configs: dict[str, Row] = {}
    for path in sorted(out.glob(f"runs/*/*/{status.FILE}")):
        if path.parents[1].name not in ("eval", "old") and _is_wanted(path.parents[1].name, name, group):
            _guarded(leaderboard, path.parent, partial(_add_run, leaderboard, configs, path.parent))
    for path in sorted(out.glob("sweeps/*/jobs.jsonl")):
        _guarded(leaderboard, path, partial(_add_jobs, leaderboard, path, name, group))
    for path in sorted([*out.glob("runs/*/eval/*/summary.json"), *out.glob("evaluations/*/summary.json")]):
        _guarded(leaderboard, path.parent, partial(_add_evaluation, leaderboard, path, out, name, group))
    _add_what_differs(leaderboard.rows, configs)
    return leaderboard


def _is_wanted(experiment: str, name: str | None, group: str | None) -> bool:
    matches = name is None or fnmatch(experiment, name) or fnmatch(name_of(experiment), name)
    return matches and (group is None or experiment == group)


def name_of(experiment: str) -> str:
    """Name of an experiment, without the hash of its id: `umx-d8f2860d` -> `umx`."""
    return re.sub(r"-[0-9a-f]{8}\b.*", "", experiment)


def _guarded(leaderboard: Leaderboard, path: Path, add: Callable[[], None]) -> None:
    """Add the rows of `path` by `add`; record `path` as damaged when that fails, skip it when a file is missing."""
    try:
        add()
    except FileNotFoundError:
        return  # the folder is being moved aside
    except (ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, OSError) as error:
        leaderboard.damaged.append((str(path), errors.one_line(error)))


def _add_run(leaderboard: Leaderboard, configs: dict[str, Row], path: Path) -> None:
    now = status.read(path)
    if now is None:
        return
    key = f"{path.parent.name}/{path.name}"
    epochs = list(_epochs(path / "metrics.csv"))
    best = min(epochs, key=lambda epoch: epoch[1], default=None)
    leaderboard.curves[key] = [(epoch, loss) for epoch, loss, _ in epochs]
    if (path / "config.yaml").is_file():
        configs[key] = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), Loader=_Loader)
    target, _, seed = path.name.rpartition("-s")
    leaderboard.rows.append(
        {
            "kind": "run",
            "run": key,
            "state": "interrupted" if now.state == "running" and not now.is_alive() else now.state,
            "experiment": path.parent.name,
            "target": target,
            "seed": seed,
            "epochs": now.epoch,
            "steps": now.step if now.batch else None,  # of a run that ended within an epoch
            "val_loss": now.best,
            "val_sdr": None if best is None else best[2],
        }
    )


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _epochs(path: Path) -> Iterator[tuple[int, float, float | None]]:
    """Yield epoch, val/loss and val/sdr of every complete line of metrics.csv; nothing when there is no file."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for row in csv.DictReader(line for line in lines if line.endswith("\n")):
        if row.get("val/loss"):
            yield int(row["epoch"]), float(row["val/loss"]), float(row["val/sdr"]) if row.get("val/sdr") else None


def _add_jobs(leaderboard: Leaderboard, path: Path, name: str | None, group: str | None) -> None:
    """Add a row for each job of a sweep that has no run, because it waits or failed before the run started."""
    last: dict[str, Row] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.endswith("}"):
            change = json.loads(line)
            last[change["run"]] = change
    known = {row["run"] for row in leaderboard.rows}
    for run, change in last.items():
        key = "/".join(Path(run).parts[-2:])
        if key not in known and change["state"] != "done" and _is_wanted(Path(run).parent.name, name, group):
            leaderboard.rows.append(
                {"kind": "job", "run": key, "state": change["state"], "experiment": key.split("/")[0]}
            )


def _add_evaluation(leaderboard: Leaderboard, path: Path, out: Path, name: str | None, group: str | None) -> None:
    summary = json.loads(path.read_text(encoding="utf-8"))
    method, *_ = summary["medians"]
    if not _is_wanted(method, name, group):
        return
    sdr = {f"sdr.{target}": scores["SDR"] for target, scores in summary["medians"][method].items()}
    leaderboard.rows.append(
        {
            "kind": "evaluation",
            "run": f"{method}/{path.parent.name}",
            "state": f"{summary['num_tracks']} tracks",
            "experiment": method,
            "sdr": sum(sdr.values()) / len(sdr),
            **sdr,
            "report": str((path.parent / "report.html").relative_to(out)),
        }
    )


def _add_what_differs(rows: Sequence[Row], configs: dict[str, Row]) -> None:
    """Add to the rows a column for every hyperparameter whose value is not the same in all runs."""
    flat = {key: dict(_flat(config)) for key, config in configs.items()}
    names = dict.fromkeys(name for settings in flat.values() for name in settings)
    differing = [name for name in names if len({repr(settings.get(name)) for settings in flat.values()}) > 1]
    for row in rows:
        if (settings := flat.get(row["run"])) is not None:
            row.update({name: settings.get(name) for name in differing})


def _flat(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted name and value of every setting, without those of `UNINTERESTING`."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name in UNINTERESTING or name in UNINTERESTING_NESTED or str(key).startswith("_"):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def sort_rows(rows: Sequence[Row], by: str) -> list[Row]:
    """Sort rows by a column, best first; rows without a value in it come last.

    Raises:
        ValueError: when no row has the column.
    """
    columns = columns_of(rows)
    if rows and by not in columns:
        raise ValueError(errors.unknown("sort", by, columns))
    have = [row for row in rows if row.get(by) is not None and row[by] == row[by]]
    lack = [row for row in rows if row.get(by) is None or row[by] != row[by]]
    numbers = all(isinstance(row[by], int | float) for row in have)
    return sorted(have, key=lambda row: row[by] if numbers else str(row[by]), reverse=_is_better_high(by)) + lack


def _is_better_high(column: str) -> bool:
    return column.partition(".")[0] in DESCENDING


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Names of all columns that occur in the rows, in order of appearance, with scores and the report last."""
    names = dict.fromkeys(name for row in rows for name in row)
    return sorted(names, key=lambda name: (name == "report", name.startswith("sdr")))


def to_csv(rows: Sequence[Row]) -> str:
    """Format all rows and columns as CSV."""
    text = StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
