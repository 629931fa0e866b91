"""Schemas: the top-level keys of each command's configuration; Hydra refuses others, `config_checks` checks values."""

from dataclasses import dataclass
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from unmix.identity import register_resolvers
from unmix.settings import LOUDNESS


@dataclass
class Paths:
    """Folders: `out` for results, `data` for prepared data and caches."""

    out: Any = "outputs"
    data: Any = MISSING


@dataclass
class CheckpointSettings:
    """How often last.ckpt is written within an epoch; it is always written at the end of one."""

    every_minutes: Any = 15.0


@dataclass
class TrainSchema:
    """Top-level keys of conf/train.yaml."""

    name: Any = MISSING
    target: Any = MISSING
    seed: Any = MISSING
    init_from: Any = None
    plugins: Any = None
    data: Any = MISSING
    model: Any = MISSING
    objective: Any = MISSING
    optimizer: Any = MISSING
    scheduler: Any = MISSING
    trainer: Any = MISSING
    callbacks: Any = None
    logger: Any = None
    separator: Any = None
    evaluation: Any = None
    metrics: Any = None
    paths: Paths = MISSING
    checkpoint: CheckpointSettings = MISSING
    on_busy: Any = "wait"
    retry: Any = False
    fresh: Any = False
    dry_run: Any = False
    slots: Any = "auto"
    fail_fast: Any = False
    run_dir: Any = MISSING
    sweep_name: Any = MISSING


@dataclass
class EvaluateSchema:
    """Top-level keys of conf/evaluate.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    data: Any = None
    seed: Any = 0
    subset: Any = "test"
    separator: Any = MISSING
    evaluation: Any = MISSING
    metrics: Any = None  # what metrics=[] gives
    logger: Any = None
    paths: Paths = MISSING


@dataclass
class ListenSchema:
    """Top-level keys of conf/listen.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    data: Any = None
    seed: Any = 0
    subset: Any = "test"
    tracks: Any = 3
    seconds: Any = 12
    start: Any = None
    format: Any = "flac"
    loudness: Any = LOUDNESS
    out: Any = None
    serve: Any = False
    port: Any = 8765
    max_upload_mb: Any = 200
    gpus: Any = None
    separator: Any = MISSING
    paths: Paths = MISSING


@dataclass
class SeparateSchema:
    """Top-level keys of conf/separate.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    input: Any = MISSING
    out: Any = None
    targets: Any = None
    aggregate: Any = None
    residual: Any = False
    start: Any = 0.0
    duration: Any = None
    format: Any = "wav"
    bits: Any = 16
    gpus: Any = None
    separator: Any = MISSING
    overwrite: Any = False
    paths: Paths = MISSING


@dataclass
class ExportSchema:
    """Top-level keys of conf/export.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    format: Any = "umx"
    out: Any = None
    overwrite: Any = False
    paths: Paths = MISSING


@dataclass
class CheckSchema:
    """Top-level keys of conf/check.yaml."""

    data: Any = MISSING
    seed: Any = 0
    listen: Any = True
    report: Any = None
    format: Any = "text"
    paths: Paths = MISSING


@dataclass
class PrepareSchema:
    """Top-level keys of conf/prepare.yaml."""

    input: Any = None
    out: Any = None
    download: Any = None
    channels: Any = None
    licence: Any = None
    attribution: Any = None
    data: Any = MISSING
    paths: Paths = MISSING


@dataclass
class RatingsSchema:
    """Top-level keys of conf/ratings.yaml."""

    results: Any = MISSING
    key: Any = MISSING
    out: Any = None
    paths: Paths = MISSING


@dataclass
class LeaderboardSchema:
    """Top-level keys of conf/leaderboard.yaml."""

    sort: Any = None
    name: Any = None
    group: Any = None
    serve: Any = False
    port: Any = MISSING
    paths: Paths = MISSING


@dataclass
class ReportSchema:
    """Top-level keys of conf/report.yaml."""

    ckpt: Any = MISSING
    format: Any = "latex"
    metric: Any = None
    test_set: Any = None
    tracks: Any = "all"
    compare: Any = None
    figures: Any = "pdf"
    out: Any = None
    entity: Any = None
    project: Any = MISSING
    title: Any = None
    save: Any = False
    paths: Paths = MISSING


@dataclass
class DashboardSchema:
    """Top-level keys of conf/dashboard.yaml."""

    entity: Any = None
    project: Any = MISSING
    title: Any = MISSING
    save: Any = False


SCHEMAS = {
    "train": TrainSchema,
    "evaluate": EvaluateSchema,
    "listen": ListenSchema,
    "separate": SeparateSchema,
    "export": ExportSchema,
    "check": CheckSchema,
    "prepare": PrepareSchema,
    "ratings": RatingsSchema,
    "leaderboard": LeaderboardSchema,
    "report": ReportSchema,
    "dashboard": DashboardSchema,
}


def register() -> None:
    """Register the schemas and resolvers with Hydra and OmegaConf."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    register_resolvers()
