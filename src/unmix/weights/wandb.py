"""Checkpoints that W&B keeps: `wandb:entity/project/name:alias`."""

from pathlib import Path

import torch

PREFIX = "wandb:"
FILE = "model.ckpt"


def fetch(item: str) -> Path:
    """The file of an artifact, fetched once; what was fetched is kept beside torch.hub's.

    Raises:
        ValueError: when the name has another form, W&B does not have it, or nobody is logged in.
    """
    import wandb
    from wandb.errors import CommError, UsageError

    name = item.removeprefix(PREFIX)
    if name.count("/") != 2 or ":" not in name:
        raise ValueError(f"ckpt: got {item!r}, the form is wandb:entity/project/name:alias, as ...:best or ...:v3")
    try:
        artifact = wandb.Api().artifact(name, type="model")
        folder = Path(torch.hub.get_dir()) / "unmix" / artifact.digest
        if not (folder / FILE).is_file():
            artifact.download(root=str(folder))
    except (CommError, UsageError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"ckpt: {item} cannot be had from W&B ({said}); log in with `wandb login`") from error
    if not (folder / FILE).is_file():
        raise ValueError(f"ckpt: {item} holds no {FILE}: it was not written by unmix")
    return folder / FILE
