"""Find the checkpoints that `ckpt=...` names, and load their models as a separator."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from unmix import errors
from unmix import plugins as packages
from unmix.models.contract import Separator
from unmix.models.joined import join
from unmix.weights import checkpoint, files, msst, open_unmix_release, safetensors, wandb
from unmix.weights.checkpoint import Checkpoint

log = logging.getLogger(__name__)


def load_separator(
    ckpt: str | Path | Sequence[str | Path],
    device: str | torch.device | None = None,
    targets: Sequence[str] | None = None,
    niter: int | None = None,
    *,
    softmask: bool = False,
    residual: bool = False,
    wiener: str = "torch",
    window: int | Literal["whole"] = "whole",
    plugins: Sequence[str] = (),
    **chunks: Any,
) -> Separator:
    """Load trained models as one separator.

    Args:
        ckpt: experiment folder, run folder, checkpoint file, `.safetensors` file, folder in Open-Unmix's or MSST's
            format, a pattern of any of these, `umx`, `umxhq`, `umxl`, `umxse`, `wandb:entity/project/name:best`, or a
            list.
        device: device of the separator; None is the GPU if there is one, else the CPU.
        targets: sources to estimate, in the order of the output; None is all that the checkpoints estimate.
        niter, softmask, residual, wiener, window: see `open_unmix.Separator`; `niter=None` is 1 for Open-Unmix
            networks of several sources, and 0 for others.
        plugins: packages outside this project whose model classes the checkpoints may name.
        chunks: `chunk_seconds`, `overlap`, `chunk_batch` for other models, see `models.joined.join`.
    Raises:
        FileNotFoundError: when there is no checkpoint.
        ValueError: when no checkpoint estimates a target, a file is not valid, the models cannot be joined, or a
            checkpoint names a class outside Unmix and `plugins`.
    """
    located = find_checkpoints(ckpt)
    chosen = located if targets is None else [targets] if isinstance(targets, str) else targets
    names = tuple(chosen)
    for name in names:
        if name not in located:
            raise ValueError(f"{errors.unknown('targets', name, located)} (found in {_listed(ckpt)})")
    settings = {"softmask": softmask, "residual": residual, "wiener": wiener, "window": window, **chunks}
    return load({name: located[name] for name in names}, device, niter=niter, plugins=plugins, **settings)


def load(
    located: Mapping[str, Checkpoint],
    device: str | torch.device | None = None,
    *,
    plugins: Sequence[str] = (),
    **settings: Any,
) -> Separator:
    """Load checkpoints that `find_checkpoints` found as one separator.

    Args:
        located: one checkpoint per target, in the order of the output; a checkpoint of several targets is listed
            under each of them.
        device: device of the separator; None is the GPU if there is one, else the CPU.
        plugins: see `load_separator`.
        settings: see `models.joined.join`.
    Raises:
        ValueError: as `load_separator`.
    """
    trusted = packages.check(plugins)
    models = [checkpoint.build_model(item, trusted) for item in distinct(located.values())]
    separator: Any = join(models, targets=list(located), **settings)
    return separator.to(device or ("cuda" if torch.cuda.is_available() else "cpu")).eval()


def distinct(checkpoints: Iterable[Checkpoint]) -> list[Checkpoint]:
    """Drop repeated checkpoints, keeping the order; those of one file with other targets are distinct."""
    return list({(item.path, item.targets): item for item in checkpoints}.values())


def find_checkpoints(ckpt: str | Path | Sequence[str | Path]) -> dict[str, Checkpoint]:
    """Find the best checkpoint for each target among those that `ckpt` names, see `read_all` and `best_of`."""
    return best_of(read_all(ckpt))


def read_all(ckpt: str | Path | Sequence[str | Path]) -> list[Checkpoint]:
    """Read all checkpoints that `ckpt` names, without the values of their weights.

    Args:
        ckpt: see `load_separator`.
    Raises:
        FileNotFoundError, ValueError: as `load_separator`.
    """
    if not isinstance(ckpt, str | Path | list | tuple) or not ckpt:
        raise ValueError(f"ckpt: got {ckpt!r}, a path, the name of a release or a list of these is needed")
    items = [ckpt] if isinstance(ckpt, str | Path) else dict.fromkeys(ckpt)
    return [candidate for item in items for candidate in _read(item)]


def best_of(checkpoints: Iterable[Checkpoint]) -> dict[str, Checkpoint]:
    """Choose a checkpoint for each target, in the usual order of targets.

    Of several checkpoints for a target, those with the fewest targets are preferred, because losses over different
    targets cannot be compared; of these, the one with the lowest val/loss is taken.
    """
    by_target: dict[str, list[Checkpoint]] = {}
    for candidate in checkpoints:
        for target in candidate.targets:
            by_target.setdefault(target, []).append(candidate)
    best = {}
    for target in sorted(by_target, key=_usual_order):
        candidates = by_target[target]
        best[target] = min(
            candidates, key=lambda candidate: (len(candidate.targets), candidate.metrics.get("val/loss", math.inf))
        )
        if len(candidates) > 1:
            log.info("%s: %s has the lowest val/loss of %d", target, best[target].path, len(candidates))
    return best


def _usual_order(target: str) -> tuple[int, str]:
    """Sort key: sources in the order vocals, drums, bass, other, then all others by name."""
    usual = ("vocals", "drums", "bass", "other")
    return (usual.index(target) if target in usual else len(usual), target)


def _read(item: str | Path) -> list[Checkpoint]:
    """Read all checkpoints that one entry of `ckpt` names."""
    if str(item).startswith(files.WANDB):
        return [checkpoint.read(wandb.fetch(str(item)))]
    if paths := files.paths_of(item):
        return [candidate for path in paths for candidate in _read_path(path)]
    return open_unmix_release.read_release(str(item))


def _read_path(path: Path) -> list[Checkpoint]:
    if path.is_file() and path.suffix == files.SAFETENSORS:
        return safetensors.read(path)
    if (path / files.OPEN_UNMIX_FOLDER).is_file():
        return open_unmix_release.read_folder(path)
    if files.is_msst(path):
        return msst.read(path)
    return [checkpoint.read(file) for file in files.files_of(path)]


def _listed(ckpt: object) -> str:
    return ", ".join(map(str, ckpt)) if isinstance(ckpt, list | tuple) else str(ckpt)
