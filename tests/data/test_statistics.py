"""Mean and deviation per bin are scikit-learn's as UMX feeds it, and are computed once."""

import os

import numpy as np
import pytest
import soundfile
import torch
from openunmix.transforms import ComplexNorm, make_filterbanks
from sklearn.preprocessing import StandardScaler

from unmix.data import pcm, statistics
from unmix.data.datamodule import SeparationDataModule
from unmix.data.tracks import AudioFile, Track
from unmix.dsp.stft import Stft


@pytest.fixture(scope="module")
def tracks(musdb_tree):
    return SeparationDataModule(musdb_tree, name="tiny").splits.train


CPU = torch.device("cpu")


def write_mixtures(root, *mixtures):
    """Tracks that hold nothing but a mixture, (samples,) each."""
    tracks = []
    for index, mixture in enumerate(mixtures):
        folder = root / f"track {index}"
        folder.mkdir(parents=True)
        path = folder / "mixture.wav"
        soundfile.write(path, np.stack([mixture, mixture], axis=1), 44100)
        tracks.append(Track(folder.name, {"mixture": AudioFile(path, pcm.read_header(path), path.stat().st_size)}))
    return tracks


def statistics_of_umx(tracks, fft_size, hop_size):
    """open-unmix-pytorch v1.3.0, scripts/train.py, get_statistics, on its own filter bank."""
    encoder = torch.nn.Sequential(make_filterbanks(fft_size, hop_size, center=False)[0], ComplexNorm(mono=False))
    scaler = StandardScaler()
    for track in tracks:
        audio, _ = soundfile.read(track.path("mixture"), dtype="float32")
        magnitude = encoder(torch.from_numpy(audio.T)[None]).mean(1, keepdim=False).permute(0, 2, 1)
        scaler.partial_fit(np.squeeze(magnitude.numpy()))
    return scaler.mean_, np.maximum(scaler.scale_, 1e-4 * np.max(scaler.scale_))


@pytest.mark.parametrize(("fft_size", "hop_size"), [(4096, 1024), (512, 200)])
@pytest.mark.parametrize("frames", [7, 1024])
def test_statistics_equal_those_of_umx(tracks, monkeypatch, fft_size, hop_size, frames):
    monkeypatch.setattr(statistics, "_FRAMES", frames)  # of a block
    mean, std = statistics.compute(tracks, Stft(fft_size, hop_size), CPU)
    assert mean.dtype == std.dtype == torch.float32
    assert mean.shape == std.shape == (fft_size // 2 + 1,)
    expected_mean, expected_std = statistics_of_umx(tracks, fft_size, hop_size)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5)
    np.testing.assert_allclose(std, expected_std, rtol=1e-5)


def test_frames_count_alike_whatever_track_they_are_from(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 20000)
    tracks = write_mixtures(tmp_path, noise[:2048], 0.1 * noise)
    mean, std = statistics.compute(tracks, Stft(512, 128), CPU)
    expected_mean, expected_std = statistics_of_umx(tracks, 512, 128)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5)
    np.testing.assert_allclose(std, expected_std, rtol=1e-5)


def test_nearly_silent_bins_get_the_floor_of_umx(tmp_path):
    sine = np.sin(2 * np.pi * 1000 / 44100 * np.arange(44100))
    tracks = write_mixtures(tmp_path, 0.9 * sine, 0.1 * sine)  # loud at 1 kHz, rounding errors elsewhere
    std = statistics.compute(tracks, Stft(), CPU)[1].numpy()
    assert std.min() == pytest.approx(1e-4 * std.max(), rel=1e-6)
    assert 1000 < (std == std.min()).sum() < len(std)
    np.testing.assert_allclose(std, statistics_of_umx(tracks, 4096, 1024)[1], rtol=1e-5)


def test_bins_that_never_change_stay_unscaled_as_in_scikit_learn(tmp_path):
    tracks = write_mixtures(tmp_path, np.zeros(5000))
    mean, std = statistics.compute(tracks, Stft(512, 128), CPU)
    assert not mean.any()
    assert torch.equal(std, torch.ones(257))
    np.testing.assert_array_equal(std, statistics_of_umx(tracks, 512, 128)[1])


