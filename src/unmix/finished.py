"""Finished evaluations: known from small files, so that their scores are printed without importing torch.

An evaluation's folder is named by a hash of everything that its scores depend on. Its file inputs.json holds the stamps
(size, date, inode) of the checkpoint files that were read. While `ckpt` names exactly these files and they have these
stamps, they hold the same weights; the data set's fingerprint comes from its scan, which also goes by size and date.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix import next_steps
from unmix.data import library
from unmix.data.tracks import Splits
from unmix.evaluation import metrics
from unmix.evaluation.summary import from_json
from unmix.experiments import status
from unmix.reports.tables import print_table
from unmix.weights.files import own_files, paths_of, stamp

INPUTS = "inputs.json"
FORMAT = 2  # version of the files in the folder
DATA_MODULE = "unmix.data.datamodule.SeparationDataModule"


def identifying(
    weights: Mapping[str, str],
    fingerprint: str,
    subset: str,
    separator: DictConfig,
    chosen: DictConfig | None = None,
    scenario: str | None = None,
) -> dict[str, Any]:
    """Everything that scores depend on: digests of the weights, data, subset, separator, other metrics or scenario.

    Args:
        weights: target -> digest.
        fingerprint: identifies the data.
        subset: split that is scored.
        separator: its settings.
        chosen: the metrics; None means the usual ones.
        scenario: the source that is scored beside the sum of all others; None scores every source.
    """
    nodes: Any = metrics.DEFAULT if chosen is None else OmegaConf.to_container(chosen)
    others = metrics.that_count(nodes)  # the default has no key: folders of earlier versions keep their names
    return {
        "weights": dict(weights),
        "data": fingerprint,
        "subset": subset,
        "format": FORMAT,
        "separator": OmegaConf.to_container(separator),
        **({} if others is None else {"metrics": others}),
        **({} if scenario is None else {"beside_accompaniment": scenario}),
    }


def folder_name(data: str, matters: Mapping[str, Any]) -> str:
    """Name of an evaluation's folder, `<data>-<subset>-<6 hex>`, from the name of the data and `identifying`."""
    code = hashlib.sha256(json.dumps(matters, sort_keys=True).encode()).hexdigest()[:6]
    return f"{data}-{matters['subset']}-{code}"


def inputs(checkpoints: Sequence[Any], chosen: Mapping[str, str], data: Any, plugins: Sequence[str]) -> dict[str, Any]:
    """Content of inputs.json; empty when a checkpoint is not a file of our format.

    Args:
        checkpoints: all that `ckpt` named.
        chosen: target -> path of the one that estimates it.
        data: configuration of the data that they were trained on.
        plugins: packages that a command must name to load them.
    """
    if not all(item.stamp for item in checkpoints):
        return {}
    files = {str(item.path.resolve()): list(item.stamp) for item in checkpoints}
    return {"files": files, "chosen": dict(chosen), "data": data, "plugins": list(plugins)}


def show(cfg: DictConfig) -> bool:
    """Print the scores that an evaluation command asks for, if a finished evaluation certainly holds them.

    Returns:
        Whether it did; if not, the command has to locate and read everything.
    """
    path = find(cfg)
    if path is None:
        return False
    summary, read = _read(path / "summary.json"), _read(path / INPUTS)
    if len(read["files"]) > len(set(read["chosen"].values())):
        for target, file in read["chosen"].items():
            print(f"{target}: {file} has the lowest val/loss")  # noqa: T201
    stored = from_json(summary)
    print_table(stored.overall, stored.num_tracks, definitions=stored.definitions)
    print(f"report: {path / 'report.html'}")  # noqa: T201
    if cfg.evaluation.save_estimates:
        print(f"stems:  {path / 'estimates'}")  # noqa: T201
    print(next_step())  # noqa: T201
    return True


def next_step() -> str:
    """What one would type after an evaluation: to hear what it scored."""
    return next_steps.script("listen", *next_steps.from_command_line("ckpt", "data", "subset", "paths"))


def find(cfg: DictConfig) -> Path | None:
    """Find the finished evaluation that a command asks for; None when there is none, or when it takes more to know.

    It takes more for loggers, several separators side by side, comparisons, and files in other formats than ours.
    """
    if cfg.logger or cfg.evaluation.compare or cfg.evaluation.residual:
        return None
    ckpt: Any = OmegaConf.to_container(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    if isinstance(ckpt, list) and len(ckpt) == 1:
        (ckpt,) = ckpt
    named = [own_files(str(entry)) for entry in (ckpt if isinstance(ckpt, list) else [ckpt])]
    if not all(named):
        return None
    files = {str(file.resolve()): stamp(file) for entry in named for file in entry}
    if isinstance(ckpt, str) and len(paths := paths_of(ckpt)) == 1:
        (ckpt,) = paths
    is_path = isinstance(ckpt, Path)
    parent = Path(ckpt) / "eval" if is_path and Path(ckpt).is_dir() else Path(cfg.paths.out) / "evaluations"
    method = Path(ckpt).resolve().name if is_path else "checkpoints"
    for path in sorted(parent.glob(f"*/{INPUTS}")):
        read = _read(path)
        is_read = read["files"] == files and read["plugins"] == list(cfg.plugins or ())
        if is_read and _holds(path.parent, read, method, cfg):
            return path.parent
    return None


def is_current(path: Path) -> bool:
    """Whether the checkpoint files behind an evaluation are still those that were read; False when it is not known."""
    if not (path / INPUTS).is_file():
        return False
    files = {Path(file): then for file, then in _read(path / INPUTS).get("files", {}).items()}
    return bool(files) and all(file.is_file() and stamp(file) == then for file, then in files.items())


def _holds(path: Path, read: Mapping[str, Any], method: str, cfg: DictConfig) -> bool:
    """Whether a folder with the right weights is the finished evaluation that a command asks for."""
    now = status.read(path)
    data: Any = read["data"]
    if now is None or now.state != "done" or not (path / "summary.json").is_file() or data is None:
        return False
    if cfg.data:
        trained = set(data)
        data = OmegaConf.to_container(cfg.data, resolve=True)
        if not set(data) <= trained | {"prepare", "download"}:
            return False  # a key that the data module may not take
    summary = _read(path / "summary.json")
    splits = _scan(data, Path(cfg.paths.data).expanduser())
    if splits is None or from_json(summary).method != method or set(summary["weights"]) != set(read["chosen"]):
        return False
    settings = cfg.subset, cfg.separator, cfg.metrics, cfg.evaluation.scenario
    matters = identifying(summary["weights"], splits.fingerprint(), *settings)
    tracks = getattr(splits, cfg.subset, ())
    stores = [path / name / f"{track.name}.json" for track in tracks for name in ("tracks", "mixture")]
    is_same = bool(stores) and path.name == folder_name(data["name"], matters)
    return is_same and not summary["published"] and all(store.is_file() for store in stores)


def _scan(data: Mapping[str, Any], cache: Path) -> Splits | None:
    """Scan a data set as its data module does; None when it is not prepared, has errors, or is of another class."""
    needed = ("root", "name", "layout", "validation_tracks", "sample_rate", "sources")
    if data.get("_target_") != DATA_MODULE or any(name not in data for name in needed):
        return None
    try:
        data_set = library.from_settings(data, cache)
        scanned = data_set.scan if data_set.is_prepared else None
    except (OSError, ValueError):
        return None  # the data module finds the same, and says what to do
    return None if scanned is None or scanned.errors else scanned.splits


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
