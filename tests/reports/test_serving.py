import http.client
import socket
import threading
from contextlib import contextmanager

import pytest

from unmix.reports.serving import Refused, Response, Server, files


@contextmanager
def serving(routes):
    with Server(routes, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def ask(server, method, path, body=None, **headers):
    """Status, headers and content of the answer; names of headers with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def hello(request):
    return Response(f"{request.path} {request.query.get('q')}".encode())


def test_a_route_answers_with_its_path_and_query_and_any_other_is_refused():
    with serving({"GET /a b": hello}) as server:
        assert ask(server, "GET", "/a%20b?q=1&q=2")[::2] == (200, b"/a b 2")
        status, headers, content = ask(server, "GET", "/c")
        assert (status, headers["Content-Type"]) == (404, "text/plain; charset=utf-8")
        assert content == b"GET /c: there is no such page\n"
        status, headers, content = ask(server, "HEAD", "/a%20b")
        assert (status, headers["Content-Length"], content) == (200, "9", b"")
        assert ask(server, "POST", "/a%20b")[0] == 404


def test_an_unchanged_page_is_not_sent_again():
    pages = [b"one"]
    with serving({"GET /": lambda request: Response(pages[0])}) as server:
        _, headers, _ = ask(server, "GET", "/")
        assert ask(server, "GET", "/", If_None_Match=headers["ETag"])[::2] == (304, b"")
        pages[0] = b"two"
        assert ask(server, "GET", "/", If_None_Match=headers["ETag"])[::2] == (200, b"two")


def test_content_is_sent_in_pieces():
    with serving({"GET /": lambda request: Response(iter([b"a", b"b"]), "text/plain")}) as server:
        assert ask(server, "GET", "/")[::2] == (200, b"ab")


def test_what_is_sent_reaches_the_handler_and_a_refusal_says_why_after_a_large_upload():
    def take(request):
        if request.length > 10:
            raise Refused(413, f"song: {request.length} bytes, at most 10")
        return Response(request.body.read(request.length)[::-1])

    with serving({"POST /songs": take}) as server:
        assert ask(server, "POST", "/songs", b"abc")[::2] == (200, b"cba")
        large = bytes(3 << 20)
        assert ask(server, "POST", "/songs", large)[::2] == (413, b"song: 3145728 bytes, at most 10\n")
        assert ask(server, "POST", "/songs", iter([b"abc"]), Transfer_Encoding="chunked")[0] == 411


def test_a_page_elsewhere_can_neither_read_nor_send():
    with serving({"GET /": hello, "POST /": hello}) as server:
        assert ask(server, "GET", "/", Host="evil.example")[::2] == (
            403,
            b"Host: got 'evil.example', allowed 127.0.0.1, localhost\n",
        )
        assert ask(server, "GET", "/", Host="localhost:9000")[0] == 200  # a forwarded port
        assert ask(server, "POST", "/", b"", Origin="https://evil.example")[0] == 403
        assert ask(server, "POST", "/", b"", Origin=server.address.rstrip("/"))[0] == 200


def test_an_error_of_a_handler_is_one_line_and_the_server_goes_on(caplog):
    def fail(request):
        raise RuntimeError("first\nsecond")

    with serving({"GET /fail": fail, "GET /": hello}) as server:
        assert ask(server, "GET", "/fail")[::2] == (500, b"first second\n")
        assert ask(server, "GET", "/")[0] == 200
    assert "GET /fail" in caplog.text


def test_files_of_a_folder_are_sent_whole_or_in_part_and_no_other(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a b.wav").write_bytes(b"0123456789")
    (folder / ".hidden").write_bytes(b"secret")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(tmp_path / "secret")
    with serving({"GET /*": files(folder)}) as server:
        status, headers, content = ask(server, "GET", "/a%20b.wav")
        assert (status, content) == (200, b"0123456789")
        assert headers["Content-Type"] in ("audio/x-wav", "audio/wav", "audio/vnd.wave")
        for span, expected in (("bytes=2-4", b"234"), ("bytes=7-", b"789"), ("bytes=8-99", b"89")):
            status, headers, content = ask(server, "GET", "/a%20b.wav", Range=span)
            assert (status, content) == (206, expected)
            assert headers["Content-Range"].endswith("/10")
        for span in ("bytes=99-", "lines=1-2", "bytes=-3"):
            assert ask(server, "GET", "/a%20b.wav", Range=span)[0] == 200
        for path in ("/.hidden", "/../secret", "/%2e%2e/secret", "/link", "/", "/missing"):
            assert ask(server, "GET", path)[0] == 404


def test_a_port_in_use_is_refused_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"^port: got {port}: address already in use; name a free one, or port=0"):
            Server({}, port)
