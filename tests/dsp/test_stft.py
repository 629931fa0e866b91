import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.dsp.stft import Stft


@settings(deadline=None, max_examples=25)
@given(
    num_samples=st.integers(min_value=513, max_value=9001),
    channels=st.sampled_from([1, 2]),
    hop_size=st.sampled_from([128, 256, 300]),
)
def test_centred_round_trip_returns_every_sample(num_samples, channels, hop_size):
    waveform = torch.randn(2, channels, num_samples, generator=torch.Generator().manual_seed(num_samples))
    stft = Stft(1024, hop_size, center=True)
    restored = stft.inverse(stft(waveform), num_samples=num_samples)
    assert (restored - waveform).abs().max() < 1e-5


@pytest.mark.parametrize("num_samples", [44101, 60000])
@pytest.mark.parametrize("channels", [1, 2])
def test_centred_round_trip_at_umx_settings_is_below_1e_5(num_samples, channels):
    waveform = torch.rand(1, channels, num_samples) * 2 - 1
    stft = Stft(center=True)
    assert (stft.inverse(stft(waveform), num_samples=num_samples) - waveform).abs().max() < 1e-5


def test_six_seconds_give_255_frames_as_in_umx():
    assert Stft()(torch.zeros(1, 2, 6 * 44100)).shape == (1, 2, 2049, 255)


def test_spectrogram_of_a_sine_peaks_in_its_bin():
    bin_of_sine = 40
    time = torch.arange(16384, dtype=torch.float64)
    sine = torch.sin(2 * torch.pi * bin_of_sine / 1024 * time)
    magnitude = Stft(1024, 256)(sine).abs()
    assert (magnitude.argmax(dim=-2) == bin_of_sine).all()
    # A periodic Hann window sums to half its length; a sine is half positive and half negative frequency.
    assert torch.allclose(magnitude[bin_of_sine], torch.full_like(magnitude[bin_of_sine], 1024 / 4), rtol=1e-5)


def test_leading_axes_are_kept():
    assert Stft(512, 128)(torch.zeros(3, 4, 2, 2048)).shape == (3, 4, 2, 257, 13)


def test_inner_inverse_restores_the_samples_between_the_first_and_the_last_window():
    waveform = torch.randn(2, 10_000, dtype=torch.float64)
    stft = Stft(1024, 256)
    spectrogram = stft(waveform)
    inner = stft.inverse_inner(spectrogram)
    end = 256 * (spectrogram.shape[-1] - 1)
    # The window is stored in float32, which limits the accuracy.
    assert (inner - waveform[:, 1024:end]).abs().max() < 1e-6


def test_inner_inverse_of_too_few_frames_is_refused_with_the_number_needed():
    with pytest.raises(ValueError, match="got 5 frames, more than 5 needed"):
        Stft(1024, 256).inverse_inner(torch.zeros(513, 5, dtype=torch.complex64))


def test_inverse_of_an_uncentred_spectrogram_is_refused():
    with pytest.raises(ValueError, match=r"use Stft\(center=True\)"):
        Stft(512, 128).inverse(torch.zeros(257, 9, dtype=torch.complex64), num_samples=1024)


@pytest.mark.parametrize(("center", "shortest"), [(False, 512), (True, 257)])
def test_a_waveform_shorter_than_a_window_is_refused(center, shortest):
    stft = Stft(512, 128, center=center)
    assert stft(torch.zeros(shortest)).shape[-1] >= 1
    with pytest.raises(ValueError, match=f"got {shortest - 1} samples, at least {shortest} needed"):
        stft(torch.zeros(shortest - 1))


@pytest.mark.parametrize("hop_size", [0, 300])
def test_a_hop_of_zero_or_above_half_a_window_is_refused(hop_size):
    with pytest.raises(ValueError, match="hop_size: got"):
        Stft(512, hop_size)


def test_the_window_moves_with_the_module_and_stays_out_of_checkpoints():
    assert Stft().state_dict() == {}
    assert Stft().to("meta").window.device.type == "meta"
