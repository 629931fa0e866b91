"""Stems are sums of parts, at another rate or with other channels where that is asked for; block by block."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

import trees
from unmix.data import building, pcm
from unmix.data.building import Target
from unmix.data.layouts.entry import Entry, Part

RATE = 44100


def headers(*paths):
    return {path: pcm.read_header(path) for path in paths}


def build(tmp_path, parts, target):
    found = headers(*(part.path for part in parts))
    written = building.write_stem(tmp_path / "out.wav", parts, found, target)
    samples, _ = soundfile.read(tmp_path / "out.wav", always_2d=True)
    return samples, written


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(building, "_BLOCK", 1000)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_sums_and_differences_are_exact(tmp_path, subtype):
    bits = {"PCM_16": 15, "PCM_24": 23, "FLOAT": 20}[subtype]
    signals = [
        np.random.default_rng(seed).integers(-(2**bits) // 4, 2**bits // 4, (2500, 2)) / 2**bits for seed in (1, 2)
    ]
    paths = [trees.write(tmp_path / f"{i}.wav", signal, subtype=subtype) for i, signal in enumerate(signals)]
    target = Target(RATE, 2, 2500, building.subtype(paths))
    summed, written = build(tmp_path, [Part(path) for path in paths], target)
    np.testing.assert_array_equal(summed, signals[0] + signals[1])
    assert written.subtype == subtype
    rest, _ = build(tmp_path, [Part(paths[0]), Part(paths[1], sign=-1)], target)
    np.testing.assert_array_equal(rest, signals[0] - signals[1])


@pytest.mark.usefixtures("small_blocks")
def test_resampling_in_blocks_is_that_of_the_whole_and_keeps_a_tone(tmp_path):
    time = np.arange(48000) / 48000
    path = trees.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time)[:, None], 48000, "FLOAT")
    samples, _ = build(tmp_path, [Part(path)], Target(RATE, 1, RATE, "FLOAT"))
    whole = soxr.resample(soundfile.read(path, dtype="float32")[0], 48000, RATE, "HQ")
    np.testing.assert_allclose(samples[:, 0], whole[:RATE], atol=1e-6)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    np.testing.assert_allclose(samples[2000:-2000, 0], expected[2000:-2000], atol=1e-4)


def test_resampling_removes_what_the_new_rate_cannot_hold(tmp_path):
    time = np.arange(48000) / 48000
    path = trees.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 9500 * time)[:, None], 48000, "FLOAT")
    samples, _ = build(tmp_path, [Part(path)], Target(16000, 1, 16000, "FLOAT"))
    assert np.abs(samples[500:-500]).max() < 1e-4


def test_mono_is_spread_and_more_channels_are_averaged_to_mono(tmp_path):
    mono = trees.write(tmp_path / "mono.wav", np.full((10, 1), 100, np.int16))
    stereo = trees.write(tmp_path / "stereo.wav", np.array([[100, 300]] * 10, np.int16))
    spread, _ = build(tmp_path, [Part(mono)], Target(RATE, 2, 10, "PCM_16"))
    np.testing.assert_array_equal(spread * 32768, np.full((10, 2), 100))
    mixed, _ = build(tmp_path, [Part(stereo)], Target(RATE, 1, 10, "PCM_16"))
    np.testing.assert_array_equal(mixed * 32768, np.full((10, 1), 200))
    for path, channels in ((stereo, 3), (trees.write(tmp_path / "three.wav", np.zeros((10, 3))), 2)):
        with pytest.raises(ValueError, match=r"channels, which cannot be"):
            build(tmp_path, [Part(path)], Target(RATE, channels, 10, "PCM_16"))


def test_shorter_parts_end_with_silence_and_longer_ones_are_cut(tmp_path):
    path = trees.write(tmp_path / "a.wav", np.full((10, 1), 100, np.int16))
    longer, _ = build(tmp_path, [Part(path)], Target(RATE, 1, 15, "PCM_16"))
    np.testing.assert_array_equal(longer[:, 0] * 32768, [100] * 10 + [0] * 5)
    shorter, _ = build(tmp_path, [Part(path)], Target(RATE, 1, 4, "PCM_16"))
    assert len(shorter) == 4
    silence, _ = build(tmp_path, [], Target(RATE, 2, 4, "PCM_16"))
    assert not silence.any()


def test_a_stem_beyond_full_scale_becomes_float(tmp_path):
    path = trees.write(tmp_path / "a.wav", np.full((10, 1), 30000, np.int16))
    samples, written = build(tmp_path, [Part(path), Part(path)], Target(RATE, 1, 10, "PCM_16"))
    np.testing.assert_allclose(samples, 60000 / 32768)
    assert (written.subtype, written.peak) == ("FLOAT", pytest.approx(60000 / 32768))


def test_a_file_that_has_shrunk_or_holds_no_numbers_is_refused(tmp_path):
    path = trees.write(tmp_path / "a.flac", np.random.default_rng(0).integers(-9999, 9999, (99999, 2), dtype=np.int16))
    found = headers(path)
    path.write_bytes(path.read_bytes()[:50000])
    with pytest.raises(ValueError, match=r"a.flac is (truncated|damaged)"):
        building.write_stem(tmp_path / "out.wav", [Part(path)], found, Target(RATE, 2, 99999, "PCM_16"))
    bad = trees.write(tmp_path / "nan.wav", np.full((10, 1), np.nan), subtype="FLOAT")
    with pytest.raises(ValueError, match="10 samples are NaN or infinite"):
        build(tmp_path, [Part(bad)], Target(RATE, 1, 10, "FLOAT"))


def test_the_length_of_a_track_is_that_of_its_longest_part_or_of_its_shortest_when_it_is_cut(tmp_path):
    long = trees.write(tmp_path / "long.wav", np.zeros((48000, 1)), 48000)
    short = trees.write(tmp_path / "short.wav", np.zeros((1000, 1)), 44100)
    files = {"a": (Part(long, 0.25, 0.75),), "b": (Part(short),)}
    entry, cut = Entry("train", "x", Path(), files), Entry("train", "x", Path(), files, is_cut=True)
    assert building.length(entry, headers(long, short), 44100) == 22050
    assert building.length(cut, headers(long, short), 44100) == 1000
