"""A page that is made again when it is asked for, but not all the time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from unmix.reports.serving import Request, Response, Routes, files

SHARE = 0.1  # of the time, at most, that goes into making the page


class LivePage:
    """Answers with a page, made again once it is older than ten times what making it took.

    Args:
        make: makes the page, an HTML text.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        self.make = make
        self.content = b""
        self.expires = -float("inf")
        self.lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Answer a request; one thread at a time makes the page."""
        with self.lock:
            start = time.monotonic()
            if start >= self.expires:
                self.content = self.make().encode()
                end = time.monotonic()
                self.expires = end + (end - start) / SHARE
            return Response(self.content)


def routes(make: Callable[[], str], folder: Path) -> Routes:
    """Routes of a page at `/`, and of the files of a folder, to which it links."""
    return {"GET /": LivePage(make), "GET /*": files(folder)}
