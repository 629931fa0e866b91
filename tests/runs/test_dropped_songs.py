"""Songs that are dropped on the served listening page."""

import base64
import http.client
import io
import json
import shutil
import socket
import threading
from contextlib import contextmanager
from urllib.parse import urlencode

import numpy as np
import pytest
import soundfile
import torch

from unmix.reports.listening_page import Uploads
from unmix.reports.serving import Server
from unmix.runs import dropped_songs
from unmix.runs.dropped_songs import BUSY, DroppedSongs

UGLY = '<img src=x onerror=alert(1)> "quoted" & </script>' + "x" * 300 + ".wav"


class Half:
    """A method whose vocals are half of the song and whose drums are the rest, in blocks of 0.1 s."""

    name, targets, can_separate_songs = "half", ["vocals", "drums"], True

    def __init__(self, before=lambda: None, error=None, is_endless=False):
        self.before, self.error, self.is_endless = before, error, is_endless
        self.is_closed = threading.Event()

    def separate(self, song, audio, samples):
        try:
            self.before()
            if self.error:
                raise self.error
            step = song.rate // 10
            for start in range(samples.start, samples.stop, step):
                block = torch.from_numpy(audio(start, min(start + step, samples.stop))) / 2
                yield torch.stack([block, block])
            while self.is_endless:
                yield torch.zeros(2, song.channels, 1000)
        finally:
            self.is_closed.set()


class Oracle:
    name, targets, can_separate_songs = "oracle", ["vocals", "drums"], False


@contextmanager
def serving(*methods, seconds=1.0, most=1.0, kind="flac"):
    with (
        DroppedSongs(methods, ["vocals", "drums"], Uploads(most, seconds), kind) as dropped,
        Server({"POST /songs": dropped.answer}, port=0) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server, dropped
        finally:
            server.shutdown()
            thread.join()


def send(server, body, name="song.wav", **query):
    """Status of the answer, and its lines or its text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("POST", f"/songs?{urlencode({'name': name, **query})}", body)
    answer = connection.getresponse()
    content = answer.read().decode()
    connection.close()
    return answer.status, [json.loads(line) for line in content.splitlines()] if answer.status == 200 else content


def wav(seconds=2.0, rate=22050, channels=1, kind="WAV"):
    """A tone that is loudest in its third quarter, as a file."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.1 * np.sin(2 * np.pi * 220 * time) * np.where((time >= seconds / 2) & (time < 0.75 * seconds), 5, 1)
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([tone] * channels, -1), rate, format=kind)
    return buffer.getvalue()


def clips(lines):
    encoded = {line["clip"]: line["audio"] for line in lines if "clip" in line}
    return {key: soundfile.read(io.BytesIO(base64.b64decode(text)), always_2d=True) for key, text in encoded.items()}


@pytest.mark.parametrize("channels", [1, 2])
def test_a_song_comes_back_as_a_track_of_mixture_and_stems(channels):
    with serving(Oracle(), Half(), Half()) as (server, dropped):
        status, lines = send(server, wav(channels=channels), UGLY, start="0.5")
        assert status == 200
        assert list(dropped.folder.iterdir()) == []
    shares = [line["share"] for line in lines if "share" in line]
    assert shares == sorted(shares)
    assert {0.0, 0.25, 0.5, 1.0} <= set(np.round(shares, 6))
    track = lines[-1]["track"]
    assert track == {
        "name": " ".join(UGLY.split()),
        "start": 0.5,
        "seconds": 1.0,
        "rate": 22050,
        "channels": channels,
        "sdr": [[None, None]] * 3,
    }
    heard = clips(lines)
    assert sorted(heard) == ["0-0", "3-0", "3-1", "4-0", "4-1"]  # neither the reference nor the oracle has stems
    mixture, rate = heard["0-0"]
    assert (rate, mixture.shape) == (22050, (22050, channels))
    assert np.abs(heard["3-0"][0] - mixture / 2).max() < 1e-4


def test_the_loudest_part_is_separated_without_a_start():
    with serving(Half(), seconds=0.5) as (server, _):
        assert send(server, wav())[1][-1]["track"]["start"] == pytest.approx(1.0)
        assert send(server, wav(), start="0")[1][-1]["track"]["start"] == 0
        assert send(server, wav(0.3))[1][-1]["track"]["seconds"] == pytest.approx(0.3)


