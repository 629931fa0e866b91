"""Files and folders that appear under their name only when they are complete."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(
    path: Path, *, is_shared: bool = False, is_durable: bool = False, keep_as: Path | None = None
) -> Iterator[Path]:
    """Yield a temporary path in the folder of `path`; it becomes `path` at the end, or is removed on an error.

    A reader of `path` sees the old content or the new, never a part of it.

    Args:
        path: file or folder to write; its parent folder must exist. A folder can only replace an empty one.
        is_shared: whether several processes may write `path` at the same time; the last one wins. Otherwise the
            temporary name is always the same, so that the next writer removes what a killed one left.
        is_durable: whether to flush the content to the disk before the rename, so that a power cut cannot leave the
            name with incomplete content.
        keep_as: new name for the previous file or folder at `path`; None replaces it.
    Raises:
        OSError: when the content cannot be flushed or renamed.
    """
    unique = f".{uuid.uuid4().hex[:8]}" if is_shared else ""
    partial = path.with_name(f".{path.name}{unique}.partial")
    remove(partial)
    try:
        yield partial
        if is_durable:
            _flush(partial)
        if keep_as is not None and path.exists():
            path.replace(keep_as)
        partial.replace(path)
    finally:
        remove(partial)


def remove(path: Path) -> None:
    """Remove a file or a folder with all it contains; do nothing when there is none."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Flush a file, or a folder and all it contains, to the disk (fsync)."""
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
