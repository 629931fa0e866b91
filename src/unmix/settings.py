"""Which values every setting with a fixed meaning may have: one table per node of a configuration.

This module does not import torch, so that a mistake is answered within a second or two. Models, objectives, optimisers,
schedules, callbacks and loggers are classes that a user chooses: their own constructors check their values, those of
Open-Unmix by the tables here.
"""

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from unmix import errors
from unmix.augmentation_settings import PROBABILITY, check_augmentations, check_track_weights
from unmix.checks import (
    Check,
    count_or_word,
    either,
    flag,
    folder_name,
    groups,
    integer,
    interval,
    number,
    optional,
    spelling,
    text,
    texts,
    word,
)
from unmix.trainer_checks import device_indices, limit, share_or_count, time_limit

FILTERS = ("torch", "norbert")  # implementations of the Wiener filter
WHOLE = "whole"
SHORTEST_EXACT_SECONDS = 60
ON_BUSY = ("wait", "skip", "fail")
# Names of `data.layouts.detection.LAYOUTS`; auto is the one that fits, folders the former name of musdb.
LAYOUTS = ("auto", "musdb", "stems", "moisesdb", "csv", "sources", "tracks", "aligned", "folders")
PUBLISHED = ("musdb18hq", "musdb18", "musdb18_preview")  # names of `data.download.ARCHIVES`
STORAGES = ("auto", "disk", "gpu")
WEBMUSHRA = "webmushra"  # format of listening tests
LOUDNESS = -23.0  # LUFS of their clips, when nothing else is asked for
SUBSETS = ("train", "valid", "test")
ENGINES = ("torch", "museval")
MATMUL_PRECISIONS = ("highest", "high", "medium")  # torch's names
# Lightning's names, without bf16-true and 16-true: waveforms would have 8 or 11 bits, and torch no STFT for them.
# `training.trainer` refuses those that the device cannot do.
PRECISIONS = ("32-true", "bf16-mixed", "16-mixed", "64-true", "32", "bf16", "16", "64")
LARGEST_SEED = 2**32 - 1  # NumPy's


def one_of(*words: str) -> Check:
    """Make a check that accepts some words."""
    return partial(word, allowed=words)


