"""Files made once and used by many: whole or not there, whoever dies or runs out of disk in between."""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock


def default_folder() -> Path:
    """Where prepared data and caches lie when nothing else is said: UNMIX_DATA, or ~/.cache/unmix."""
    return Path(os.environ.get("UNMIX_DATA") or "~/.cache/unmix").expanduser()


def identity(files: Iterable[Path], *about: object) -> str:
    """Sixteen hex digits of files (where, how large, how old) and what is made of them."""
    digest = hashlib.sha256(repr(about).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def build_once(path: Path, build: Callable[[Path], object]) -> Path:
    """Return `path`; when it is not there, have it made under another name, stored, and renamed.

    Of several processes that ask at once, one builds and the others wait.

    Args:
        path: file or folder.
        build: makes a file or folder at the path it is given.
    Raises:
        OSError: naming `paths.data` when the cache cannot be written; nothing half-made is left under `path`.
    """
    if path.exists():
        return path
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                _build(path, build)
    return path


def replace(path: Path, build: Callable[[Path], object]) -> None:
    """The same for a file that may be there: the last one to build it wins. Raises what `build_once` does."""
    with _told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            _build(path, build)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of which folder the system speaks, and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise  # one of ours, that says it all
        raise OSError(
            f"paths.data: {path} cannot be written ({error.strerror}); "
            "make room there, or set UNMIX_DATA to a folder that can be written"
        ) from error


def _build(path: Path, build: Callable[[Path], object]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)  # of a process that was killed: the lock is ours, nobody else is at it
    try:
        build(partial)
        for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
            _store(file)
        partial.replace(path)
    finally:
        _remove(partial)


def _store(file: Path) -> None:
    """On the disk itself: a name must not survive a power cut that its bytes do not."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
