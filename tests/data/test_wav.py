"""WAV files written block by block are those that libsndfile reads, and their digest is known."""

import hashlib

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.data import pcm
from unmix.data.wav import Overflow, WavWriter


def write(path, samples, subtype):
    with WavWriter(path, 44100, samples.shape[1], len(samples), subtype) as writer:
        half = len(samples) // 2
        writer.write(samples[:half])
        writer.write(samples[half:])
    return writer


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["PCM_16", "PCM_24", "FLOAT"]), st.integers(1, 3), st.integers(1, 50), st.integers(0, 99))
def test_a_written_file_is_read_back_exactly(tmp_path_factory, subtype, num_channels, num_samples, seed):
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    steps = {"PCM_16": 2**15, "PCM_24": 2**23, "FLOAT": 2**20}[subtype]
    samples = np.random.default_rng(seed).integers(-steps, steps, (num_samples, num_channels)) / steps
    writer = write(path, samples, subtype)
    read, rate = soundfile.read(path, always_2d=True)
    np.testing.assert_array_equal(read, samples)
    assert (rate, soundfile.info(path).subtype) == (44100, subtype)
    assert writer.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    header = pcm.read_header(path)  # refuses a header that promises more than the file holds
    assert header.num_samples == num_samples
    assert header.offset == (44 if subtype == "PCM_16" else None)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("peak", [1.0, -1.1])
def test_samples_beyond_full_scale_do_not_fit_integers(tmp_path, subtype, peak):
    with pytest.raises(Overflow, match="exceeds full scale"):
        write(tmp_path / "x.wav", np.full((4, 1), peak), subtype)
    write(tmp_path / "x.wav", np.full((4, 1), peak), "FLOAT")


def test_a_file_that_is_shorter_than_announced_is_refused(tmp_path):
    with (
        pytest.raises(ValueError, match="2 samples are missing"),
        WavWriter(tmp_path / "x.wav", 44100, 1, 4, "PCM_16") as writer,
    ):
        writer.write(np.zeros((2, 1)))


def test_more_than_a_wav_file_can_hold_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"x.wav: a WAV file holds 4 GB, 8.0 GB are needed"):
        WavWriter(tmp_path / "x.wav", 44100, 2, 10**9, "FLOAT")
    assert not list(tmp_path.iterdir())
