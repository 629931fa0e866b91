"""Keep what decoders print on standard error from the terminal."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUIET = (".wav", ".flac")  # formats whose decoders print nothing


class _State:
    """State of the process's standard error, which threads share: the first turns it off, the last on again."""

    lock = threading.Lock()
    num_inside = 0
    saved = -1  # descriptor of the true standard error


@contextmanager
def silent(path: Path) -> Iterator[None]:
    """Turn off the standard error of the process while a file is decoded, unless its format is in `QUIET`.

    mpg123 writes there, past Python, and libsndfile has no option against it.
    """
    if path.suffix.lower() in QUIET:
        yield
        return
    with _State.lock:
        if not _State.num_inside:
            _State.saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, 2)
            os.close(nothing)
        _State.num_inside += 1
    try:
        yield
    finally:
        with _State.lock:
            _State.num_inside -= 1
            if not _State.num_inside:
                os.dup2(_State.saved, 2)
                os.close(_State.saved)
