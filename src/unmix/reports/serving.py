"""A web server for pages, reachable from this machine only: the standard library's, with one thread per request."""

import hashlib
import logging
import mimetypes
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from unmix.errors import one_line

log = logging.getLogger(__name__)

HOST = "127.0.0.1"  # the loopback interface, which no other machine reaches
NAMES = (HOST, "localhost")  # in the header Host; any other is a page elsewhere whose name was pointed at this machine
PORT = 8765  # the default
SECONDS = 60  # without a byte from the browser, after which a connection is given up
_PIECE = 1 << 20  # bytes read from a file or a refused upload at a time


@dataclass(frozen=True)
class Request:
    """A request to a handler.

    Args:
        path: decoded path, from the slash on.
        query: parameters after the question mark, the last of equal names.
        headers: headers; names in any case.
        body: the content that is sent with the request, of `length` bytes.
        length: size of the content, 0 without any.
    """

    path: str
    query: Mapping[str, str]
    headers: Message
    body: BufferedIOBase
    length: int


@dataclass(frozen=True)
class Response:
    """The answer of a handler: its content, in one piece or in several, or a file; and the media type."""

    content: bytes | Iterable[bytes] | Path
    type: str = "text/html; charset=utf-8"
    status: int = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """Raised by a handler to answer with a status other than 200 and one line of text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


Handler = Callable[[Request], Response]
Routes = Mapping[str, Handler]  # as `GET /` or `POST /songs`; `GET /*` is every path that no other route has


class Server(ThreadingHTTPServer):
    """Serves pages on this machine; the port is taken when the server is made, so that it can be refused early.

    Args:
        routes: method and path -> what answers. HEAD is answered as GET, without the content.
        port: of the loopback interface; 0 is any that is free.
    Raises:
        ValueError: when the port is taken, or needs rights that this process lacks.
    """

    daemon_threads = True  # a browser that keeps a connection does not keep the command
    allow_reuse_address = True  # only where the port is not listened to

    def __init__(self, routes: Routes, port: int = PORT) -> None:
        self.routes = routes
        try:
            super().__init__((HOST, port), _Connection)
        except OSError as error:
            remedy = "name a free one, or port=0 for any that is free"
            raise ValueError(f"port: got {port}: {(error.strerror or str(error)).lower()}; {remedy}") from error

    @property
    def address(self) -> str:
        """URL of the first page."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of a connection; one that the browser closed is none."""
        log.debug("a connection ended early", exc_info=True)

    def run(self) -> None:
        """Say where the page is, and serve until a signal ends the command."""
        print(f"page: {self.address} (on this machine only; Ctrl-C ends it)", flush=True)  # noqa: T201
        with self:
            self.serve_forever()


class _Connection(BaseHTTPRequestHandler):
    """Answers the request of one connection, and closes it."""

    server: Server
    timeout = SECONDS

    def do_GET(self) -> None:
        self._answer("GET")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        self._answer("POST")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)

    def _answer(self, method: str) -> None:
        try:
            response = self._response(method)
        except Refused as refusal:
            self._discard()
            response = Response(f"{refusal}\n".encode(), "text/plain; charset=utf-8", refusal.status)
        except Exception as error:  # the others go on
            log.exception("%s %s", method, self.path)
            response = Response(f"{one_line(error)}\n".encode(), "text/plain; charset=utf-8", 500)
        self._send(response)

    def _response(self, method: str) -> Response:
        address = urlsplit(self.path)
        path, host = unquote(address.path), self.headers.get("Host", "")
        if urlsplit(f"//{host}").hostname not in NAMES:
            raise Refused(HTTPStatus.FORBIDDEN, f"Host: got {host!r}, allowed {', '.join(NAMES)}")
        origin = self.headers.get("Origin")
        if method != "GET" and origin is not None and urlsplit(origin).netloc != host:
            raise Refused(HTTPStatus.FORBIDDEN, f"Origin: got {origin!r}, only this server's own page may send")
        routes = self.server.routes
        handler = routes.get(f"{method} {path}") or routes.get(f"{method} /*")
        if handler is None:
            raise Refused(HTTPStatus.NOT_FOUND, f"{method} {path}: there is no such page")
        return handler(Request(path, dict(parse_qsl(address.query)), self.headers, self.rfile, self._length()))

    def _length(self) -> int:
        text = self.headers.get("Content-Length", "0")
        if not text.isdecimal() or "Transfer-Encoding" in self.headers:
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "Content-Length: the size of what is sent is needed")
        return int(text)

    def _discard(self) -> None:
        """Read what the browser still sends, which otherwise never reads why it was refused."""
        self.connection.settimeout(1)
        try:
            left = self._length() if self.command == "POST" else 0
            while left > 0 and (piece := self.rfile.read1(min(left, _PIECE))):
                left -= len(piece)
        except (OSError, Refused):
            return  # there was less than it said, as the handler has read a part

    def _send(self, response: Response) -> None:
        content, headers, status = response.content, dict(response.headers), response.status
        if isinstance(content, bytes) and status == HTTPStatus.OK and self.command != "POST":
            headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                status, content = HTTPStatus.NOT_MODIFIED, b""
        pieces: Iterable[bytes]
        if isinstance(content, Path):
            status, pieces, sizes = _range_of(content, self.headers.get("Range"))
            headers |= {"Accept-Ranges": "bytes", **sizes}
        elif isinstance(content, bytes):
            pieces, headers["Content-Length"] = (content,), str(len(content))
        else:
            pieces = content
        self.send_response(status)
        for name, value in {"Content-Type": response.type, "Cache-Control": "no-cache", **headers}.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        try:
            for piece in pieces if self.command != "HEAD" else ():
                self.wfile.write(piece)
        finally:  # a browser that leaves ends the work for it
            if isinstance(pieces, Generator):
                pieces.close()


def _range_of(path: Path, wanted: str | None) -> tuple[int, Iterable[bytes], dict[str, str]]:
    """Status, content and headers for a file, or for the part `bytes=first-last` of it, with which players seek."""
    size = path.stat().st_size
    first, last, status, headers = 0, size - 1, HTTPStatus.OK, {}
    unit, _, span = (wanted or "").partition("=")
    start, dash, stop = span.partition("-")
    if unit == "bytes" and dash and start.isdecimal() and int(start) < size and (not stop or stop.isdecimal()):
        first, last, status = int(start), min(int(stop or last), last), HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    headers["Content-Length"] = str(max(0, last - first + 1))
    return status, _pieces(path, first, last - first + 1), headers


def _pieces(path: Path, start: int, left: int) -> Iterable[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while left > 0 and (piece := file.read(min(left, _PIECE))):
            left -= len(piece)
            yield piece


def files(folder: Path) -> Handler:
    """Make a handler that answers with the files of a folder, by their path below it; hidden ones stay hidden."""

    def answer(request: Request) -> Response:
        relative = Path(request.path.lstrip("/"))
        path = (folder / relative).resolve()
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if is_hidden or not path.is_relative_to(folder.resolve()) or not path.is_file():
            raise Refused(HTTPStatus.NOT_FOUND, f"{request.path}: there is no such file")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return Response(path, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)

    return answer
