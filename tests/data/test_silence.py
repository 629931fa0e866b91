"""What decoders print on standard error does not reach the terminal, and what others print does."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data import pcm
from unmix.data.silence import silent


@pytest.fixture
def noisy(monkeypatch):
    """libsndfile with decoders that print, as mpg123 does, past Python."""
    for owner, name in ((soundfile, "info"), (soundfile.SoundFile, "read"), (soundfile.SoundFile, "seek")):
        original = getattr(owner, name)

        def speak(*arguments, original=original, **options):
            os.write(2, b"error: dequantization failed!\n")
            return original(*arguments, **options)

        monkeypatch.setattr(owner, name, speak)


def test_noise_of_decoders_is_not_printed(noisy, tmp_path, capfd):
    soundfile.write(tmp_path / "song.mp3", np.zeros((4410, 2)), 44100)
    pcm.read_header(tmp_path / "song.mp3")
    pcm.FloatReader(tmp_path / "song.mp3")(0, 100)
    assert capfd.readouterr().err == ""
    soundfile.info(str(tmp_path / "song.mp3"))
    assert "dequantization" in capfd.readouterr().err, "or this test shows nothing"


def test_standard_error_is_back_after_an_error(capfd):
    with pytest.raises(KeyError), silent(Path("song.mp3")):
        raise KeyError
    os.write(2, b"hello")
    assert capfd.readouterr().err == "hello"


def test_standard_error_is_back_when_the_last_of_several_threads_leaves(capfd):
    is_inside, may_leave = threading.Event(), threading.Event()

    def decode():
        with silent(Path("song.mp3")):
            is_inside.set()
            may_leave.wait(60)

    thread = threading.Thread(target=decode)
    thread.start()
    assert is_inside.wait(60)
    with silent(Path("other.mp3")):
        pass
    os.write(2, b"lost")
    may_leave.set()
    thread.join(60)
    os.write(2, b"kept")
    assert capfd.readouterr().err == "kept"


def test_wav_and_flac_leave_standard_error_alone(capfd):
    with silent(Path("song.WAV")), silent(Path("song.flac")):
        os.write(2, b"hello")
    assert capfd.readouterr().err == "hello"
