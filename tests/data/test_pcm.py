"""Audio files in and out: every bit of 16-bit files, rounding of the others, and no short read in silence."""

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.data import pcm

SAMPLES = np.random.default_rng(0).integers(-32768, 32768, size=(2, 1001)).astype(np.int16)  # (channels, samples)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("pcm") / "it's (16 bit).wav"
    soundfile.write(path, SAMPLES.T, 44100, subtype="PCM_16")
    return path


def write_chunks(path, *chunks, num_channels=1, bytes_per_sample=1):
    """A WAV file of the named chunks, each padded to an even number of bytes."""
    bytes_per_frame = num_channels * bytes_per_sample
    fmt = struct.pack("<HHIIHH", 1, num_channels, 44100, 44100 * bytes_per_frame, bytes_per_frame, 8 * bytes_per_sample)
    body = b"WAVE"
    for name, content in ((b"fmt ", fmt), *chunks):
        body += name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_header_tells_rate_channels_length_and_where_16_bit_samples_begin(file, tmp_path):
    assert pcm.read_header(file) == pcm.Header(44100, 2, 1001, offset=44)
    soundfile.write(tmp_path / "mono.wav", np.zeros(7), 8000, subtype="FLOAT")
    assert pcm.read_header(tmp_path / "mono.wav") == pcm.Header(8000, 1, 7, offset=None)


@pytest.mark.parametrize("format_", ["WAV", "WAVEX", "FLAC"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("num_samples", [1, 1000, 1001])
def test_whole_file_of_any_length_is_not_called_truncated(tmp_path, format_, subtype, channels, num_samples):
    path = tmp_path / "whole.wav"
    soundfile.write(path, np.zeros((num_samples, channels)), 44100, format=format_, subtype=subtype)
    assert pcm.read_header(path).num_samples == num_samples


@pytest.mark.parametrize("num_samples", [10, 11])
@pytest.mark.parametrize("comment", [b"INFOICMT\x04\0\0\0data", b"odd"])
def test_chunks_of_odd_size_before_and_after_the_samples_are_no_truncation(tmp_path, num_samples, comment):
    path, samples = tmp_path / "odd.wav", (b"data", bytes(num_samples))
    for chunks in ((samples,), ((b"LIST", comment), samples), (samples, (b"LIST", comment))):
        write_chunks(path, *chunks)
        assert pcm.read_header(path).num_samples == num_samples


def test_missing_last_padding_byte_is_no_truncation(tmp_path):
    path = tmp_path / "unpadded.wav"
    write_chunks(path, (b"data", bytes(11)))
    path.write_bytes(path.read_bytes()[:-1])
    assert pcm.read_header(path).num_samples == 11


@pytest.mark.parametrize("format_", ["WAV", "WAVEX"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("num_bytes_cut", [1, 4, 1000])
def test_truncated_file_is_refused_with_both_lengths(tmp_path, format_, subtype, num_bytes_cut):
    path = tmp_path / "cut.wav"
    soundfile.write(path, SAMPLES.T, 44100, format=format_, subtype=subtype)
    path.write_bytes(path.read_bytes()[:-num_bytes_cut])
    with pytest.raises(ValueError, match=r"cut.wav is truncated.*: data : \d+ \(should be \d+\)"):
        pcm.read_header(path)


@pytest.mark.parametrize("content", [b"", b"once upon a time", b"RIFF\x24\0\0\0WAVEfmt "])
def test_header_of_what_is_no_audio_file_is_refused(tmp_path, content):
    (tmp_path / "text.wav").write_bytes(content)
    with pytest.raises(ValueError, match=r"text.wav is not a readable audio file"):
        pcm.read_header(tmp_path / "text.wav")


def test_header_of_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"missing.wav is not a readable audio file"):
        pcm.read_header(tmp_path / "missing.wav")


def test_16_bit_file_comes_back_bit_by_bit(file):
    samples = pcm.read_int16(file)
    assert samples.dtype == np.int16
    assert samples.flags.c_contiguous
    np.testing.assert_array_equal(samples, SAMPLES)


@given(st.integers(0, 1001), st.integers(0, 1001))
def test_excerpt_is_the_slice_of_the_whole_or_an_error(file, start, num_samples):
    if start + num_samples <= 1001:
        excerpt = pcm.read_int16(file, start=start, num_samples=num_samples)
        np.testing.assert_array_equal(excerpt, SAMPLES[:, start : start + num_samples])
    else:
        with pytest.raises(ValueError, match=f"{num_samples} samples from {start} asked for, {1001 - start} are there"):
            pcm.read_int16(file, start=start, num_samples=num_samples)


def test_minus_one_reads_to_the_end(file):
    np.testing.assert_array_equal(pcm.read_int16(file, start=990), SAMPLES[:, 990:])


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
def test_excerpt_that_starts_behind_the_end_is_refused(tmp_path, subtype):
    soundfile.write(tmp_path / "short.wav", np.zeros((10, 2)), 44100, subtype=subtype)
    with pytest.raises(ValueError, match=r"short.wav: 3 samples from 11 asked for, 0 are there"):
        pcm.read_int16(tmp_path / "short.wav", start=11, num_samples=3)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24"])
def test_finer_files_are_rounded_to_the_nearest_integer(tmp_path, subtype):
    steps = np.array([0, 0.25, 0.75, -0.25, -0.75, 100.25, -100.75, 20000.75, 32766.75, -32767.75])
    soundfile.write(tmp_path / "fine.wav", steps / 32768, 44100, subtype=subtype)
    np.testing.assert_array_equal(
        pcm.read_int16(tmp_path / "fine.wav"), [[0, 0, 1, 0, -1, 100, -101, 20001, 32767, -32768]]
    )


def test_float_file_beyond_full_scale_is_clipped(tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.array([1.0, 1.5, 300.0, -1.0, -1.5, -300.0]), 44100, subtype="FLOAT")
    np.testing.assert_array_equal(pcm.read_int16(tmp_path / "loud.wav"), [[32767] * 3 + [-32768] * 3])


@pytest.mark.parametrize("subtype", ["FLOAT", "PCM_24"])
def test_excerpt_of_a_finer_file_is_the_slice_of_the_whole(tmp_path, subtype):
    soundfile.write(tmp_path / "fine.wav", SAMPLES.T / 32768, 44100, subtype=subtype)
    np.testing.assert_array_equal(
        pcm.read_int16(tmp_path / "fine.wav", start=17, num_samples=100), SAMPLES[:, 17 : 17 + 100]
    )
    with pytest.raises(ValueError, match="100 samples from 950 asked for, 51 are there"):
        pcm.read_int16(tmp_path / "fine.wav", start=950, num_samples=100)


def test_float_samples_are_the_integers_over_full_scale(file):
    samples = pcm.read_float(file)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples, SAMPLES / np.float32(32768))


def test_float_samples_of_a_mono_file_keep_the_channel_axis(tmp_path):
    soundfile.write(tmp_path / "mono.wav", np.zeros(5), 44100)
    assert pcm.read_float(tmp_path / "mono.wav").shape == (1, 5)


@pytest.mark.parametrize("ending", ["wav", "flac"])
@pytest.mark.parametrize("channels", [1, 2])
def test_what_is_read_and_written_again_is_the_same(tmp_path, file, ending, channels):
    path = tmp_path / f"again.{ending}"
    pcm.write(path, pcm.read_float(file)[:channels], 44100)
    assert pcm.read_header(path) == pcm.Header(44100, channels, 1001, offset=44 if ending == "wav" else None)
    np.testing.assert_array_equal(pcm.read_int16(path), SAMPLES[:channels])


def test_a_file_without_a_sample_is_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 2)), 44100)
    with pytest.raises(ValueError, match=r"none.wav holds no sample"):
        pcm.read_header(tmp_path / "none.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_number_are_refused(tmp_path, value):
    path, samples = tmp_path / "bad.wav", np.zeros((100, 2))
    samples[50] = value
    soundfile.write(path, samples, 44100, subtype="FLOAT")
    for read in (pcm.read_int16, pcm.read_float, lambda path: pcm.convert(path, tmp_path / "out.wav")):
        with pytest.raises(ValueError, match=r"bad.wav: 2 samples are NaN or infinite; write the file anew"):
            read(path)


@pytest.mark.parametrize("chunks_before", [0, 1])
@pytest.mark.parametrize("format_", ["WAV", "WAVEX", "RF64"])
def test_samples_are_read_as_they_lie_whatever_stands_before_them(tmp_path, format_, chunks_before):
    path = tmp_path / "some.wav"
    if chunks_before:
        write_chunks(
            path,
            (b"LIST", b"INFOICMT\x04\0\0\0data"),
            (b"data", SAMPLES.T.tobytes()),
            num_channels=2,
            bytes_per_sample=2,
        )
    else:
        soundfile.write(path, SAMPLES.T, 44100, format=format_, subtype="PCM_16")
    out = np.empty((100, 2), dtype=np.int16)
    pcm.read_into(path, pcm.read_header(path).offset + 4 * 7, out)
    np.testing.assert_array_equal(out.T, SAMPLES[:, 7:107])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_what_is_not_16_bit_is_not_read_as_it_lies(tmp_path, subtype):
    soundfile.write(tmp_path / "other.wav", SAMPLES.T, 44100, subtype=subtype)
    assert pcm.read_header(tmp_path / "other.wav").offset is None


def test_a_file_that_shrank_is_refused(file, tmp_path):
    path = tmp_path / "shrunk.wav"
    path.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"shrunk.wav has shrunk since it was scanned: 4 bytes are gone"):
        pcm.read_into(path, 44, np.empty((1001, 2), dtype=np.int16))


