"""Checkpoint files that `ckpt=...` names; importing this module does not import torch."""

import glob
from pathlib import Path

SAFETENSORS = ".safetensors"
OPEN_UNMIX_FOLDER = "separator.json"  # marks a folder in Open-Unmix's format


def files_of(path: Path) -> list[Path]:
    """List the checkpoint files of an experiment or of a run, or the given file itself.

    Raises:
        FileNotFoundError: when a folder has none.
    """
    if path.is_file():
        return [path]
    for pattern in ("*/checkpoints/best.ckpt", "checkpoints/best.ckpt", "best.ckpt", "*.ckpt"):
        if files := sorted(path.glob(pattern)):
            return files
    raise FileNotFoundError(f"ckpt: no checkpoint in {path}: looked for */checkpoints/best.ckpt and *.ckpt")


def own_files(item: str) -> list[Path]:
    """List the files in our format that an entry of `ckpt` names; empty when it names anything else, or nothing."""
    path = Path(item).expanduser()
    paths = [path] if path.exists() else [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207
    if any(each.suffix == SAFETENSORS or (each / OPEN_UNMIX_FOLDER).is_file() for each in paths):
        return []
    try:
        return [file for each in paths for file in files_of(each)]
    except FileNotFoundError:
        return []


def stamp(path: Path) -> list[int]:
    """Size, modification time and inode of a file: a file that is written or replaced gets another stamp."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
