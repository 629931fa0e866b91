"""The identity of an experiment: a hash of everything in its configuration that can change the result.

The hash is taken of the resolved configuration, not of the overrides: an edited default is a new experiment, and the
same command finds its own run again.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf

from unmix import errors
from unmix.interpolations import UNRESOLVED, Resolution, Unusual, resolution, written

# Set to None before interpolation, so that values computed from them are left out too. `target` and `seed` are ignored
# because the runs of one experiment differ in them; the others because they change where or how fast a run trains, not
# its result.
IGNORED = (
    "target",
    "seed",
    "plugins",
    "run_dir",
    "sweep_name",
    "paths",
    "checkpoint",
    "on_busy",
    "retry",
    "fresh",
    "dry_run",
    "slots",
    "fail_fast",
    "logger",
    "separator",
    "evaluation",
    "metrics",
    "data.root",
    "data.download",
    "data.cache",
    "data.layout",
    "data.allow_changed",
    "data.storage",
    "data.num_workers",
    "trainer.gpus",
    "trainer.num_nodes",
    "trainer.cpu_processes",
    "trainer.log_every_n_steps",
)
# Keys that were added later, ignored at the value that keeps the earlier behaviour, so that earlier ids stay the same.
IGNORED_IF_DEFAULT: dict[str, Any] = {
    "data.sources": ["vocals", "drums", "bass", "other"],
    "data.rename": {},
    "data.repeat_epoch": False,
    "data.augmentations": ["gain", "swap"],
    "data.track_weights": "uniform",
    "trainer.matmul_precision": "highest",
}
# The same for arguments of classes; another class may have one of that name with another default.
_UMX: dict[str, Any] = {"mask": "relu", "trainable_statistics": True}
IGNORED_IF_DEFAULT_OF: dict[str, dict[str, Any]] = {
    "unmix.models.open_unmix.UMX": _UMX,
    "unmix.models.x_umx.XUMX": _UMX,
    "unmix.training.objectives.ComplexRmse": {"window": "hann", "normalized": False},
    "unmix.training.objectives.MultiResolutionStft": {"min_fft_size": 1, "spectral_weight": 1.0},
}
# Data set -> value of `data.prepare` that it had until it got `data.download`: it stays in the ids of its experiments.
FORMER_PREPARE = {"musdb18_preview": {"_target_": "unmix.data.library.download_preview", "_partial_": True}}
# A longer run of the same experiment continues it. These are left out after interpolation, as a learning rate schedule
# that depends on the length does change the result.
LENGTHS = ("trainer.max_epochs", "trainer.max_steps", "trainer.max_time")
# The only callbacks that change the result.
CALLBACKS_THAT_COUNT = ("early_stopping", "ema")


def experiment_id(cfg: DictConfig) -> str:
    """Compute the id of an experiment, `<name>-<8 hex>`; it ignores the order of keys, and 1 equals 1.0."""
    return _id_of(written(cfg))


def _id_of(content: Mapping[str, Any]) -> str:
    """Compute the id of an experiment from the plain containers of its configuration, with their interpolations."""
    selected = _included(content)
    canonical = json.dumps(selected, sort_keys=True, separators=(",", ":"))
    return f"{selected['name']}-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"


def included(cfg: DictConfig) -> dict[str, Any]:
    """Select the part of a configuration that identifies its experiment, resolved and normalised."""
    return _included(written(cfg))


def _included(written_content: Mapping[str, Any]) -> dict[str, Any]:
    content = {key: value for key, value in written_content.items() if key != "hydra"}
    callbacks = content.get("callbacks") or {}
    content["callbacks"] = {name: callbacks[name] for name in CALLBACKS_THAT_COUNT if name in callbacks}
    for key in IGNORED:
        _change(content, key, _blank)
    content = _resolved_without_target(content)
    for key in (*IGNORED, *LENGTHS):
        _change(content, key, lambda _: None)
    for key, default in (*IGNORED_IF_DEFAULT.items(), *_defaults_of_classes(content)):
        _change(content, key, lambda value, default=default: None if value == default else value)
    if content["data"]["name"] in FORMER_PREPARE:
        content["data"]["prepare"] = FORMER_PREPARE[content["data"]["name"]]
    normalised: dict[str, Any] = _normalised(content)
    return normalised


def _defaults_of_classes(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield key and default of the arguments of model and objective that were added later."""
    for node in ("model", "objective"):
        added = IGNORED_IF_DEFAULT_OF.get((content.get(node) or {}).get("_target_", ""), {})
        yield from ((f"{node}.{argument}", default) for argument, default in added.items())


