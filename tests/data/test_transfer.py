"""A transfer goes on where it broke off, and takes only the published file."""

import hashlib

import numpy as np
import pytest
import requests

from file_server import Answer, FileServer
from unmix.data import transfer
from unmix.data.byte_progress import ByteProgress

CONTENT = np.random.default_rng(0).bytes(100_000)
MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0, 0, 0))
    monkeypatch.setattr(transfer, "CHUNK", 1000)
    with FileServer(CONTENT) as running:
        yield running


@pytest.fixture
def file(tmp_path):
    return tmp_path / "data.zip"


def download(server, file, **options):
    sizes = []
    arguments = {"num_bytes": len(CONTENT), "checksum": MD5, "progress": ByteProgress(sizes.append, print), **options}
    assert transfer.download(server.url, file, **arguments) == file
    assert file.read_bytes() == CONTENT
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    return sizes


def test_a_file_is_fetched_once(server, file):
    sizes = download(server, file)
    assert (sizes[0], sizes[-1], sorted(sizes)) == (0, len(CONTENT), sizes)
    download(server, file)
    assert server.asked == [None]


def test_a_broken_connection_is_continued_where_it_broke(server, file):
    server.answers = [Answer(breaks_after=40_000), Answer(breaks_after=30_000)]
    download(server, file)
    assert server.asked == [None, "bytes=40000-", "bytes=70000-"]


def test_a_connection_that_ends_early_without_a_length_is_continued(server, file):
    server.answers = [Answer(breaks_after=40_000, length="")]
    download(server, file)
    assert server.asked == [None, "bytes=40000-"]


def test_a_busy_server_is_asked_again(server, file):
    server.answers = [Answer(status=503), Answer(status=429)]
    download(server, file)
    assert server.asked == [None] * 3


def test_what_arrived_before_is_kept_by_the_next_call(server, file, monkeypatch):
    server.answers = [Answer(breaks_after=40_000), *[Answer(status=503)] * 3]
    with pytest.raises(OSError) as failure:
        download(server, file)
    assert str(failure.value) == (
        f"data.download: {server.url} cannot be fetched (the server answers 503 Service Unavailable); 40.0 kB of "
        "100.0 kB are there, the same command goes on; or fetch and unpack it by hand and set data.root"
    )
    assert file.with_suffix(".part").read_bytes() == CONTENT[:40_000]
    assert download(server, file)[0] == 40_000
    assert server.asked[-1] == "bytes=40000-"


def test_connections_that_bring_something_are_not_counted_as_failures(server, file):
    server.answers = [Answer(breaks_after=2000) for _ in range(10)]
    download(server, file)
    assert len(server.asked) == 11


def test_a_server_that_always_breaks_off_and_never_resumes_is_given_up(server, file):
    server.answers = [Answer(breaks_after=40_000, ranges=False)] * 10
    with pytest.raises(OSError, match=r"; 40.0 kB of 100.0 kB are there"):
        download(server, file)
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    "second",
    [
        Answer(ranges=False),
        Answer(content_range="bytes 0-99999/100000"),
        Answer(content_range="bytes 40000-49999/50000"),
        Answer(content_range="something"),
        Answer(status=416),
    ],
)
def test_a_server_that_does_not_resume_this_file_sends_all_of_it(server, file, second, capsys):
    server.answers = [Answer(breaks_after=40_000), second]
    sizes = download(server, file)
    assert "starting anew" in capsys.readouterr().out
    assert sizes[-1] == len(CONTENT)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(length="99999"), "the server has a file of 99999 bytes, the published one has 100000"),
        (Answer(length="200000"), "the server has a file of 200000 bytes"),
        (Answer(content=CONTENT[:-1]), "the server has a file of 99999 bytes"),
        (Answer(content=CONTENT * 2, length=""), "the server has sent more than the 100000 bytes"),
        (Answer(status=404), "the server answers 404 Not Found"),
    ],
)
def test_another_file_than_the_published_one_is_refused_at_once_and_not_kept(server, file, answer, message):
    server.answers = [answer]
    with pytest.raises(OSError, match=message):
        download(server, file)
    assert len(server.asked) == 1
    assert list(file.parent.iterdir()) == []


def test_a_file_with_another_checksum_is_removed(server, file):
    wrong = CONTENT[::-1]
    server.answers = [Answer(content=wrong)]
    with pytest.raises(ValueError) as refusal:
        download(server, file)
    assert str(refusal.value) == (
        "data.download: MD5 hash of downloaded file (data.zip) does not match the known hash: expected "
        f"{MD5} but got {hashlib.md5(wrong).hexdigest()}; removed it, the same command fetches it again"
    )
    assert list(file.parent.iterdir()) == []
    download(server, file)


def test_a_file_that_was_damaged_on_the_disk_is_fetched_again(server, file):
    file.write_bytes(CONTENT[::-1])
    download(server, file)
    assert server.asked == [None]


@pytest.mark.parametrize("part", [None, CONTENT[:500]])
def test_a_file_that_was_killed_while_it_was_checked_is_not_fetched_again(server, file, part):
    (file.parent / "tmp123").write_bytes(CONTENT)
    if part is not None:
        file.with_suffix(".part").write_bytes(part)
    download(server, file)
    assert server.asked == []


def test_an_empty_file_that_a_killed_process_left_is_removed(server, file):
    (file.parent / "tmp123").touch()
    file.with_suffix(".part").write_bytes(CONTENT[:500])
    download(server, file)
    assert server.asked == ["bytes=500-"]


def test_a_server_that_cannot_be_reached_is_named_with_the_reason(server, file):
    server.http.socket.close()
    with pytest.raises(OSError, match=r"data.zip cannot be fetched \(Connection refused\); 0 bytes of 100.0 kB"):
        download(server, file)


def test_a_server_that_falls_silent_is_given_up(server, file, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUTS", (5, 0.1))
    server.answers = [Answer(hangs_after=0)] * 9
    with pytest.raises(OSError, match=r"cannot be fetched \(timed out\); 0 bytes"):
        download(server, file)


def test_the_reason_of_a_failure_is_the_innermost_error():
    error = requests.ConnectionError("HTTPSConnectionPool(...)")
    error.__cause__ = OSError(111, "Connection refused")
    assert transfer.reason(error) == "Connection refused"
    assert transfer.reason(requests.Timeout()) == "Timeout"
