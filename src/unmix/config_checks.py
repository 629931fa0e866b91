"""Checks of a whole configuration of a command, by the tables of `settings`; does not import torch."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from unmix.checks import Check, either, flag, hidden_size, integer, number, optional, spelling, text, texts
from unmix.settings import (
    COUNT,
    ENGINES,
    FROM_ZERO,
    OPEN_UNMIX,
    POSITIVE,
    PUBLISHED,
    SEED,
    STFT,
    TABLES,
    WEBMUSHRA,
    check,
    is_interpolation,
    one_of,
)

# Keys of the top level that mean something else, or are optional, in one command.
COMMANDS: dict[str, dict[str, Check]] = {
    "check": {"format": one_of("text", "json")},
    "separate": {"format": one_of("wav", "flac"), "bits": partial(spelling, allowed=("16", "24", "float"))},
    "listen": {
        "tracks": either(COUNT, text, texts),
        "seconds": partial(number, least=1, most=600),
        "start": optional(partial(number, least=0)),
        "format": one_of("flac", "mp3", WEBMUSHRA),
        "loudness": partial(number, least=-70, most=0),
        "serve": flag,
        "port": partial(integer, least=0, most=65535),
        "max_upload_mb": partial(number, above=0, most=10_000),
    },
    "export": {"format": one_of("umx", "safetensors")},
    "prepare": {
        "input": optional(text),
        "out": optional(text),
        "download": optional(one_of(*PUBLISHED)),
        "channels": optional(COUNT),
        "licence": optional(text),
        "attribution": optional(text),
    },
    "ratings": {"results": text, "key": text},
    "leaderboard": {"name": optional(text), "serve": flag, "port": partial(integer, least=0, most=65535)},
    "report": {
        "format": one_of("latex", "markdown", "csv", "wandb"),
        "title": optional(partial(text, most=128)),  # which W&B allows
        "metric": optional(text),
        "test_set": optional(text),
        "tracks": one_of("all", "common"),
        "compare": optional(either(text, texts)),
        "figures": optional(one_of("pdf", "svg")),
    },
}
NODES = ("data", "model", "objective", "optimizer", "scheduler", "callbacks", "logger")  # made of classes

CLOSED = ("paths", "checkpoint", "separator", "evaluation")  # nodes without further keys

_adam: dict[str, Check] = {"lr": POSITIVE, "weight_decay": partial(number, least=0), "eps": POSITIVE}

# Classes and functions that conf/ names, and that import torch, do not check their arguments, or only when called.
CLASSES: dict[str, dict[str, Check]] = {
    "torch.optim.Adam": _adam,
    "torch.optim.AdamW": _adam,
    "torch.optim.lr_scheduler.ReduceLROnPlateau": {
        "mode": one_of("min", "max"),
        "factor": partial(number, above=0, below=1),
        "patience": FROM_ZERO,
        "cooldown": FROM_ZERO,
        "min_lr": partial(number, least=0),
    },
    "torch.optim.lr_scheduler.StepLR": {"step_size": COUNT, "gamma": partial(number, above=0, most=1)},
    "pytorch_lightning.callbacks.EarlyStopping": {"patience": FROM_ZERO, "mode": one_of("min", "max")},
    "pytorch_lightning.callbacks.EMAWeightAveraging": {"decay": partial(number, least=0, below=1)},
    "unmix.training.schedules.cosine": {"warmup_epochs": FROM_ZERO, "final": partial(number, least=0)},
    "unmix.evaluation.in_training.MusevalInTraining": {"every_n_epochs": FROM_ZERO},
    "unmix.reports.listening.Listening": {"every_n_epochs": FROM_ZERO},
    "unmix.training.profiling.LargestBatch": {
        "mode": one_of("power", "binsearch"),
        "steps_per_trial": COUNT,
        "init_val": COUNT,
        "max_val": COUNT,
        "max_trials": COUNT,
    },
    "unmix.models.open_unmix.UMX": OPEN_UNMIX,
    "unmix.models.x_umx.XUMX": OPEN_UNMIX,
    "unmix.dsp.stft.Stft": STFT,
    "unmix.evaluation.engines.BssEval": {"engine": one_of(*ENGINES)},
    "unmix.evaluation.energy_ratios.ChunkSdr": {"window_seconds": POSITIVE},
    "unmix.evaluation.energy_ratios.WindowShare": {"window_seconds": POSITIVE},
    "unmix.evaluation.perceptual.LogMagnitudeL1": {
        **{key: STFT[key] for key in ("fft_size", "hop_size")},
        "floor_db": number,
    },
    "unmix.demo.tree.write_tree": {"num_tracks": COUNT, "seconds": partial(number, least=1), "seed": SEED},
}


def check_all(command: str, config: Mapping[str, Any]) -> None:
    """Check every node of a command's configuration that has a table, or names one of `CLASSES`; raises as `check`."""
    own = COMMANDS.get(command, {})
    check("", {key: value for key, value in config.items() if key not in own})
    for key in own:
        own[key](key, config[key])
    for node in NODES:
        if not isinstance(config.get(node), Mapping | None) and not is_interpolation(config[node]):
            raise ValueError(f"{node}: got {config[node]!r}, keys are needed; {node}=... chooses a file of conf/{node}")
    for node in filter(None, TABLES):
        if isinstance(values := config.get(node), Mapping):
            check(node, values, is_complete=node in CLOSED)
        elif values is not None and not is_interpolation(values):
            raise ValueError(f"{node}: got {values!r}, keys are needed: {', '.join(TABLES[node])}")
    if command == "train" and (config.get("callbacks") or {}).get("checkpoints") is None:
        raise ValueError(
            "callbacks.checkpoints: got null, but a run is saved and resumed by it; "
            "checkpoint.every_minutes sets how often it saves"
        )
    for path, values in _nodes("", config):
        for key, value_check in CLASSES.get(str(values.get("_target_")), {}).items():
            if key in values and not is_interpolation(values[key]):
                value_check(f"{path}.{key}", values[key])
        if CLASSES.get(str(values.get("_target_"))) is OPEN_UNMIX:
            size, bidirectional = (values.get(key) for key in ("hidden_size", "bidirectional"))
            if isinstance(size, int):  # neither left out nor an interpolation
                hidden_size(f"{path}.hidden_size", size, bidirectional is True)


def _nodes(path: str, value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every mapping within a value, with its path."""
    if isinstance(value, Mapping):
        yield path, value
        for key, child in value.items():
            yield from _nodes(f"{path}.{key}" if path else str(key), child)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nodes(f"{path}[{index}]", child)
