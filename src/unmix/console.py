"""Output of commands to a terminal, a file or a pipe that may be closed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO


class PatientStream:
    """Stream that discards what it cannot write once the reader of its pipe, such as `head`, has seen enough.

    Args:
        stream: where it writes; everything but writing is this stream's.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _mute(self._stream)
            return len(text)

    def flush(self) -> None:
        """Write what is in the buffer."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            _mute(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def patient() -> Iterator[None]:
    """Make both standard streams a `PatientStream` within the block: a closed pipe neither ends a command nor is said.

    The work of the command goes on, and its exit code is that of the work.
    """
    streams = PatientStream(sys.stdout), PatientStream(sys.stderr)
    with redirect_stdout(streams[0]), redirect_stderr(streams[1]):
        try:
            yield
        finally:
            for stream in streams:
                stream.flush()  # here, as an error at the end of the interpreter is printed


def _mute(stream: TextIO) -> None:
    """Discard what is printed to a stream from now on, and what is in its buffer."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
