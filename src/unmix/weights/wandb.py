"""Checkpoints stored as W&B artifacts: `wandb:entity/project/name:alias`."""

from pathlib import Path

import torch

from unmix.weights.files import WANDB

FILE = "model.ckpt"


def fetch(item: str) -> Path:
    """Download the checkpoint of an artifact, unless a copy of it is in torch hub's folder.

    Args:
        item: `wandb:entity/project/name:alias`.
    Returns:
        Path of the checkpoint file.
    Raises:
        ValueError: when the name is malformed, W&B has no such artifact or no login, or unmix did not write it.
    """
    import wandb
    from wandb.errors import CommError, UsageError

    name = item.removeprefix(WANDB)
    if name.count("/") != 2 or ":" not in name:
        raise ValueError(f"ckpt: got {item!r}, allowed wandb:entity/project/name:alias, as ...:best or ...:v3")
    try:
        artifact = wandb.Api().artifact(name, type="model")
        folder = Path(torch.hub.get_dir()) / "unmix" / artifact.digest
        if not (folder / FILE).is_file():
            artifact.download(root=str(folder))
    except (CommError, UsageError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"ckpt: {item} cannot be downloaded from W&B ({reason}); log in with `wandb login`") from error
    if not (folder / FILE).is_file():
        raise ValueError(f"ckpt: {item} was not written by unmix: it contains no {FILE}")
    return folder / FILE
