"""Headers of many files at once, remembered by size and time of change: a second look at a data set costs nothing."""

import hashlib
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path
from typing import Any

from unmix.data import pcm
from unmix.data.cache import replace
from unmix.data.pcm import Header
from unmix.data.tracks import AudioFile

_THREADS = 16  # for disks that are far away
_VERSION = 1  # of the remembered rows


def read(paths: Iterable[Path], memory: Path) -> dict[Path, AudioFile | str]:
    """What every file holds, or why it is none that can be used.

    Args:
        paths: files that need not exist.
        memory: JSON file with what was seen before; it is brought up to date.
    Raises:
        OSError: naming `paths.data` when `memory` cannot be written.
    """
    before = _load(memory)
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = dict(zip(paths, pool.map(lambda path: _look(path, before), paths), strict=True))
    now = {str(path): row for path, row in rows.items() if not isinstance(row, str)}
    if now != before:
        text = json.dumps({"version": _VERSION, "files": now})
        replace(memory, lambda partial: partial.write_text(text, encoding="utf-8"))
    return {path: row if isinstance(row, str) else _file(path, row) for path, row in rows.items()}


def memory_of(root: Path, cache: Path) -> Path:
    """The file that remembers a tree."""
    return cache / "scans" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}.json"


def _look(path: Path, before: dict[str, list[Any]]) -> list[Any] | str:
    """Size, time of change and header as a row of numbers; or what is wrong."""
    try:
        stat = path.stat()
        known = before.get(str(path))
        if known is not None and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known
        return [stat.st_size, stat.st_mtime_ns, *astuple(pcm.read_header(path))]
    except ValueError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def _file(path: Path, row: list[Any]) -> AudioFile:
    size, _, *header = row
    return AudioFile(path, Header(*header), size)


def _load(memory: Path) -> dict[str, list[Any]]:
    """Nothing when there is nothing, or nothing of use: it is only read to save time."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        return content["files"] if content["version"] == _VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
