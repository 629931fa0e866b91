"""Checkpoint files that `ckpt=...` names; importing this module does not import torch."""

import glob
import re
from pathlib import Path

from unmix import errors
from unmix.weights.releases import RELEASES

SAFETENSORS = ".safetensors"
WANDB = "wandb:"  # prefix of the name of an artifact at W&B
OPEN_UNMIX_FOLDER = "separator.json"  # marks a folder in Open-Unmix's format
# Of MSST, and of SCNet's authors, whose `data` and `model` the files of our runs have too.
YAML_SECTIONS = ({"audio", "training"}, {"data", "model", "augment"})
RUNS = Path("outputs", "runs")  # with the default of paths.out
MOST_NAMES = 5  # of experiments that a message lists
MSST_WEIGHTS = (".ckpt", ".th", ".pth", ".pt", ".chpt", ".bin")


def paths_of(item: str | Path, key: str = "ckpt") -> list[Path]:
    """List the paths that an entry of `ckpt` names: itself, or those that match a pattern; empty for a release.

    Args:
        item: a path, a pattern, or the name of a release.
        key: setting that names it.
    Raises:
        FileNotFoundError: when it names nothing.
    """
    path = Path(item).expanduser()
    if path.exists():
        return [path]
    matches = [Path(match) for match in sorted(glob.glob(str(path)))]  # noqa: PTH207 - Path.glob takes no absolute one
    if not matches and str(item) not in RELEASES:
        parts = str(item).split(",")
        several = f"; several are a list, {key}=[{','.join(parts)}]" if len(parts) > 1 else ""
        raise FileNotFoundError(
            f"{key}: {item} does not exist{several}; give an experiment folder, a .ckpt or .safetensors file, a "
            f"pattern, a folder in Open-Unmix's or MSST's format, or a release: {', '.join(RELEASES)}{_meant(path)}"
        )
    return matches


def _meant(path: Path) -> str:
    """Format the path or release that resembles a missing path, or else the experiments that are there; or nothing."""
    if near := errors.near(path) or "".join(
        f"; did you mean {name!r}?" for name in errors.similar(str(path), RELEASES)
    ):
        return near
    for folder in (path.parent, RUNS):
        if names := sorted({best.parents[2].name for best in folder.glob("*/*/checkpoints/best.ckpt")}):
            more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
            return f"; {folder} holds {', '.join(names[:MOST_NAMES])}{more}"
    return ""


def is_foreign(path: Path) -> bool:
    """Whether a path is that of weights in another format than ours."""
    return path.suffix == SAFETENSORS or (path / OPEN_UNMIX_FOLDER).is_file() or is_msst(path)


def is_msst(path: Path) -> bool:
    """Whether a folder, or a file of weights, has a YAML in MSST's layout, or that of SCNet's authors, beside it."""
    if path.is_file():
        return path.suffix in MSST_WEIGHTS and bool(_msst_configs(path.parent))
    return bool(_msst_configs(path))


def msst_pair(path: Path) -> tuple[Path, Path]:
    """Find the YAML and the weights of a release in MSST's layout.

    Args:
        path: folder, or the file of weights, whose YAML has its name or is the only one beside it.
    Raises:
        FileNotFoundError: when the folder has no file of weights.
        ValueError: when there are several of either.
    """
    folder = path.parent if path.is_file() else path
    configs = _msst_configs(folder)
    weights = [path] if path.is_file() else [file for file in sorted(folder.iterdir()) if file.suffix in MSST_WEIGHTS]
    if not weights:
        raise FileNotFoundError(
            f"ckpt: {folder} has {configs[0].name}, but no file of weights: {', '.join(MSST_WEIGHTS)}"
        )
    if len(weights) > 1:
        names = ", ".join(file.name for file in weights)
        raise ValueError(f"ckpt: {folder} has several files of weights, name one of them: {names}")
    named_alike = [file for file in configs if file.stem == weights[0].stem]
    if len(named_alike or configs) > 1:
        names = ", ".join(file.name for file in configs)
        raise ValueError(f"ckpt: {folder} has several YAML files, name one like {weights[0].stem}.yaml: {names}")
    return (named_alike or configs)[0], weights[0]


def _msst_configs(folder: Path) -> list[Path]:
    """List the YAML files of a folder that have the sections of one of `YAML_SECTIONS` at the top."""
    configs = []
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        sections = set(re.findall(r"^(\w+):", path.read_text("utf-8", errors="replace"), re.MULTILINE))
        if any(needed <= sections for needed in YAML_SECTIONS):
            configs.append(path)
    return configs


def files_of(path: Path, key: str = "ckpt") -> list[Path]:
    """List the checkpoint files of an experiment or of a run, or the given file itself; `key` is the setting.

    Raises:
        FileNotFoundError: when a folder has none.
    """
    if path.is_file():
        return [path]
    for pattern in ("*/checkpoints/best.ckpt", "checkpoints/best.ckpt", "best.ckpt", "*.ckpt"):
        if files := sorted(path.glob(pattern)):
            return files
    raise FileNotFoundError(f"{key}: no checkpoint in {path}: looked for */checkpoints/best.ckpt and *.ckpt")


def own_files(item: str) -> list[Path]:
    """List the files in our format that an entry of `ckpt` names; empty when it names anything else, or nothing."""
    try:
        paths = paths_of(item)
        if any(map(is_foreign, paths)):
            return []
        return [file for each in paths for file in files_of(each)]
    except FileNotFoundError:
        return []


def stamp(path: Path) -> list[int]:
    """Size, modification time and inode of a file: a file that is written or replaced gets another stamp."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]