def _resolved_without_target(content: dict[str, Any]) -> dict[str, Any]:
    """Convert plain containers with interpolations to containers without."""

    def unusual(*_: Any) -> Any:
        raise Unusual

    try:
        return Resolution(content, {"targets": RESOLVERS["targets"]}, unusual).everything()
    except UNRESOLVED:
        return OmegaConf.to_container(OmegaConf.create(content), resolve=True)  # type: ignore[return-value]


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """Convert a configuration to plain containers; returns and raises what `OmegaConf.to_container` does."""
    try:
        return resolution(cfg, RESOLVERS).everything()
    except UNRESOLVED:
        return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def value_of(cfg: DictConfig, key: str) -> Any:
    """Return the value at a dotted key, in plain containers; raises what OmegaConf does."""
    try:
        return resolution(cfg, RESOLVERS).get(key)
    except UNRESOLVED:
        node = OmegaConf.select(cfg, key, throw_on_missing=True)
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node


def _change(content: dict[str, Any], key: str, change: Any) -> None:
    """Replace the value at a dotted key by `change(value)`, in place; do nothing when there is no such key.

    Mappings within `content` are replaced by changed copies.
    """
    first, _, rest = key.partition(".")
    if first not in content:
        return
    if not rest:
        content[first] = change(content[first])
    elif isinstance(content[first], dict):
        content[first] = {**content[first]}
        _change(content[first], rest, change)


def _blank(value: Any) -> Any:
    """Replace a value with None, or every leaf of a mapping: keys stay, as other values may interpolate them."""
    return {key: _blank(child) for key, child in value.items()} if isinstance(value, dict) else None


def _normalised(value: Any) -> Any:
    """Copy of a value in which 512.0 is 512, and mappings lack the keys whose value is None."""
    if isinstance(value, dict):
        return {str(key): _normalised(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [_normalised(child) for child in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


ALL = "all"


def targets_of(target: Any, sources: Sequence[str]) -> list[str]:
    """List the sources that `target` names, in the order of the data's sources.

    Args:
        target: a name, a list of names, or `all`.
        sources: names of the sources of the data.
    """
    if target == ALL:
        return list(sources)
    names = [target] if isinstance(target, str) else [str(name) for name in target or ()]
    known = [name for name in sources if name in names]
    return known if sorted(known) == sorted(names) else names  # `check_targets` refuses unknown and repeated names


def check_targets(target: Any, sources: Sequence[str]) -> None:
    """Check that `target` names sources of the data.

    Raises:
        ValueError: when it is empty, names a source twice, or one that the data does not have.
    """
    names = targets_of(target, sources)
    if not names:
        raise ValueError(f"target: got {target!r}, allowed {', '.join(sources)}, a list of these, or {ALL}")
    for name in names:
        if name not in sources:
            raise ValueError(errors.unknown("target", name, [*sources, ALL]))
    if len(set(names)) < len(names):
        raise ValueError(f"target: got {', '.join(names)}, which names a source twice")


def run_name(target: Any, seed: Any, sources: Sequence[str]) -> str:
    """Name the folder of a run: `vocals-s42`, `vocals+drums-s42`, `all-s42`."""
    return f"{target_name(target, sources)}-s{seed}"


def target_name(target: Any, sources: Sequence[str]) -> str:
    """Name what `target` names in one word: `vocals`, `vocals+drums`, `all`."""
    names = targets_of(target, sources)
    return ALL if len(names) > 1 and sorted(names) == sorted(sources) else "+".join(names)


def _targets(values: Resolution) -> list[str] | None:
    target = values.get("target")  # None where the identity of an experiment is computed
    return None if target is None else targets_of(target, values.get("data.sources"))


def _run_name(values: Resolution) -> str:
    return run_name(values.get("target"), values.get("seed"), values.get("data.sources"))


# The resolvers below, for plain containers.
RESOLVERS: dict[str, Callable[[Resolution], Any]] = {
    "exp_id": lambda values: _id_of(values.content),
    "targets": _targets,
    "run_name": _run_name,
}


def register_resolvers() -> None:
    """Register `${exp_id:}`, `${targets:}` and `${run_name:}` for use in configuration files."""

    def targets(*, _root_: Any) -> ListConfig | None:
        # the identity of an experiment is computed without a target
        return None if _root_.get("target") is None else ListConfig(targets_of(_root_.target, _root_.data.sources))

    def name(*, _root_: Any) -> str:
        return run_name(_root_.target, _root_.seed, _root_.data.sources)

    OmegaConf.register_new_resolver("exp_id", lambda *, _root_: experiment_id(_root_), replace=True)
    OmegaConf.register_new_resolver("targets", targets, replace=True)
    OmegaConf.register_new_resolver("run_name", name, replace=True)
