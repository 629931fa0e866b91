"""Output of commands to a terminal, a file or a pipe that may be closed."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

# Warnings of libraries that a user cannot act on, as patterns.
KNOWN_WARNINGS = (
    ".*LeafSpec.* is deprecated",  # Lightning uses it
    ".*your dataloader is not resumable",  # wrong: BatchKeys resumes
    ".*broadcast_buffers. is deprecated",  # torch 2.11 lacks its replacement
    ".*sync_dist=True",  # torchmetrics syncs metrics; times need no sync
    ".*smaller than the logging interval",  # an epoch logs its means in any case
    ".*Detected pickle protocol",  # of a file that is then refused in one line
    ".*`srun` command is available on your system",  # a command on a login node is not meant to run in Slurm
)


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


def ignore_known_warnings() -> None:
    """Send warnings to the log, without those of `KNOWN_WARNINGS`."""
    logging.captureWarnings(True)
    for known in KNOWN_WARNINGS:
        warnings.filterwarnings("ignore", message=known)
