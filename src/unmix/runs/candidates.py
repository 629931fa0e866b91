"""What `ckpt` of evaluate.py names: one separator, made of one network a target, or several side by side."""

import glob
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.data.tracks import SOURCES, Track
from unmix.evaluation.estimates import RESIDUAL
from unmix.evaluation.oracle import ORACLES
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import MakeTest, NetworksTest, OracleTest, SeparationTest
from unmix.models import checkpoint
from unmix.models.checkpoint import Checkpoint
from unmix.models.separator import find_checkpoints, load_separator

log = logging.getLogger(__name__)

ORACLE = "oracle:"  # what an entry of `ckpt` begins with then


@dataclass(frozen=True)
class Candidate:
    """What is evaluated.

    Args:
        method: its name in tables.
        targets: of its estimates.
        data: configuration of the data it knows; None when it knows none.
        weights: a digest per target, or what else tells it from others.
        said: where it comes from.
        test: makes what separates.
        parent: folder of its evaluations.
    """

    method: str
    targets: list[str]
    data: Any
    weights: dict[str, str]
    said: dict[str, str]
    test: MakeTest
    parent: Path


def candidates(cfg: DictConfig) -> list[Candidate]:
    """All that `cfg.ckpt` names.

    Entries of a list that hold all targets, each by itself, are one candidate each; so are those that a pattern
    matches, and what else it matches is left out with a warning. Other entries together make one.

    Raises:
        FileNotFoundError: when nothing is there.
        ValueError: on an unknown oracle, or one separator that lacks a target.
    """
    ckpt: Any = OmegaConf.to_container(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    entries = [str(one) for one in (ckpt if isinstance(ckpt, list) else _matches(ckpt))]
    if len(entries) > 1 and not cfg.evaluation.residual:
        lacking = {entry: _lacks(entry, can_be_nothing=isinstance(ckpt, str)) for entry in entries}
        whole = [entry for entry in entries if not lacking[entry]]
        if len(whole) == len(entries) or (whole and isinstance(ckpt, str)):
            for entry in entries:
                if lacking[entry]:
                    log.warning("%s: left out, it lacks %s", entry, ", ".join(lacking[entry]))
            return _unlike_names([candidate(cfg, entry) for entry in whole], whole)
    return [candidate(cfg, ckpt)]


def candidate(cfg: DictConfig, ckpt: Any, method: str | None = None, parent: Path | None = None) -> Candidate:
    """One separator; `cfg` has `separator`, `evaluation` and `paths.out`, of an oracle also `data`.

    Raises:
        FileNotFoundError, ValueError: as `candidates`.
    """
    parent = parent or Path(cfg.paths.out) / "evaluations"
    if isinstance(ckpt, str) and ckpt.startswith(ORACLE):
        return _oracle(cfg, ckpt.removeprefix(ORACLE), parent)
    if method is None:
        is_folder = isinstance(ckpt, str) and Path(ckpt).is_dir()
        parent = Path(ckpt) / "eval" if is_folder else parent
        method = Path(ckpt).resolve().name if isinstance(ckpt, str) and not _is_pattern(ckpt) else "checkpoints"
    residual = bool(cfg.evaluation.residual)
    found = _complete(ckpt, residual)
    how: dict[str, Any] = OmegaConf.to_container(cfg.separator)  # type: ignore[assignment]
    exact_seconds, targets = how.pop("exact_seconds"), [one for one in _sources(found) if one in found]

    def test(tracks: Sequence[Track], where: EvaluationFolder) -> SeparationTest:
        return NetworksTest(
            load_separator(ckpt, targets=targets, residual=residual, **how), tracks, where, exact_seconds
        )

    weights = {target: checkpoint.digest(one.state) for target, one in found.items()}
    if residual:
        weights["residual"], method = "mixture - the others", f"{method}, {' + '.join((*targets, RESIDUAL))}"
    said = {target: str(one.path) for target, one in found.items()}
    datas = (one.config["data"] for one in found.values())
    data = next((one for one in datas if one["root"] is not None), None)  # files of Open-Unmix's do not say
    return Candidate(method, targets, data, weights, said, test, parent)


def _oracle(cfg: DictConfig, name: str, parent: Path) -> Candidate:
    if name not in ORACLES:
        raise ValueError(errors.unknown("ckpt", f"{ORACLE}{name}", [f"{ORACLE}{one}" for one in ORACLES]))
    targets = list(cfg.data.get("sources", SOURCES)) if cfg.data else list(SOURCES)
    return Candidate(
        f"oracle-{name}", targets, None, {"oracle": name}, {}, lambda *args: OracleTest(name, targets, *args), parent
    )


def _is_pattern(ckpt: str) -> bool:
    return not Path(ckpt).exists() and glob.has_magic(ckpt)


def _matches(ckpt: str) -> list[str]:
    return sorted(glob.glob(ckpt)) if _is_pattern(ckpt) else [ckpt]  # noqa: PTH207 - Path.glob takes no absolute one


def _lacks(entry: str, *, can_be_nothing: bool) -> list[str]:
    """What this entry by itself does not hold."""
    if entry.startswith(ORACLE):
        return []
    try:
        found = find_checkpoints(entry)
    except FileNotFoundError:
        if can_be_nothing:  # whatever else lies there, and experiments that have just begun
            return ["checkpoints"]
        raise
    return [target for target in _sources(found) if target not in found]


def _unlike_names(found: list[Candidate], entries: list[str]) -> list[Candidate]:
    """Named as they were given where short names would be alike."""
    if len({one.method for one in found}) == len(found):
        return found
    return [replace(one, method=entry) for one, entry in zip(found, entries, strict=True)]


def _complete(ckpt: Any, residual: bool) -> dict[str, Checkpoint]:
    """Checkpoints of all targets: museval scores them together, or not at all; or of some, and a residual."""
    found = find_checkpoints(ckpt)
    missing = [target for target in _sources(found) if target not in found]
    if residual and not missing:
        raise ValueError(f"evaluation.residual: got true, but {ckpt} holds all targets, which leave nothing")
    if missing and not residual:
        held = ", ".join(_with_sdr(one) for one in found.values())
        raise ValueError(
            f"ckpt: {ckpt} holds {held} and lacks {', '.join(missing)}; museval scores all together: "
            f"train the rest with the same options and -m target={','.join(missing)}, or score what is left "
            "as one source, which gives other numbers: evaluation.residual=true"
        )
    return found


def _with_sdr(one: Checkpoint) -> str:
    """A target, and what its training knows of it, which needs no other."""
    return f"{one.target} (val/sdr {one.metrics['val/sdr']:.2f} dB)" if "val/sdr" in one.metrics else one.target


def _sources(found: dict[str, Checkpoint]) -> list[str]:
    """The sources of the data that the networks were trained on."""
    return list(next(iter(found.values())).config["data"].get("sources", SOURCES))
