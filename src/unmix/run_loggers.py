"""Which loggers have logged a run: known from its files, so that it is answered without importing torch."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig

# Class of a logger -> the folder that it makes in the folder of each run and evaluation that it logs.
FOLDERS = {"unmix.training.loggers.WandbRun": "wandb", "unmix.training.loggers.TensorBoardRun": "tensorboard"}


def unlogged(nodes: DictConfig | None, folder: Path) -> list[str]:
    """Names of the configured loggers, among those of `FOLDERS`, that have not logged a run or an evaluation."""
    made = {name: FOLDERS.get(target) for name, target in _targets(nodes).items()}
    return [name for name, wanted in made.items() if wanted is not None and not (folder / wanted).exists()]


def print_never_logged(finished: Iterable[tuple[DictConfig | None, Path]]) -> None:
    """Print, once per logger, that it gets nothing of finished runs, as it was added after them and is not ours.

    Args:
        finished: node `logger` of the command, and folder, of each run.
    """
    for name in dict.fromkeys(name for nodes, run in finished for name in _never_logged(nodes, run)):
        print(  # noqa: T201
            f"logger.{name}: added after the training, of which it gets nothing; logger=wandb and logger=tensorboard "
            "get finished runs too, and a larger trainer.max_epochs is logged from there on"
        )


def _never_logged(nodes: DictConfig | None, run: Path) -> list[str]:
    """Names of the configured loggers, other than those of `FOLDERS`, that a run was trained without."""
    path = run / "config.yaml"
    others = {name: target for name, target in _targets(nodes).items() if target not in FOLDERS}
    if not others or not path.is_file():
        return []
    known = _targets(yaml.safe_load(path.read_text(encoding="utf-8")).get("logger")).values()
    return [name for name, target in others.items() if target not in known]


def _targets(nodes: Any) -> dict[str, str]:
    """Name -> class of every logger that is not left out."""
    return {str(name): str(node.get("_target_")) for name, node in (nodes or {}).items() if node is not None}
