"""An HTTP server of one file on this machine, whose answers can break off, lie and fail."""

import hashlib
import io
import re
import threading
import zipfile
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from unmix.data.download import Archive


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        breaks_after: number of bytes after which the connection ends; None sends all.
        hangs_after: number of bytes after which nothing more comes; None sends all.
        status: HTTP status code of an error; None sends the file.
        length: value of Content-Length, if it is to be wrong; "" leaves it out.
        ranges: whether `Range` is respected.
        content_range: value of Content-Range, if it is to be wrong.
        content: another file than the server's.
    """

    breaks_after: int | None = None
    hangs_after: int | None = None
    status: int | None = None
    length: str | None = None
    ranges: bool = True
    content_range: str | None = None
    content: bytes | None = None


class FileServer:
    """Serves `content` under every path; as a context manager it runs in a thread.

    Attributes:
        answers: answers to the next requests, in order; the ones after them are right.
        asked: value of `Range` of every request, None without.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.answers, self.asked = content, [], []
        self.is_over = threading.Event()
        file_server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                file_server.asked.append(self.headers.get("Range"))
                answer = file_server.answers.pop(0) if file_server.answers else Answer()
                file_server.reply(self, answer)

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/records/1/files/data.zip"

    def __enter__(self):
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.is_over.set()
        self.http.shutdown()
        self.http.server_close()

    def reply(self, handler: BaseHTTPRequestHandler, answer: Answer) -> None:
        if answer.status is not None:
            handler.send_error(answer.status)
            return
        content = self.content if answer.content is None else answer.content
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", "")) if answer.ranges else None
        start = int(asked[1]) if asked else 0
        if start and start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if asked else 200)
        if asked:
            right = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", answer.content_range or right)
        if answer.length != "":
            handler.send_header("Content-Length", answer.length or str(len(content) - start))
        handler.end_headers()
        handler.wfile.write(content[start:][: _first(answer.breaks_after, answer.hangs_after)])
        handler.wfile.flush()
        if answer.hangs_after is not None:
            self.is_over.wait()


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def zipped(folder: Path, top: str = "") -> bytes:
    """A zip file of a folder, below a folder `top`."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, f"{top}{path.relative_to(folder)}")
    return file.getvalue()


def published_at(server: FileServer, name: str = "musdb18hq", **changes: object) -> Archive:
    """The archive that a server has."""
    checksum = f"md5:{hashlib.md5(server.content).hexdigest()}"
    return replace(Archive(name, server.url, len(server.content), 2 * len(server.content), checksum), **changes)