@pytest.mark.parametrize("num_samples", [512 + 128, 512 + 128 * 7 - 1, 512 + 128 * 7, 512 + 128 * 8])
def test_blocks_hold_every_frame_once_at_every_length(tmp_path, monkeypatch, num_samples):
    monkeypatch.setattr(statistics, "_FRAMES", 7)
    tracks = write_mixtures(tmp_path, np.random.default_rng(0).uniform(-0.5, 0.5, num_samples))
    mean, std = statistics.compute(tracks, Stft(512, 128), CPU)
    expected_mean, expected_std = statistics_of_umx(tracks, 512, 128)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-5)
    np.testing.assert_allclose(std, expected_std, rtol=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_statistics_on_the_gpu_are_those_of_the_cpu(tracks):
    stft = Stft()
    for ours, theirs in zip(
        statistics.compute(tracks, stft, torch.device("cuda")), statistics.compute(tracks, stft, CPU), strict=True
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)


def test_statistics_of_no_track_or_of_a_centred_stft_are_refused(tracks):
    with pytest.raises(ValueError, match="statistics: need a track"):
        statistics.compute([], Stft(), CPU)
    with pytest.raises(ValueError, match="center=True"):
        statistics.compute(tracks, Stft(center=True), CPU)


@pytest.fixture
def computed(monkeypatch):
    """Calls of `compute`, each with its tracks and STFT; the results tell them apart."""
    calls = []

    def compute(tracks, stft, device):
        calls.append((tracks, stft))
        return torch.full((stft.num_bins,), float(len(calls))), torch.ones(stft.num_bins)

    monkeypatch.setattr(statistics, "compute", compute)
    return calls


def test_cache_returns_what_was_computed(tracks, tmp_path):
    stft = Stft(512, 128)
    fresh = statistics.load_or_compute(tracks, stft, tmp_path / "new" / "cache", CPU)
    again = statistics.load_or_compute(tracks, stft, tmp_path / "new" / "cache", CPU)
    for values, same, expected in zip(fresh, again, statistics.compute(tracks, stft, CPU), strict=True):
        assert torch.equal(values, expected)
        assert torch.equal(same, expected)


def test_second_call_does_not_compute(tracks, tmp_path, computed):
    first, second = (statistics.load_or_compute(tracks, Stft(512, 128), tmp_path, CPU)[0] for _ in range(2))
    assert len(computed) == 1
    assert torch.equal(first, second)


@pytest.mark.parametrize("stft", [Stft(1024, 128), Stft(512, 256)])
def test_another_stft_computes_anew(tracks, tmp_path, computed, stft):
    for transform in (Stft(512, 128), stft, Stft(512, 128), stft):
        statistics.load_or_compute(tracks, transform, tmp_path, CPU)
    assert len(computed) == 2


def test_other_tracks_compute_anew(tracks, tmp_path, computed):
    for some in (tracks, tracks[:1], tracks[1:], tracks):
        statistics.load_or_compute(some, Stft(512, 128), tmp_path, CPU)
    assert [len(some) for some, _ in computed] == [2, 1, 1]


@pytest.mark.parametrize("change", ["content", "length"])
def test_changed_file_computes_anew(tmp_path, computed, change):
    tracks = write_mixtures(tmp_path / "tree", np.zeros(1000))
    path = tracks[0].path("mixture")
    statistics.load_or_compute(tracks, Stft(512, 128), tmp_path / "cache", CPU)
    time = path.stat().st_mtime_ns
    soundfile.write(path, np.ones((1000 if change == "content" else 999, 2)), 44100)
    os.utime(path, ns=(time, time + 10**9) if change == "content" else (time, time))
    statistics.load_or_compute(tracks, Stft(512, 128), tmp_path / "cache", CPU)
    assert len(computed) == 2


def test_another_tree_of_equal_size_and_date_computes_anew(tmp_path, computed):
    for name in ("first", "second"):
        tracks = write_mixtures(tmp_path / name, np.zeros(1000))
        os.utime(tracks[0].path("mixture"), ns=(10**18, 10**18))
        statistics.load_or_compute(tracks, Stft(512, 128), tmp_path / "cache", CPU)
    assert len(computed) == 2


def test_interrupted_computation_leaves_nothing_that_is_taken_for_a_result(tracks, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(statistics.torch, "save", lambda _, path: path.write_bytes(b"half") and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            statistics.load_or_compute(tracks, Stft(512, 128), tmp_path, CPU)
    mean, _ = statistics.load_or_compute(tracks, Stft(512, 128), tmp_path, CPU)
    assert torch.equal(mean, statistics.compute(tracks, Stft(512, 128), CPU)[0])
