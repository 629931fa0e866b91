"""A song of the visitor's own on the served listening page."""

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import listening
import numpy as np
import pytest
import soundfile
import torch
from playwright.sync_api import Page, expect

from unmix.reports.listening_page import Uploads, to_html
from unmix.reports.serving import Response, Server
from unmix.runs.dropped_songs import DroppedSongs

OpenPage = Callable[..., Page]
UGLY = "my <b>song</b> & 'more' " + "x" * 200 + ".wav"


class Half:
    """A method whose vocals are half of the song, once it may go on."""

    name, targets, can_separate_songs = "umx", ("vocals",), True

    def __init__(self) -> None:
        self.goes_on = threading.Event()
        self.goes_on.set()

    def separate(self, song: Any, audio: Any, samples: range) -> Iterator[torch.Tensor]:
        middle = (samples.start + samples.stop) // 2
        for start, stop in ((samples.start, middle), (middle, samples.stop)):
            yield torch.from_numpy(audio(start, stop))[None] / 2
            self.goes_on.wait(30)


@contextmanager
def served(method: Half) -> Iterator[str]:
    """Address of a page of one method."""
    uploads = Uploads(max_upload_mb=1, seconds=1)
    page = to_html(["umx"], [listening.excerpt(methods=[listening.SOURCES], seconds=0.3)], "flac", uploads)
    methods: Any = [method]
    with (
        DroppedSongs(methods, listening.SOURCES, uploads, "flac") as dropped,
        Server({"GET /": lambda _: Response(page.encode()), "POST /songs": dropped.answer}, port=0) as server,
    ):
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.address
        finally:
            method.goes_on.set()
            server.shutdown()
            thread.join()


def choose(page: Page, content: bytes, name: str = "song.wav") -> None:
    page.get_by_label("Song", exact=True).set_input_files({"name": name, "mimeType": "audio/wav", "buffer": content})


def wav(seconds: float = 2) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, listening.noise(5, seconds).T.numpy(), 44100, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_song_is_heard_as_a_further_track_and_saved_on_demand(open_page: OpenPage, width: int, dark: bool) -> None:
    with served(Half()) as address:
        page = open_page(address, width=width, dark=dark)
        page.evaluate("ready")
        page.get_by_label("From second").fill("0.5")
        choose(page, wav(), UGLY)
        listening.wait_for(page, "state.track === 1 && player.clips.length === 2")
        assert page.evaluate("[tracks[1].name, tracks[1].start, methods[state.method]]") == [UGLY, 0.5, "umx"]
        expect(page.locator("#drop-status")).to_contain_text("1.0 s from 0:00.5 are the last entry")
        assert page.get_by_title("umx has no drums").inner_text() == "absent"
        page.get_by_role("button", name="umx, vocals alone").click()
        page.get_by_text("Save what you hear of").click()
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save umx vocals").click()
        assert saved.value.suggested_filename.endswith(".umx.vocals.flac")
        samples = soundfile.read(saved.value.path())[0].T
        assert np.abs(samples - listening.noise(5, 2)[:, 22050:66150].numpy() / 2).max() < 1e-4
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.evaluate("open(0)")
        listening.wait_for(page, "state.track === 0 && player.clips.length === 9")


def test_what_cannot_be_separated_is_said_on_the_page_and_the_next_song_is_separated(open_page: OpenPage) -> None:
    with served(Half()) as address:
        page = open_page(address)
        page.evaluate("ready")
        status = page.locator("#drop-status")
        choose(page, b"no audio" * 100, "notes <i>.wav")
        expect(status).to_contain_text("notes <i>.wav: not a readable audio file")
        choose(page, bytes(1_200_000))
        expect(status).to_have_text("song.wav: got 1.2 MB, at most 1 MB: start listen.py with a larger max_upload_mb.")
        choose(page, b"")
        expect(status).to_have_text("song.wav: the file is empty.")
        page.get_by_label("From second").fill("-1")
        choose(page, wav())
        expect(status).to_contain_text("From second: a number from 0 on is needed")
        page.get_by_label("From second").fill("")
        choose(page, wav())
        listening.wait_for(page, "state.track === 1")


def test_progress_is_shown_a_second_song_waits_and_a_song_can_be_cancelled(open_page: OpenPage) -> None:
    method = Half()
    method.goes_on.clear()
    with served(method) as address:
        page = open_page(address)
        page.evaluate("ready")
        choose(page, wav())
        expect(page.locator("#drop-percent")).to_have_text("50 %: umx")
        assert page.get_by_role("progressbar", name="Separated").get_attribute("value") == "0.5"
        choose(page, wav(), "second.wav")
        expect(page.locator("#drop-status")).to_contain_text("Busy: a song is being separated")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#drop-status")).to_have_text("song.wav: cancelled.")
        assert page.locator("#drop-doing").is_hidden()
        assert page.evaluate("tracks.length") == 1


def test_a_song_can_be_dropped_anywhere_and_two_are_refused(open_page: OpenPage) -> None:
    make = """(names) => names.reduce((data, name) => {
        data.items.add(new File(["no audio"], name));
        return data;
    }, new DataTransfer())"""
    with served(Half()) as address:
        page = open_page(address)
        page.evaluate("ready")
        for names, text in ((["a", "b"], "One song at a time: drop a single file."), (["a.wav"], "a.wav: ")):
            data = page.evaluate_handle(make, names)
            page.dispatch_event("#wave", "dragover", {"dataTransfer": data})
            assert page.evaluate("document.body.className") == "over"
            page.dispatch_event("#wave", "drop", {"dataTransfer": data})
            assert page.evaluate("document.body.className") == ""
            expect(page.locator("#drop-status")).to_contain_text(text)
        listening.wait_for(page, "!sending")
        expect(page.locator("#drop-status")).to_contain_text("a.wav: not a readable audio file")


def test_a_page_that_is_a_file_takes_no_song(open_page: OpenPage, tmp_path: Any) -> None:
    path = tmp_path / "page.html"
    path.write_text(to_html(["umx"], [listening.excerpt(methods=[["vocals"]], seconds=0.2)], "flac", Uploads(1, 1)))
    assert open_page(path).locator("#drop").is_hidden()
