"""Which files `input` names, and what is said of those that cannot be read."""

import logging
import os
import subprocess

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import ffmpeg
from unmix.runs import songs
from unmix.runs.stems import StemWriter, is_stem


def write(path, seconds=0.1, rate=44100):
    path.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), 2)), rate)
    return path


def write_stem(path, subtype="PCM_16"):
    with StemWriter({"vocals": path}, 44100, 2, subtype) as stems:
        stems.write({"vocals": torch.zeros(2, 100)})
    return path


def find(*items, start=0.0):
    return songs.find(list(map(str, items)), 44100, start)


def names(found):
    return [song.path.name for song in found]


def test_a_folder_is_read_but_for_what_is_no_audio(tmp_path):
    for name in ("b.flac", "a.WAV", "._a.wav", ".hidden.wav"):
        write(tmp_path / name) if name[-4:].lower() != ".wav" or name == "a.WAV" else (tmp_path / name).touch()
    for name in ("cover.jpg", "notes.txt", "samples.raw", "song.m3u"):
        (tmp_path / name).touch()
    write(tmp_path / "more" / "c.wav")
    found, unreadable = find(tmp_path)
    assert names(found) == ["a.WAV", "b.flac"]
    assert not unreadable


def test_stems_are_left_out_of_folders_and_patterns_wherever_they_lie(tmp_path, caplog):
    write(tmp_path / "song.wav")
    write(tmp_path / "vocals.wav")  # a song of that name
    write(tmp_path / "song.live.wav")  # named as a stem is
    write_stem(tmp_path / "song.vocals.wav")
    write_stem(tmp_path / "song.vocals.flac")
    write_stem(tmp_path / "song.bass.wav", "FLOAT").rename(tmp_path / "my bass line.wav")
    with caplog.at_level(logging.INFO):
        found, _ = find(tmp_path)
    assert names(found) == ["song.live.wav", "song.wav", "vocals.wav"]
    assert "3 stems that separate.py wrote are left out; name a file to separate it" in caplog.text
    assert names(find(tmp_path / "*.wav")[0]) == ["song.live.wav", "song.wav", "vocals.wav"]


def test_a_stem_that_is_named_is_separated(tmp_path):
    stem = write_stem(tmp_path / "song.vocals.wav")
    assert names(find(stem)[0]) == ["song.vocals.wav"]
    with pytest.raises(FileNotFoundError, match=r"holds only stems that separate\.py wrote; name a file"):
        find(tmp_path)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.wav", "PCM_16"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.flac", "PCM_24")]
)
def test_stems_of_every_format_are_recognised(tmp_path, name, subtype):
    assert is_stem(write_stem(tmp_path / name, subtype))
    assert soundfile.info(tmp_path / name).frames == 100
    samples, _ = soundfile.read(tmp_path / name)
    assert not samples.any()


def test_files_that_are_none_are_no_stems(tmp_path):
    (tmp_path / "a.wav").write_text("la la la")
    assert not is_stem(tmp_path / "a.wav")
    assert not is_stem(write(tmp_path / "b.wav"))


def test_unreadable_files_are_named_with_the_reason_and_the_others_are_kept(tmp_path):
    good = write(tmp_path / "good.wav")
    (tmp_path / "text.wav").write_text("la la la")
    (tmp_path / "cut.wav").write_bytes(good.read_bytes()[:-100])
    write(tmp_path / "odd.wav", rate=44099)
    write(tmp_path / "short.wav", 0.01)
    (tmp_path / "text.m4a").write_text("la la la")
    found, unreadable = find(tmp_path, start=0.05)
    assert names(found) == ["good.wav"]
    reasons = {path.name: text for path, text in unreadable.items()}
    assert sorted(reasons) == ["cut.wav", "odd.wav", "short.wav", "text.m4a", "text.wav"]
    assert reasons["cut.wav"].startswith("truncated, its header promises more than it holds")
    assert "44099 Hz cannot be resampled to 44100 Hz" in reasons["odd.wav"]
    assert reasons["short.wav"] == "start: got 0.05 s, the song has 0.01 s"
    assert reasons["text.wav"].startswith("not a readable audio file: ")
    assert reasons["text.m4a"].startswith("not a readable audio file: ")
    assert not any(str(tmp_path) in text for text in reasons.values())


def test_a_file_without_audio_is_no_song(tmp_path):
    write(tmp_path / "song.wav")
    film = tmp_path / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:d=1", "-c:v", "mpeg4", film], check=True
    )
    assert find(tmp_path)[1] == {film: "no audio stream"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_must_not_be_read_is_named(tmp_path):
    write(tmp_path / "a.wav")
    write(tmp_path / "b.wav").chmod(0)
    assert find(tmp_path)[1] == {tmp_path / "b.wav": "Permission denied"}


@pytest.mark.parametrize("name", ["song.mp3", "song.wav", "song.txt", "song.raw"])
@pytest.mark.parametrize("content", [b"", b"la la la", bytes(9999)])
def test_what_is_no_audio_is_named_with_its_true_reason(tmp_path, capfd, monkeypatch, name, content):
    (tmp_path / name).write_bytes(content)
    for is_installed in (True, False):
        monkeypatch.setattr(ffmpeg, "is_installed", lambda is_installed=is_installed: is_installed)
        with pytest.raises(ValueError, match=rf"^input: .*{name} is not a readable audio file: [^/]*$") as error:
            find(tmp_path / name)
        assert "not exist" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_nothing_to_separate_is_an_error_with_all_reasons(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_text("la la la")
    with pytest.raises(ValueError, match=r"input: none of 2 files can be separated: .*a\.wav, .*b\.wav: not a"):
        find(tmp_path)
    with pytest.raises(ValueError, match=r"a\.wav is not a readable audio file"):
        find(tmp_path / "a.wav")


def test_without_ffmpeg_songs_of_other_formats_are_named_together(tmp_path, monkeypatch):
    monkeypatch.setattr(ffmpeg, "is_installed", lambda: False)
    for name in ("a.m4a", "b.mp4"):
        (tmp_path / name).touch()
    write(tmp_path / "c.wav")
    found, unreadable = find(tmp_path)
    assert names(found) == ["c.wav"]
    (line,) = songs.by_reason(unreadable)
    assert line.endswith(
        "a.m4a, " + str(tmp_path / "b.mp4") + ": FFmpeg is needed to read it, which is not installed: run `make ffmpeg`"
    )
    (tmp_path / "text.txt").write_text("la la la")
    with pytest.raises(ValueError, match=r"text\.txt is not a readable audio file"):
        find(tmp_path / "text.txt")


@pytest.mark.parametrize("name", ["song.mp3", "song.flac", "song"])
def test_audio_under_a_wrong_ending_is_decoded(tmp_path, name):
    wav = write(tmp_path / "song.wav")
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-f", "ipod", tmp_path / name], check=True)
    (song,) = find(tmp_path / name)[0]
    assert (song.rate, song.channels, song.needs_ffmpeg) == (44100, 2, True)


def test_a_part_ends_with_the_song(tmp_path):
    assert songs.part(tmp_path, 100, 10, 1.0, None) == range(10, 100)
    assert songs.part(tmp_path, 100, 10, 1.0, 2.0) == range(10, 30)
    assert songs.part(tmp_path, 100, 10, 1.0, 50.0) == range(10, 100)
    assert songs.part(tmp_path, 100, 10, 1.0, 1e-9) == range(10, 11)
