"""What commands print: lines of their log, for a terminal, a file or a pipe that may be closed."""

import logging
import os
import sys
from typing import TextIO


class Console(logging.StreamHandler[TextIO]):
    """Handler that goes on silently when the reader of a pipe, such as `head`, has seen enough: the work goes on."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if isinstance(sys.exc_info()[1], BrokenPipeError):
            mute(self.stream)
        else:
            super().handleError(record)


def mute(stream: TextIO) -> None:
    """Discard what is printed to a stream from now on, and what is in its buffer."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
