"""Rows of the leaderboard: every run, job, trial and evaluation below a folder, read from their files alone."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from unmix import errors
from unmix.cluster import record
from unmix.evaluation.metrics import BSS_EVAL, describe, mean_over_targets
from unmix.evaluation.summary import from_json
from unmix.experiments import status
from unmix.experiments.curves import epochs
from unmix.processes.jobs import last_line
from unmix.reports import hyperparameters, leaderboard_queue, studies

Row = dict[str, Any]
# Columns that hold text.
TEXT = (
    "kind",
    "run",
    "state",
    "node",
    "since",
    "experiment",
    "target",
    "test_set",
    "scores",
    "objective",
    "reason",
    "report",
)
SCORES = ("sdr", "score", "error")  # first parts of the columns of scores; of errors, lower is better
KNOWN = (*TEXT, "study", "seed", "epochs", "steps", "val_loss", "val_sdr", "parameters", "rank")
FAILED = "failed"  # state of rows that have a `reason`
OLD_OBJECTIVE = {"_target_": "MagnitudeMse"}  # of runs whose configuration names none, as there was no other


@dataclass
class Leaderboard:
    """Runs, jobs and evaluations, as read from their files.

    Args:
        rows: one per run, job without a run, trial of a search, and evaluation; column -> value. An evaluation has the
            hyperparameters that the runs behind its weights share.
        damaged: (path, reason) of everything that cannot be read.
        curves: name of the run -> (epoch, val/loss) of every epoch.
        configs: name of the run -> its configuration.
        importances: name of a study -> setting -> share of the differences that it explains.
    """

    rows: list[Row] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    curves: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    configs: dict[str, Row] = field(default_factory=dict)
    importances: dict[str, dict[str, float]] = field(default_factory=dict)


def collect(out: Path, name: str | None = None, group: str | None = None) -> Leaderboard:
    """Read all runs, jobs without a run, and evaluations; each row has the columns that apply to it.

    Args:
        out: the folder that has `runs`, `sweeps` and `evaluations`.
        name: only experiments with this name, or that match this pattern, such as `umx*`; None is all.
        group: only the experiment with this id; None is all.
    """
    leaderboard = Leaderboard()
    for path in sorted(out.glob(f"runs/*/*/{status.FILE}")):
        if path.parents[1].name not in ("eval", "old") and _is_wanted(path.parents[1].name, name, group):
            _guarded(leaderboard, path.parent, partial(_add_run, leaderboard, path.parent))
    for path in sorted(out.glob("sweeps/*/jobs.jsonl"), reverse=True):  # the newest sweep knows a job's last state
        _guarded(leaderboard, path, partial(_add_jobs, leaderboard, path, name, group))
    _guarded(leaderboard, out, partial(_add_queue, leaderboard, out, name, group))
    origins: dict[str, list[str]] = {key: [key] for key in leaderboard.configs}
    for path in sorted([*out.glob("runs/*/eval/*/"), *out.glob("evaluations/*/")]):
        _guarded(leaderboard, path, partial(_add_evaluation, leaderboard, origins, path, out, name, group))
    values = hyperparameters.differing(leaderboard.configs)
    for row in leaderboard.rows:
        row.update(hyperparameters.shared([values[run] for run in origins.get(row["run"], ())]))
    for path in sorted(out.glob("sweeps/*/study.log")):
        _guarded(leaderboard, path, partial(_add_study, leaderboard, path, name, group))
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


def _add_run(leaderboard: Leaderboard, path: Path) -> None:
    now = status.read(path)
    if now is None:
        return
    key = f"{path.parent.name}/{path.name}"
    by_epoch = list(epochs(path / "metrics.csv"))
    best = min(by_epoch, key=lambda epoch: epoch[1], default=None)
    leaderboard.curves[key] = [(epoch, loss) for epoch, loss, _ in by_epoch]
    if (path / "config.yaml").is_file():
        leaderboard.configs[key] = yaml.load((path / "config.yaml").read_text(encoding="utf-8"), Loader=_Loader)
    objective = leaderboard.configs.get(key, {}).get("objective", OLD_OBJECTIVE)
    target, _, seed = path.name.rpartition("-s")
    leaderboard.rows.append(
        {
            "kind": "run",
            "run": key,
            "state": "interrupted" if now.state == "running" and not now.is_alive() else now.state,
            "experiment": path.parent.name,
            "target": target,
            "seed": seed,
            "objective": _name_of_objective(objective),
            "epochs": now.epoch,
            "steps": now.step if now.batch else None,  # of a run that ended within an epoch
            # a run that was killed may have finished an epoch that its status does not have
            "val_loss": best[1] if now.best is None and best is not None else now.best,
            "val_sdr": None if best is None else best[2],
            **({"reason": now.reason} if now.state == FAILED else {}),
            **(leaderboard_queue.running(now) if now.is_alive() else {}),
        }
    )


def _name_of_objective(node: Row) -> str:
    """Name an objective after its class, as files in conf/objective are: `WaveformL1` -> `waveform_l1`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(node["_target_"]).rpartition(".")[2]).lower()


