"""What lies in a run folder beside checkpoints, and how it is written: whole or not at all."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from unmix.files import replacing

PACKAGES = ("torch", "torchaudio", "pytorch-lightning", "hydra-core", "numpy", "museval", "norbert", "unmix")


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, is_shared=True) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def environment(**machine: Any) -> dict[str, Any]:
    """Versions, machine, command and code state: what reproducing a result needs beside its configuration.

    Args:
        machine: further facts that the caller knows, as threads and GPUs.
    """
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        **machine,
        "versions": {name: _version(name) for name in PACKAGES},
        "git": git_state(),
    }


def git_diff() -> str:
    """What was changed since the commit that `git_state` names."""
    return _git(Path(__file__).parent, "diff", "HEAD")


def git_state() -> dict[str, Any]:
    """Commit of the checkout the package runs from and whether it was changed; empty outside one."""
    root = Path(__file__).parent
    commit = _git(root, "rev-parse", "HEAD")
    return {"sha": commit, "dirty": bool(_git(root, "status", "--porcelain"))} if commit else {}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # no git here: the record says so by being empty
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