def test_other_formats_are_read_and_the_folder_stays_empty(monkeypatch):
    with serving(Half()) as (server, dropped):
        for kind in ("FLAC", "MP3"):
            status, lines = send(server, wav(rate=44100, kind=kind), f"a.{kind.lower()}")
            assert (status, lines[-1]["track"]["rate"]) == (200, 44100)
        if shutil.which("ffmpeg"):
            assert send(server, wav(), "a.m4a")[0] == 200  # a WAV behind the ending of a format that FFmpeg decodes
        monkeypatch.setattr("unmix.data.ffmpeg.is_installed", lambda: False)
        assert send(server, wav(), "a.m4a") == (
            422,
            "FFmpeg is needed to read it, which is not installed: run `make ffmpeg`\n",
        )
        assert list(dropped.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "query", "status", "message"),
    [
        (b"", {}, 400, "the file is empty"),
        (b"no audio" * 100, {}, 422, "not a readable audio file"),
        (b"no audio" * 100, {"name": "a.m4a"}, 422, "not a readable audio file"),
        (bytes(1_100_000), {}, 413, "got 1.1 MB, at most 1 MB: start listen.py with a larger max_upload_mb"),
        (wav(0), {}, 422, "holds no sample"),
        (wav(), {"start": "7"}, 422, "start: got 7 s, the song has 2.00 s"),
        (wav(), {"start": "-1"}, 400, "start: got '-1', seconds from the start of the song are needed"),
        (wav(), {"start": "nan"}, 400, "start: got 'nan', seconds from the start of the song are needed"),
        (wav(), {"start": "soon"}, 400, "start: got 'soon', seconds from the start of the song are needed"),
        (wav(6.5), {}, 422, "got 0.108 min, at most 0.1 min: cut it, or use separate.py"),
        (wav(0.1, channels=9), {}, 422, "format: got flac, which has no audio of 22050 Hz and 9 channels"),
    ],
    ids=["empty", "text", "video", "large", "silent", "after", "negative", "nan", "word", "long", "channels"],
)
def test_what_cannot_be_separated_is_one_line_and_the_next_song_is_separated(monkeypatch, body, query, status, message):
    monkeypatch.setattr(dropped_songs, "MOST_MINUTES", 0.1)
    with serving(Half()) as (server, dropped):
        got, text = send(server, body, **query)
        assert got == status
        assert message in text
        assert len(text.splitlines()) == 1
        assert str(dropped.folder) not in text
        assert list(dropped.folder.iterdir()) == []
        assert send(server, wav())[0] == 200


def test_a_second_song_is_told_that_the_first_is_being_separated():
    is_begun, goes_on = threading.Event(), threading.Event()
    method = Half(before=lambda: (is_begun.set(), goes_on.wait(30)))
    with serving(method) as (server, dropped):
        answers = []
        first = threading.Thread(target=lambda: answers.append(send(server, wav())))
        first.start()
        assert is_begun.wait(30)
        assert list(dropped.folder.iterdir()) == []  # already while it is read
        assert send(server, wav()) == (409, f"{BUSY}\n")
        goes_on.set()
        first.join()
        assert answers[0][0] == 200
        assert send(server, wav())[0] == 200


@pytest.mark.parametrize("sent", [100, None], ids=["in the upload", "in the answer"])
def test_a_browser_that_leaves_frees_the_place(sent):
    method, body = Half(is_endless=True), wav()
    with serving(method) as (server, dropped):
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=30) as connection:
            head = f"POST /songs?name=a.wav HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[:sent])
            if sent is None:
                answer = connection.makefile("rb")
                assert any(b'"share": 0.1' in line for line in answer)  # the first block
                answer.close()
            else:
                connection.shutdown(socket.SHUT_WR)
                assert b"the upload ended 88.1 kB early" in b"".join(iter(lambda: connection.recv(4096), b""))
        if sent is None:
            assert method.is_closed.wait(30)
        method.is_endless = False
        assert dropped._is_free.acquire(timeout=30)
        dropped._is_free.release()
        assert send(server, body)[0] == 200
        assert list(dropped.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [(ValueError("a rate\nof 1 Hz"), "a rate of 1 Hz"), (RuntimeError("out of memory"), "out of memory")],
)
def test_an_error_while_a_song_is_separated_is_the_last_line(error, message):
    method = Half(error=error)
    with serving(method) as (server, _):
        status, lines = send(server, wav())
        assert (status, lines[-1]) == (200, {"error": message})
        method.error = None
        assert "track" in send(server, wav())[1][-1]


def test_the_end_of_the_command_ends_a_separation_and_leaves_no_file():
    is_begun, goes_on = threading.Event(), threading.Event()
    with serving(Half(before=lambda: (is_begun.set(), goes_on.wait(30)))) as (server, dropped):
        answers = []
        first = threading.Thread(target=lambda: answers.append(send(server, wav())))
        first.start()
        assert is_begun.wait(30)
        ending = threading.Thread(target=lambda: dropped.__exit__(None, None, None))
        ending.start()
        while not dropped._is_ended:
            pass
        assert ending.is_alive()  # until the block is separated
        goes_on.set()
        ending.join()
        first.join()
        assert answers[0][1][-1] == {"error": "listen.py was ended"}
        assert not dropped.folder.exists()