_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
            row = {"kind": "job", "run": key, "state": change["state"], "experiment": key.split("/")[0]}
            if change["state"] == FAILED:
                row["reason"] = last_line(path.parent / f"{change['job']:03d}-{Path(run).name}.log")
            leaderboard.rows.append(row)


def _add_queue(leaderboard: Leaderboard, out: Path, name: str | None, group: str | None) -> None:
    """Add to the rows of runs and jobs what Slurm knows of them, and a row for each that has none."""
    submitted = [run for run in record.runs(out) if _is_wanted(run.parent.name, name, group)]
    leaderboard.rows += leaderboard_queue.update(submitted, {row["run"]: row for row in leaderboard.rows})


def _add_evaluation(
    leaderboard: Leaderboard, origins: dict[str, list[str]], path: Path, out: Path, name: str | None, group: str | None
) -> None:
    """Add the row of an evaluation, and its runs to `origins`; none for an evaluation that is under way."""
    experiment = path.parents[1].name if path.parent.name == "eval" else None
    if not (path / "summary.json").is_file():
        now = status.read(path)
        if now is not None and now.state == FAILED and _is_wanted(experiment or path.name, name, group):
            row = {"kind": "evaluation", "state": FAILED, "reason": now.reason, "experiment": experiment or path.name}
            leaderboard.rows.append({**row, "run": f"{experiment or 'evaluations'}/{path.name}"})
        return
    summary = json.loads((path / "summary.json").read_text(encoding="utf-8"))
    stored = from_json(summary)
    method, overall, main = stored.method, stored.overall[stored.method], stored.definitions[0]
    if not _is_wanted(experiment or method, name, group):
        return
    key = f"{method}/{path.name}"
    # a checkpoint is <experiment>/<run>/checkpoints/<file>
    runs = ["/".join(Path(file).parts[-4:-2]) for file in summary.get("checkpoints", {}).values()]
    known = [run for run in runs if run in leaderboard.configs]
    origins[key] = known or [run for run in leaderboard.configs if run.rpartition("/")[0] == experiment]
    column = "sdr" if main == BSS_EVAL[0] else f"{'score' if main.better == 'high' else 'error'}.{main.key}"
    leaderboard.rows.append(
        {
            "kind": "evaluation",
            "run": key,
            "state": errors.counted(stored.num_tracks, "track"),
            "experiment": experiment or method,
            "test_set": path.name.rpartition("-")[0],
            "scores": "; ".join(describe([main], list(overall))),
            column: mean_over_targets(overall, main.name),
            **{f"{column}.{target}": values[main.name] for target, values in overall.items()},
            "report": str((path / "report.html").relative_to(out)),
        }
    )


def _add_study(leaderboard: Leaderboard, path: Path, name: str | None, group: str | None) -> None:
    """Add the trials of a search, and the importances of its settings."""
    rows, importances = studies.read(path)
    wanted = [row for row in rows if _is_wanted(row["experiment"], name, group)]
    leaderboard.rows += wanted
    if wanted:
        leaderboard.importances[path.parent.name] = importances


def is_setting(column: str) -> bool:
    """Whether a column is a hyperparameter."""
    return column not in KNOWN and not is_score(column)


def is_score(column: str) -> bool:
    """Whether a column has scores of evaluations: museval's SDR, or `score.<metric>` or `error.<metric>`."""
    return column.partition(".")[0] in SCORES


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Names of all columns that occur in the rows, in order of appearance, with scores, reason and report last."""
    names = dict.fromkeys(name for row in rows for name in row)
    return sorted(names, key=lambda name: (name in ("reason", "report"), is_score(name)))


def to_csv(rows: Sequence[Row]) -> str:
    """Format all rows and columns as CSV."""
    text = StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
