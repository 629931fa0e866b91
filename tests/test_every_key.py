"""Every key of every configuration, with values of every wrong kind: valid, or refused in a line that names the key."""

import math

import pytest
from omegaconf import DictConfig, OmegaConf, open_dict

from unmix import identity, plugins
from unmix.composition import CONF, check_targets, check_values, compose
from unmix.runs.build import make, make_datamodule
from unmix.runs.inspection import check_callbacks, check_model

WRONG = {
    "word": "no_such_word",
    "negative": -1,
    "zero": 0,
    "nan": math.nan,
    "empty": "",
    "list": ["a", 3],
    "fraction": 1.5,
    "true": True,
    "null": None,
}
# Configurations that together have every key; further down, each file of each group joins those of train.
CONFIGURATIONS = {
    "train": [
        [],
        ["experiment=bs_roformer", "model.layers.features=8", "model.layers.depth=1"],  # built often, so small
        ["data.augmentations=[{shift:{max_seconds:1}}]", "data.track_weights={A Track:2}"],
    ],
    "evaluate": [["ckpt=x"], ["ckpt=x", "data=demo"]],
    "listen": [["ckpt=x"], ["ckpt=x", "data=demo"]],
    "separate": [["ckpt=x", "input=y"]],
    "export": [["ckpt=x"]],
    "check": [["data=demo"]],
    "prepare": [["input=x", "out=y"]],
    "ratings": [["results=x", "key=y"]],
    "leaderboard": [[]],
    "report": [["ckpt=x"]],
    "dashboard": [[]],
}
OTHERWISE = ("hydra", "sweep", "search", "wandb")  # groups with tests of their own
CONFIGURATIONS["train"] += [
    [f"{path.parent.name}={path.stem}"]
    for path in sorted(CONF.glob("*/*.yaml"))
    if path.parent.name not in (*OTHERWISE, "metrics")
]
CONFIGURATIONS["evaluate"] += [[f"metrics={path.stem}", "ckpt=x"] for path in sorted(CONF.glob("metrics/*.yaml"))]
PATH_OR_NULL = {"word", "null"}
NUMBER_FROM_ZERO = {"zero", "fraction"}
DEVICES = {"negative", "zero", "null"}
LIMIT = {"negative"}  # -1: no limit
# Every other value must be refused, but true for a flag. Keys are the end of the path.
VALID = {
    "name": {"word"},
    "leaderboard name": {"word", "null"},
    "seed": {"zero"},
    "init_from": PATH_OR_NULL,
    "plugins": {"null"},
    "run_dir": {"word"},
    "sweep_name": {"word"},
    "ckpt": {"word"},
    "input": {"word"},
    "window_seconds": {"fraction"},
    "floor_db": {"fraction", "negative", "zero"},
    "results": {"word"},
    "key": {"word"},
    "out": PATH_OR_NULL,
    "paths.out": {"word"},
    "paths.data": {"word"},
    "prepare input": PATH_OR_NULL,  # null is refused unless something is fetched
    "prepare download": {"null"},
    "channels": {"null"},
    "licence": PATH_OR_NULL,
    "attribution": PATH_OR_NULL,
    "targets": PATH_OR_NULL,
    "model.targets": set(),
    "aggregate": {"null"},
    "scenario": PATH_OR_NULL,
    "start": NUMBER_FROM_ZERO,
    "duration": {"fraction", "null"},
    "report": PATH_OR_NULL,
    "report metric": PATH_OR_NULL,
    "report title": PATH_OR_NULL,
    "test_set": PATH_OR_NULL,
    "compare": PATH_OR_NULL,
    "figures": {"null"},
    "sort": PATH_OR_NULL,
    "group": PATH_OR_NULL,
    "entity": PATH_OR_NULL,
    "project": {"word"},
    "title": {"word"},
    "checkpoint.every_minutes": NUMBER_FROM_ZERO,
    "evaluate data": {"null"},
    "listen data": {"null"},
    "listen tracks": {"word"},
    "seconds": {"fraction"},
    "listen start": {"zero", "fraction", "null"},
    "listen loudness": {"negative", "zero"},
    "port": {"zero"},
    "max_upload_mb": {"fraction"},
    "listen data.track_weights": {"word"},
    "listen out": {"null", "word"},  # its ending is checked with the files
    "data.root": PATH_OR_NULL,  # null is refused when the data are needed
    "data.validation_tracks": {"null"},
    "data.validation_share": {"null"},
    "data.rename": {"null"},
    "data.other": {"null"},
    "data.absent": {"null"},
    "data.segment_seconds": {"fraction"},
    "data.swap_probability": {"zero"},
    "data.track_weights.A Track": NUMBER_FROM_ZERO,
    "check data.track_weights": {"word"},  # a column, looked for when the layout is known
    "evaluate data.track_weights": {"word"},
    "data.num_workers": {"zero"},
    "data.cache": PATH_OR_NULL,
    "data.prepare.seconds": {"fraction"},
    "model.bandwidth_hz": {"fraction"},
    "model.dropout": {"zero"},
    "layers.attention_dropout": {"zero"},
    "layers.dropout": {"zero"},
    "model.chunk_seconds": {"fraction"},
    "callbacks.early_stopping": {"null"},
    "objective.spectral_weight": NUMBER_FROM_ZERO,
    "objective.time_weight": NUMBER_FROM_ZERO,
    "optimizer.lr": {"fraction"},
    "optimizer.fused": {"true", "null"},
    "optimizer.weight_decay": NUMBER_FROM_ZERO,
    "scheduler.patience": {"zero"},
    "scheduler.cooldown": {"zero"},
    "scheduler.warmup_epochs": {"zero"},
    "scheduler.final": {"zero"},
    "gpus": DEVICES,
    "trainer.max_epochs": LIMIT,
    "trainer.max_steps": LIMIT,
    "trainer.max_time": {"null"},
    "trainer.gradient_clip_val": {"fraction", "null"},
    "trainer.limit_train_batches": {"null"},
    "trainer.limit_val_batches": {"null"},
    "trainer.profiler.dirpath": PATH_OR_NULL,
    "trainer.profiler.filename": PATH_OR_NULL,
    "early_stopping.patience": {"zero"},
    "metrics.path": {"word"},
    "checkpoints.dirpath": {"word"},
    "callbacks.checkpoints.every_minutes": NUMBER_FROM_ZERO,
    "every_n_epochs": {"zero"},
    "num_clips": {"zero"},
    "ema.decay": {"zero"},
    "profile.folder": {"word"},
    "profile.skipped": {"zero"},
    "logger": {"null"},
    "separator.niter": {"zero", "null"},
    "separator.chunk_seconds": {"fraction", "null"},
    "separator.overlap": {"zero"},
    "evaluation.workers": {"zero"},
    "evaluation.compare": PATH_OR_NULL,  # unknown names are refused when they are looked up
}
BUILT = ("model", "objective", "optimizer", "scheduler", "callbacks", "data")


