"""Schemas: the top-level keys of each command's configuration and their types; Hydra refuses other keys."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from unmix.identity import register_resolvers


@dataclass
class Paths:
    """Folders: `out` for results, `data` for prepared data and caches."""

    out: str = "outputs"
    data: str = MISSING


@dataclass
class CheckpointSettings:
    """How often last.ckpt is written within an epoch; it is always written at the end of one."""

    every_minutes: float = 15.0


@dataclass
class TrainSchema:
    """Top-level keys of conf/train.yaml."""

    name: str = MISSING
    target: Any = MISSING
    seed: int = MISSING
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
    paths: Paths = MISSING
    checkpoint: CheckpointSettings = MISSING
    on_busy: str = "wait"
    retry: bool = False
    fresh: bool = False
    dry_run: bool = False
    slots: Any = "auto"
    fail_fast: bool = False
    run_dir: str = MISSING
    sweep_name: str = MISSING


@dataclass
class EvaluateSchema:
    """Top-level keys of conf/evaluate.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    data: Any = None
    seed: int = 0
    subset: str = "test"
    separator: Any = MISSING
    evaluation: Any = MISSING
    logger: Any = None
    paths: Paths = MISSING


@dataclass
class SeparateSchema:
    """Top-level keys of conf/separate.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    input: Any = MISSING
    out: str | None = None
    targets: Any = None
    aggregate: dict[str, Any] = field(default_factory=dict)
    residual: bool = False
    start: float = 0.0
    duration: float | None = None
    format: str = "wav"
    bits: Any = 16
    gpus: Any = None
    separator: Any = MISSING
    overwrite: bool = False
    paths: Paths = MISSING


@dataclass
class ExportSchema:
    """Top-level keys of conf/export.yaml."""

    ckpt: Any = MISSING
    plugins: Any = None
    format: str = "umx"
    out: str | None = None
    overwrite: bool = False


@dataclass
class CheckSchema:
    """Top-level keys of conf/check.yaml."""

    data: Any = MISSING
    seed: int = 0
    listen: bool = True
    paths: Paths = MISSING


@dataclass
class LeaderboardSchema:
    """Top-level keys of conf/leaderboard.yaml."""

    sort: str | None = None
    name: str | None = None
    group: str | None = None
    paths: Paths = MISSING


@dataclass
class DashboardSchema:
    """Top-level keys of conf/dashboard.yaml."""

    entity: str | None = None
    project: str = MISSING
    title: str = MISSING
    save: bool = False


SCHEMAS = {
    "train": TrainSchema,
    "evaluate": EvaluateSchema,
    "separate": SeparateSchema,
    "export": ExportSchema,
    "check": CheckSchema,
    "leaderboard": LeaderboardSchema,
    "dashboard": DashboardSchema,
}


def register() -> None:
    """Register the schemas and resolvers with Hydra and OmegaConf."""
    for name, schema in SCHEMAS.items():
        ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    register_resolvers()