def _storage(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value == "ram":
        raise ValueError(
            f"{name}: got 'ram', which was removed, as the system keeps files that were read in memory: "
            f"use {name}=disk, which changes no sample"
        )
    return word(name, value, allowed)


def data_root(name: str, value: Any) -> str:
    """Check the folder of a data set; an empty environment variable MUSDB_PATH is named. Raises as `text`."""
    if value == "" and os.environ.get("MUSDB_PATH") == "":
        raise ValueError(f"{name}: the environment variable MUSDB_PATH is empty; set it, or {name}=/path/to/musdb18hq")
    return text(name, value)


_text_or_texts = either(text, texts)
COUNT, FROM_ZERO = partial(integer, least=1), partial(integer, least=0)
SEED = partial(integer, least=0, most=LARGEST_SEED)
POSITIVE = partial(number, above=0)

TABLES: dict[str, dict[str, Check]] = {
    "": {
        "name": folder_name,
        "seed": SEED,
        "target": _text_or_texts,
        "plugins": optional(either(text, partial(texts, may_be_empty=True))),
        "init_from": optional(_text_or_texts),
        "ckpt": _text_or_texts,
        "on_busy": one_of(*ON_BUSY),
        "slots": partial(count_or_word, allowed=("auto",), noun="jobs at a time"),
        "run_dir": text,
        "sweep_name": text,
        "subset": one_of(*SUBSETS),
        "retry": flag,
        "fresh": flag,
        "dry_run": flag,
        "fail_fast": flag,
        "input": _text_or_texts,
        "out": optional(text),
        "targets": optional(_text_or_texts),
        "aggregate": optional(groups),
        "residual": flag,
        "start": partial(number, least=0),
        "duration": optional(POSITIVE),
        "gpus": optional(device_indices),
        "overwrite": flag,
        "listen": flag,
        "report": optional(text),
        "sort": optional(text),
        "group": optional(text),
        "entity": optional(text),
        "project": text,
        "title": text,
        "save": flag,
    },
    "paths": {"out": text, "data": text},
    "checkpoint": {"every_minutes": partial(number, least=0)},
    "trainer": {
        "gpus": optional(device_indices),
        "num_nodes": COUNT,
        "cpu_processes": COUNT,
        "max_epochs": limit,
        "max_steps": limit,
        "max_time": optional(time_limit),
        "precision": partial(spelling, allowed=PRECISIONS),
        "matmul_precision": one_of(*MATMUL_PRECISIONS),
        "gradient_clip_val": optional(POSITIVE),
        "gradient_clip_algorithm": optional(one_of("norm", "value")),
        "accumulate_grad_batches": COUNT,
        "sync_batchnorm": flag,
        "detect_anomaly": flag,
        "limit_train_batches": optional(share_or_count),
        "limit_val_batches": optional(share_or_count),
        "log_every_n_steps": COUNT,
        "check_val_every_n_epoch": COUNT,
    },
    "data": {
        "root": optional(data_root),
        "download": flag,
        "name": text,
        "sources": texts,
        "layout": one_of(*LAYOUTS),
        "rename": optional(groups),
        "other": optional(one_of("rest")),
        "absent": optional(one_of("silence", "skip")),
        "validation_tracks": optional(partial(texts, may_be_empty=True)),
        "validation_share": optional(partial(number, above=0, below=1)),
        "sample_rate": COUNT,
        "segment_seconds": POSITIVE,
        "samples_per_track": COUNT,
        "batch_size": COUNT,
        "random_mix": flag,
        "gain": partial(interval, least=0),
        "swap_probability": PROBABILITY,
        "augmentations": check_augmentations,
        "track_weights": check_track_weights,
        "num_workers": FROM_ZERO,
        "storage": partial(_storage, allowed=STORAGES),
        "cache": optional(text),
        "allow_changed": flag,
        "repeat_epoch": flag,
        "seed": SEED,
    },
    "separator": {
        "niter": optional(FROM_ZERO),
        "softmask": flag,
        "residual": flag,
        "wiener": one_of(*FILTERS),
        "window": partial(count_or_word, allowed=(WHOLE,), noun="frames"),
        "exact_seconds": partial(number, least=SHORTEST_EXACT_SECONDS),
        "chunk_seconds": optional(POSITIVE),
        "overlap": partial(number, least=0, most=0.5),
        "chunk_batch": COUNT,
    },
    "evaluation": {
        "engine": one_of(*ENGINES),
        "workers": FROM_ZERO,
        "compare": optional(_text_or_texts),
        "residual": flag,
        "scenario": optional(text),
        "save_estimates": flag,
        "after_training": flag,
        "gpus": optional(device_indices),
        "cpu_processes": COUNT,
    },
}


# Arguments of the constructors of Open-Unmix and of the STFT, which check themselves what depends on several of them.
OPEN_UNMIX: dict[str, Check] = {
    "hidden_size": COUNT,
    "num_layers": COUNT,
    "num_channels": COUNT,
    "dropout": partial(number, least=0, below=1),
    "bidirectional": flag,
    "trainable_statistics": flag,
    "mask": one_of("relu", "sigmoid"),
}
STFT: dict[str, Check] = {
    "fft_size": COUNT,
    "hop_size": COUNT,
    "center": flag,
    "window": one_of("hann", "rectangular"),
    "normalized": flag,
    "window_size": optional(COUNT),
}


def check_arguments(table: Mapping[str, Check], **values: Any) -> None:
    """Check arguments by their names in a table; raises ValueError naming the first that is not allowed."""
    for name, value in values.items():
        table[name](name, value)


def check(node: str, values: Mapping[str, Any], *, is_complete: bool = False) -> None:
    """Check the values of a node that its table knows.

    Args:
        node: name of the node, one of `TABLES`; empty for the top level.
        values: values by key, without configuration objects.
        is_complete: whether keys that the table lacks are refused.
    Raises:
        ValueError: on a value of the wrong type or out of range, naming `<node>.<key>`.
    """
    table = TABLES[node]
    for key, value in values.items():
        name = f"{node}.{key}" if node else str(key)
        if key not in table:
            if is_complete:
                raise ValueError(errors.unknown(name, key, table))
        elif not is_interpolation(value):
            table[key](name, value)


def is_interpolation(value: Any) -> bool:
    """Tell whether a value is an interpolation of OmegaConf that has not been resolved."""
    return isinstance(value, str) and "${" in value
