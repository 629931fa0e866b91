"""One array that all processes of a machine share, and that is gone with the last of them, however it ends.

An anonymous file in memory (memfd) has no name to leave behind. Who wants to share it opens it through the process that
has it, by /proc; a small file in the cache says which process that is.
"""

import contextlib
import json
import mmap
import os
import uuid
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from filelock import FileLock


class SharedArray:
    """int16 in memory that other processes can map.

    Args:
        descriptor: of the file in memory, open in this process.
        num_bytes: its size.
    """

    def __init__(self, descriptor: int, num_bytes: int) -> None:
        self.descriptor = descriptor
        weakref.finalize(self, os.close, descriptor)  # what is mapped stays mapped
        self.values: npt.NDArray[np.int16] = np.frombuffer(mmap.mmap(descriptor, num_bytes), dtype=np.int16)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": f"/proc/{os.getpid()}/fd/{self.descriptor}", "num_bytes": self.values.nbytes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(os.open(state["path"], os.O_RDWR), state["num_bytes"])  # type: ignore[misc]


def is_possible() -> bool:
    """Linux has such files."""
    return hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir()


def is_there(key: str, folder: Path) -> bool:
    """Whether some process has it: then it costs no memory to use it as well."""
    return any(_path(holder) is not None for holder in _holders(folder / f"{key}.json"))


def share(key: str, num_bytes: int, fill: Callable[[npt.NDArray[np.int16]], None], folder: Path) -> SharedArray:
    """The array of this key: another process's, or a new one that `fill` fills while others wait.

    Raises:
        OSError: when there is not enough memory.
    """
    folder.mkdir(parents=True, exist_ok=True)
    registry = folder / f"{key}.json"
    with FileLock(registry.with_suffix(".lock")):
        holders = [holder for holder in _holders(registry) if _path(holder) is not None]
        array = next(_opened(holders, num_bytes), None)
        if array is None:
            descriptor = os.memfd_create(f"unmix-{key}-{uuid.uuid4().hex}")
            os.ftruncate(descriptor, num_bytes)
            array = SharedArray(descriptor, num_bytes)
            fill(array.values)
        process, name = psutil.Process(), _name(Path(f"/proc/self/fd/{array.descriptor}"))
        own = {"pid": process.pid, "started": process.create_time(), "descriptor": array.descriptor, "name": name}
        registry.write_text(json.dumps([*holders, own]))
    return array


def _opened(holders: list[dict[str, Any]], num_bytes: int) -> Iterator[SharedArray]:
    for holder in holders:
        with contextlib.suppress(OSError):  # it ended just now: the next one, or a new array
            array = SharedArray(os.open(str(_path(holder)), os.O_RDWR), num_bytes)
            if _name(Path(f"/proc/self/fd/{array.descriptor}")) == holder["name"]:
                yield array


def _path(holder: dict[str, Any]) -> Path | None:
    """Where the array of a process can be opened; None when that process has it no more.

    The name tells: it is this array's alone, where a descriptor's number comes back for another file.
    """
    try:
        path = Path(f"/proc/{holder['pid']}/fd/{holder['descriptor']}")
        is_same = psutil.Process(holder["pid"]).create_time() == holder["started"] and _name(path) == holder["name"]
        return path if is_same else None
    except (psutil.Error, OSError, KeyError):
        return None


def _name(path: Path) -> str:
    """Of an open file in memory: `/memfd:unmix-... (deleted)`."""
    return str(path.readlink())


def _holders(registry: Path) -> list[dict[str, Any]]:
    try:
        holders: list[dict[str, Any]] = json.loads(registry.read_text())
        return holders
    except (OSError, ValueError):
        return []
