"""Candidates: the separators to evaluate or listen to, as named by the option `ckpt` of evaluate.py and listen.py."""

import glob
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from unmix import finished, plugins
from unmix.data.tracks import SOURCES, Track
from unmix.evaluation.estimates import RESIDUAL
from unmix.evaluation.oracle_names import is_oracle, method_of, oracle_of
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.separation import MakeTest, ModelsTest, OracleTest, SeparationTest, check_format
from unmix.identity import target_name
from unmix.runs import provenance
from unmix.runs.inspection import num_parameters
from unmix.weights import checkpoint
from unmix.weights.checkpoint import Checkpoint
from unmix.weights.find import best_of, distinct, load, read_all

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A separator to evaluate.

    Args:
        method: name in tables.
        targets: names of the estimated sources.
        data: configuration of the data it was trained on; None when unknown.
        config: what the trainings of its weights logged and have in common, see `provenance.logged`.
        weights: target -> digest of its weights; {"oracle": name} for an oracle.
        inputs: what chose these weights, see `finished.inputs`; empty when that is unknown.
        paths: target -> path of its checkpoint, for the report.
        test: loads the weights and makes the test module.
        parent: folder for its evaluations.
        parameters: number of trainable parameters; None for an oracle.
        audio: sample rate in Hz and number of channels that its models take; None for an oracle, which takes any.
    """

    method: str
    targets: list[str]
    data: Any
    config: dict[str, Any]
    weights: dict[str, str]
    inputs: dict[str, Any]
    paths: dict[str, str]
    test: MakeTest
    parent: Path
    parameters: int | None = None
    audio: tuple[int, int] | None = None

    def check(self, tracks: Sequence[Track]) -> None:
        """Check that it takes tracks of their format; raises ValueError otherwise."""
        if self.audio is not None:
            check_format(tracks, *self.audio)


def candidates(cfg: DictConfig) -> list[Candidate]:
    """Find all candidates that `cfg.ckpt` names.

    Entries of a list are one candidate each if all of them have models for every source; otherwise they are joined into
    one. Of the paths that match a pattern, those with models for every source are one candidate each and the others are
    left out with a warning; if there are none of the former, all are joined.

    Raises:
        FileNotFoundError: when there is no checkpoint.
        ValueError: on an unknown oracle, or a separator that lacks a target.
    """
    ckpt: Any = OmegaConf.to_container(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt
    if isinstance(ckpt, list) and len(ckpt) == 1:
        (ckpt,) = ckpt
    given = ckpt if isinstance(ckpt, list) else _matches(ckpt)
    # a pattern with one match is that path, so that its evaluation is found again under either name
    entries = [matches[0] if len(matches := _matches(str(entry))) == 1 else str(entry) for entry in given]
    is_pattern = isinstance(ckpt, str) and len(entries) > 1
    checkpoints = {entry: _read(entry, can_be_nothing=is_pattern) for entry in entries}
    if is_pattern and not any(checkpoints.values()):
        read_all(ckpt)  # raises, naming the files it looked for
    if len(entries) > 1 and not cfg.evaluation.residual:
        lacking = {entry: [] if is_oracle(entry) else _lacks(checkpoints[entry]) for entry in entries}
        whole = [entry for entry in entries if not lacking[entry]]
        if len(whole) == len(entries) or (whole and is_pattern):
            for entry in entries:
                if lacking[entry]:
                    log.warning("%s: left out, it lacks %s", entry, ", ".join(lacking[entry]))
            return _unlike_names([candidate(cfg, entry, checkpoints[entry]) for entry in whole], whole)
    joined = entries[0] if len(entries) == 1 else ckpt
    return [candidate(cfg, joined, [item for entry in entries for item in checkpoints[entry]])]


def each_entry(cfg: DictConfig) -> list[Candidate]:
    """Find one candidate per entry of `cfg.ckpt`, whichever targets it has; the entries of a pattern are its matches.

    An oracle estimates the sources of `cfg.data`, or else of the data that the first of the others was trained on.

    Raises:
        FileNotFoundError, ValueError: as `candidates`.
    """
    given = [str(entry) for entry in (cfg.ckpt if OmegaConf.is_list(cfg.ckpt) else [cfg.ckpt])]
    entries = list(dict.fromkeys(entry for item in given for entry in _matches(item)))
    checkpoints = {entry: _read(entry, can_be_nothing=entry not in given) for entry in entries}
    entries = [entry for entry in entries if checkpoints[entry] or is_oracle(entry)]
    if not entries:
        read_all(given)  # raises, naming the files it looked for
    own = {entry: candidate(cfg, entry, read, may_lack=True) for entry, read in checkpoints.items() if read}
    if not cfg.data and (data := next((item.data for item in own.values() if item.data), None)):
        cfg = OmegaConf.merge(cfg, {"data": data})  # type: ignore[assignment]
    return _unlike_names([own.get(entry) or candidate(cfg, entry, []) for entry in entries], entries)


def candidate(
    cfg: DictConfig,
    ckpt: Any,
    checkpoints: Sequence[Checkpoint],
    method: str | None = None,
    parent: Path | None = None,
    *,
    may_lack: bool = False,
) -> Candidate:
    """Make one candidate.

    Args:
        cfg: has `separator`, `evaluation` and `paths.out`, for an oracle also `data`.
        ckpt: entry of `cfg.ckpt`, or several to join.
        checkpoints: all that `ckpt` names.
        method: name in tables; None is the file name of `ckpt`.
        parent: folder for its evaluations; None is `eval` in `ckpt` if that is a folder, else a folder of `paths.out`.
        may_lack: whether a source may lack a model.
    Raises:
        FileNotFoundError, ValueError: as `candidates`.
    """
    parent = parent or Path(cfg.paths.out) / "evaluations"
    if isinstance(ckpt, str) and is_oracle(ckpt):
        return _oracle(cfg, ckpt, parent)
    if method is None:
        parent = Path(ckpt) / "eval" if isinstance(ckpt, str) and Path(ckpt).is_dir() else parent
        method = Path(ckpt).resolve().name if isinstance(ckpt, str) and not _is_pattern(ckpt) else "checkpoints"
    residual = not may_lack and bool(cfg.evaluation.residual)
    located = best_of(checkpoints) if may_lack else _complete(ckpt, checkpoints, residual)
    trusted = plugins.check(cfg.get("plugins"))
    models = [checkpoint.check_model(item, trusted) for item in distinct(located.values())]
    size, audio = sum(map(num_parameters, models)), (models[0].sample_rate, models[0].num_channels)
    settings: dict[str, Any] = OmegaConf.to_container(cfg.separator)  # type: ignore[assignment]
    exact_seconds = settings.pop("exact_seconds")
    targets = [name for name in _sources(located.values()) if name in located]

    def test(tracks: Sequence[Track], where: EvaluationFolder) -> SeparationTest:
        chosen = {target: located[target] for target in targets}
        separator = load(chosen, plugins=trusted, residual=residual, **settings)
        return ModelsTest(separator, tracks, where, exact_seconds)

    digests = {(item.path, item.targets): checkpoint.digest(item.state) for item in distinct(located.values())}
    weights = {target: digests[item.path, item.targets] for target, item in located.items()}
    if residual:
        weights["residual"], method = "mixture - the others", f"{method}, {' + '.join((*targets, RESIDUAL))}"
    paths = {target: str(item.path) for target, item in located.items()}
    own = (item.config["data"] for item in located.values() if item.config["data"]["root"] is not None)
    data = next(own, None)  # None for Open-Unmix's own files
    if data is not None:
        plugins.check_classes(data, "ckpt: data", trusted)
    read = finished.inputs(checkpoints, paths, data, trusted)
    return Candidate(method, targets, data, _config(located, targets), weights, read, paths, test, parent, size, audio)


def _config(located: Mapping[str, Checkpoint], targets: Sequence[str]) -> dict[str, Any]:
    """Select what the trainings of all checkpoints logged and have in common; `target` names all that they estimate."""
    config = provenance.shared([provenance.logged(item.config, item.record) for item in distinct(located.values())])
    return {**config, "target": target_name(targets, _sources(located.values()))}


def _oracle(cfg: DictConfig, ckpt: str, parent: Path) -> Candidate:
    name = oracle_of(ckpt)
    targets = list(cfg.data.get("sources", SOURCES)) if cfg.data else list(SOURCES)
    return Candidate(
        method_of(name),
        targets,
        data=None,
        config={},
        weights={"oracle": name},
        inputs={},
        paths={},
        test=lambda *args: OracleTest(name, targets, *args),
        parent=parent,
    )


def _is_pattern(ckpt: str) -> bool:
    return not Path(ckpt).exists() and glob.has_magic(ckpt)


def _matches(ckpt: str) -> list[str]:
    """List the paths that match a pattern; anything else, and a pattern without a match, stands for itself."""
    return (_is_pattern(ckpt) and sorted(glob.glob(ckpt))) or [ckpt]  # noqa: PTH207 - Path.glob takes no absolute one


def _read(entry: str, *, can_be_nothing: bool) -> list[Checkpoint]:
    """Read the checkpoints that an entry of `ckpt` names; empty for an oracle, or for no match if `can_be_nothing`."""
    if is_oracle(entry):
        return []
    try:
        return read_all(entry)
    except FileNotFoundError:
        if can_be_nothing:  # a pattern also matches other folders, and experiments without a checkpoint yet
            return []
        raise


def _lacks(checkpoints: Sequence[Checkpoint]) -> list[str]:
    """List the sources that no checkpoint estimates; the word `checkpoints` when there are none."""
    targets = {target for item in checkpoints for target in item.targets}
    return [name for name in _sources(checkpoints) if name not in targets] if checkpoints else ["checkpoints"]


def _unlike_names(candidates: list[Candidate], entries: list[str]) -> list[Candidate]:
    """Rename candidates to their entries of `ckpt` if their short names are not unique."""
    if len({candidate.method for candidate in candidates}) == len(candidates):
        return candidates
    return [replace(candidate, method=entry) for candidate, entry in zip(candidates, entries, strict=True)]


def _complete(ckpt: Any, checkpoints: Sequence[Checkpoint], residual: bool) -> dict[str, Checkpoint]:
    """Choose a checkpoint per target; raises ValueError when a source lacks one, or with `residual` when none does."""
    by_target = best_of(checkpoints)
    missing = _lacks(checkpoints)
    if residual and not missing:
        raise ValueError(f"evaluation.residual: got true, but {ckpt} holds all targets, which leave nothing")
    if missing and not residual:
        held = ", ".join(_with_sdr(target, item) for target, item in by_target.items())
        raise ValueError(
            f"ckpt: {ckpt} holds {held} and lacks {', '.join(missing)}; museval scores all together: "
            f"train the rest with the same options and -m target={','.join(missing)}, or score what is left "
            "as one source, which gives other numbers: evaluation.residual=true"
        )
    return by_target


def _with_sdr(target: str, item: Checkpoint) -> str:
    """Format a target with the validation SDR of its checkpoint, for messages."""
    return f"{target} (val/sdr {item.metrics['val/sdr']:.2f} dB)" if "val/sdr" in item.metrics else target


def _sources(checkpoints: Iterable[Checkpoint]) -> list[str]:
    """Names of the sources of the data that the first model was trained on."""
    return list(next(iter(checkpoints)).config["data"].get("sources", SOURCES))
