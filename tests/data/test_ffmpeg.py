"""Audio that libsndfile does not know is decoded by FFmpeg, in memory that does not grow with it."""

import shutil
import subprocess
import tracemalloc

import numpy as np
import pytest
import soundfile

from unmix.data import ffmpeg

TONE = 0.3 * np.sin(2 * np.pi * 440 / 48000 * np.arange(48000))


@pytest.fixture(scope="module")
def encode(tmp_path_factory):
    """Make a file of a second of a tone at 48 kHz, by the arguments of FFmpeg that follow its input."""
    wav = tmp_path_factory.mktemp("tone") / "tone.wav"
    soundfile.write(wav, np.stack([TONE, -TONE], axis=1), 48000, subtype="FLOAT")

    def run(path, *arguments):
        subprocess.run(["ffmpeg", "-v", "error", "-i", wav, *arguments, path], check=True)
        return path

    return run


def opened(path):
    return ffmpeg.FloatReader(path, *ffmpeg.probe(path), path.parent)


def test_samples_are_those_that_were_encoded(encode, tmp_path):
    path = encode(tmp_path / "It's (here): a=b.mka", "-c:a", "pcm_f32le")
    assert ffmpeg.probe(path) == (48000, 2)
    reader = opened(path)
    assert reader.num_samples == 48000
    assert reader.complaint == ""
    expected = np.stack([TONE, -TONE]).astype(np.float32)
    np.testing.assert_array_equal(reader(0, 48000), expected)
    np.testing.assert_array_equal(reader(47000, 47001), expected[:, 47000:47001])
    assert reader(5, 5).shape == (2, 0)


@pytest.mark.parametrize("ending", ["m4a", "aac", "wma", "mp4", "mkv", "mov", "m4v"])
def test_compressed_audio_is_decoded(encode, tmp_path, ending):
    path = encode(tmp_path / f"tone.{ending}")
    assert path.suffix in ffmpeg.ENDINGS
    reader = opened(path)
    assert abs(reader.num_samples - 48000) < 5000  # codecs add silence at the ends
    assert reader(20000, 30000).max() == pytest.approx(0.3, rel=0.1)


def test_the_sound_of_a_film_is_decoded(encode, tmp_path):
    picture = ["-f", "lavfi", "-i", "color=s=16x16:d=1", "-map", "1:v", "-map", "0:a", "-c:v", "mpeg4", "-ac", "1"]
    assert ffmpeg.probe(encode(tmp_path / "film.mp4", *picture)) == (48000, 1)


def test_memory_does_not_grow_with_the_song(encode, tmp_path):
    path = encode(tmp_path / "tone.mka", "-af", "apad=whole_dur=60", "-c:a", "pcm_f32le")
    tracemalloc.start()
    reader = opened(path)
    for start in range(0, reader.num_samples, 48000):
        reader(start, start + 48000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reader.num_samples == 60 * 48000
    assert peak < 3e6, "the decoded song has 23 MB"


def test_nothing_is_left_on_the_disk(encode, tmp_path):
    reader = opened(encode(tmp_path / "tone.m4a"))
    assert [path.name for path in tmp_path.iterdir()] == ["tone.m4a"]
    reader.close()


def test_a_file_without_audio_says_so(tmp_path):
    path = tmp_path / "film.mp4"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "color=s=16x16:d=1", "-c:v", "mpeg4", path], check=True
    )
    with pytest.raises(ValueError, match=r"^[^ ]*film\.mp4: no audio stream$"):
        ffmpeg.probe(path)


def test_a_file_that_is_none_names_the_reason(tmp_path):
    (tmp_path / "song.m4a").write_bytes(bytes(1000))
    with pytest.raises(ValueError, match=r"song\.m4a is not a readable audio file: ") as error:
        ffmpeg.probe(tmp_path / "song.m4a")
    assert "0x" not in str(error.value), "an address in memory tells nobody anything"
    assert str(error.value).count("song.m4a") == 1
    with pytest.raises(FileNotFoundError):
        ffmpeg.probe(tmp_path / "nothing.m4a")


def test_a_stream_without_samples_is_refused(encode, tmp_path):
    path = encode(tmp_path / "empty.mka", "-t", "0")
    with pytest.raises(ValueError, match=r"empty\.mka"):
        opened(path)


def test_a_damaged_file_is_decoded_with_a_complaint(encode, tmp_path):
    path = encode(tmp_path / "tone.mka", "-c:a", "aac")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 400] = bytes(range(200)) * 2
    path.write_bytes(content)
    reader = opened(path)
    assert reader.num_samples > 10000
    assert reader.complaint


def test_samples_that_are_no_numbers_are_refused(tmp_path):
    soundfile.write(tmp_path / "nan.wav", np.full((100, 1), np.nan), 44100, subtype="FLOAT")
    reader = opened(tmp_path / "nan.wav")
    with pytest.raises(ValueError, match=r"nan\.wav: 10 samples are NaN or infinite"):
        reader(0, 10)


def test_without_ffmpeg_one_line_says_what_to_do(encode, tmp_path, monkeypatch):
    path = encode(tmp_path / "tone.m4a")
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "ffprobe" else f"/bin/{name}")
    with pytest.raises(ValueError, match=r"FFmpeg is needed to read it, which is not installed: run `make ffmpeg`"):
        ffmpeg.probe(path)


def test_a_full_disk_is_not_the_song_s_fault(encode, tmp_path, monkeypatch):
    path = encode(tmp_path / "tone.m4a")
    full = subprocess.CompletedProcess([], 1, stderr=b"av_interleaved_write_frame(): No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", lambda *arguments, **options: full)
        with pytest.raises(OSError, match=r"^out: no room in .* to decode tone\.m4a; make room or name another out="):
            ffmpeg.FloatReader(path, 48000, 2, tmp_path)
    with pytest.raises(OSError, match=r"^out: .*nowhere cannot be written \(No such file or directory\); name another"):
        ffmpeg.FloatReader(path, 48000, 2, tmp_path / "nowhere")