def leaves(node, path=""):
    """The path of every value of a configuration."""
    if isinstance(node, DictConfig) and not node._is_none() and len(node):
        for key in node:
            yield from leaves(node._get_node(key), f"{path}.{key}" if path else str(key))
    elif not path.endswith(("_target_", "_partial_")):
        yield path


def valid(command, path, value):
    """The kinds of values that a key may have: those of the longest end of its path that is listed, or of its value."""
    for key in (f"{command} {path}", *(path.split(".", start)[-1] for start in range(path.count(".") + 1))):
        if key in VALID:
            return VALID[key]
    return {"true"} if isinstance(value, bool) else set()


def with_value(cfg, path, value):
    copy = cfg.copy()
    *parents, last = path.split(".")
    node = copy
    for key in parents:
        node = node[key]
    with open_dict(node):
        node[last] = value
    return copy


def check(command, cfg, path):
    """What a command checks before it does anything; objects are built if the key is one of their arguments."""
    check_values(command, cfg)
    check_targets(cfg)
    plugins.check(cfg.get("plugins"))
    if command == "train":
        identity.check_targets(cfg.target, cfg.data.sources)
        if path.startswith(BUILT):
            check_model(cfg)
            check_callbacks(make(cfg.callbacks, "callbacks"))
            make_datamodule(cfg.data, **({"root": "somewhere"} if cfg.data.root is None else {}))


LARGE = {"train": pytest.mark.slow, "evaluate": pytest.mark.slow}


@pytest.mark.parametrize("command", [pytest.param(name, marks=LARGE.get(name, ())) for name in CONFIGURATIONS])
def test_every_value_of_every_key_is_valid_or_refused_by_name(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = set()
    for overrides in CONFIGURATIONS[command]:
        cfg = compose(command, overrides)
        for path in sorted(set(leaves(cfg)) - seen):
            seen.add(path)
            allowed = valid(command, path, OmegaConf.select(cfg, path))
            for kind, value in WRONG.items():
                changed = with_value(cfg, path, value)
                if kind in allowed:
                    check(command, changed, path)
                    continue
                with pytest.raises(ValueError) as refusal:
                    check(command, changed, path)
                message = str(refusal.value)
                assert path.rpartition(".")[2] in message, f"{path}={value!r}: {message}"
                assert "\n" not in message, f"{path}={value!r}: {message}"
    assert not list(tmp_path.iterdir())
