"""Cache of files that are expensive to make: built once, shared by all processes, never incomplete."""

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from unmix.files import replacing

log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Default folder of prepared data and caches: the environment variable UNMIX_DATA, or ~/.cache/unmix."""
    return Path(os.environ.get("UNMIX_DATA") or "~/.cache/unmix").expanduser()


def cache_key(files: Iterable[Path], *about: object) -> str:
    """Cache key, 16 hex digits: identical for identical paths, sizes, modification times and `about`."""
    digest = hashlib.sha256(repr(about).encode())
    for file in files:
        stat = file.stat()
        digest.update(f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def short_name(name: str) -> str:
    """Beginning of a name, at most 60 bytes, for names of files that go on with a hash."""
    return name.encode(errors="surrogateescape")[:60].decode(errors="ignore")


def build_once(path: Path, build: Callable[[Path], object]) -> Path:
    """Return `path`, a file or folder; build it first when it does not exist.

    When several processes ask for it at once, one builds it and the others wait.

    Args:
        path: file or folder.
        build: writes a file or folder at the temporary path that it is given.
    Raises:
        OSError: naming `paths.data` when the cache cannot be written; nothing incomplete is left under `path`.
    """
    if path.exists():
        return path
    with locked(path):
        if not path.exists():
            with replacing(path, is_durable=True) as partial:
                build(partial)
    return path


def rebuild(path: Path, build: Callable[[Path], object]) -> None:
    """Build a file or folder, replacing an existing one; the last process wins. Raises as `build_once`."""
    with locked(path), replacing(path, is_durable=True) as partial:
        build(partial)


@contextmanager
def locked(
    path: Path, *, key: str = "paths.data", instead: str = "UNMIX_DATA", when_waiting: str | None = None
) -> Iterator[None]:
    """Hold the lock file of a path.

    Args:
        path: file or folder that is to be written.
        key: setting that it follows from.
        instead: setting, or environment variable, that names another folder.
        when_waiting: line to log when another process holds the lock.
    Raises:
        OSError: naming the setting to change when the folder of `path` cannot be written, within the block, too.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        try:
            lock.acquire(blocking=when_waiting is None)
        except Timeout:
            log.info(when_waiting)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()
    except OSError as error:
        if error.errno is None:
            raise  # raised by this project, with a message that names the setting already
        raise OSError(
            f"{key}: {path} cannot be written ({error.strerror}); "
            f"make room there, or set {instead} to a folder that can be written"
        ) from error
