"""Hyperparameters in which runs differ, read from their configurations."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

# Keys of a configuration that get no column: they tell where or how a run was made, not what it is.
UNINTERESTING = (
    *("target", "seed", "run_dir", "sweep_name", "paths", "logger", "callbacks", "separator", "evaluation"),
    *("plugins", "checkpoint", "on_busy", "retry", "fresh", "dry_run", "slots", "fail_fast"),
)
UNINTERESTING_NESTED = (
    "data.allow_changed",
    "data.num_workers",
    "data.storage",
    "data.validation_tracks",  # names of the data set's tracks, too long for a cell
    "trainer.cpu_processes",
    "trainer.log_every_n_steps",
    "trainer.num_nodes",
    "data.root",
    "data.download",
    "data.cache",
    "data.seed",
    "data.prepare",
    "trainer.gpus",
    "model.targets",
    "data.target",  # in runs of before 2026-12
)


def differing(configs: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Select the settings whose value is not the same in all runs.

    Args:
        configs: name of a run -> its configuration.
    Returns:
        Name of a run -> dotted name of a setting -> value, None in a run that lacks it.
    """
    flat = {run: dict(_flat(config)) for run, config in configs.items()}
    names = dict.fromkeys(name for settings in flat.values() for name in settings)
    chosen = [name for name in names if len({repr(settings.get(name)) for settings in flat.values()}) > 1]
    return {run: {name: settings.get(name) for name in chosen} for run, settings in flat.items()}


def shared(settings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Select the settings that have the same value in all given runs; empty for no run."""
    first, *others = settings or [{}]
    return {name: value for name, value in first.items() if all(other[name] == value for other in others)}


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
