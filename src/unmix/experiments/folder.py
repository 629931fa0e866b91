"""Facts that reproduce a run, and atomic writing of the files of a run folder."""

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
    """Write a text file; readers see the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, is_shared=True) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file by `write_atomically`."""
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def environment(**machine: Any) -> dict[str, Any]:
    """Describe command, machine, package versions and commit, which with the configuration reproduce a result.

    Args:
        machine: further facts that the caller knows, such as the number of threads and GPUs.
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
    """Uncommitted changes of the checkout as a diff; empty outside a checkout."""
    return _git(Path(__file__).parent, "diff", "HEAD")


def git_state() -> dict[str, Any]:
    """Commit of the checkout that holds this package, and whether it has changes; empty outside a checkout."""
    root = Path(__file__).parent
    commit = _git(root, "rev-parse", "HEAD")
    return {"sha": commit, "dirty": bool(_git(root, "status", "--porcelain"))} if commit else {}


def _git(folder: Path, *arguments: str) -> str:
    """Output of a git command; empty when it fails."""
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""  # without git, the record is empty
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    """Version of an installed package; None when it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