@pytest.mark.parametrize(("ending", "subtype"), [("flac", "PCM_24"), ("wav", "FLOAT"), ("wav", "PCM_U8")])
@pytest.mark.parametrize("block", [100, 2000])
def test_a_converted_file_holds_what_reading_the_original_gives(tmp_path, monkeypatch, ending, subtype, block):
    monkeypatch.setattr(pcm, "BLOCK", block)
    path, out = tmp_path / f"fine.{ending}", tmp_path / "out.wav"
    soundfile.write(path, SAMPLES.T / 32768, 44100, subtype=subtype)
    pcm.convert(path, out)
    assert pcm.read_header(out) == pcm.Header(44100, 2, 1001, offset=44)
    np.testing.assert_array_equal(pcm.read_int16(out), pcm.read_int16(path))


@settings(deadline=None)
@given(st.floats(-1.5, 1.5, width=32))
def test_written_sample_is_within_one_step_or_clipped(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "one_sample.wav"
    pcm.write(path, np.full((1, 1), value, dtype=np.float32), 44100)
    assert abs(int(pcm.read_int16(path)[0, 0]) - np.clip(value * 32768, -32768, 32767)) <= 1


def test_writing_does_not_change_what_is_written(tmp_path):
    samples = np.array([[2.0, -2.0, 0.5]], dtype=np.float32)
    pcm.write(tmp_path / "loud.wav", samples, 44100)
    np.testing.assert_array_equal(samples, [[2.0, -2.0, 0.5]])
    np.testing.assert_array_equal(pcm.read_int16(tmp_path / "loud.wav"), [[32767, -32768, 16384]])
