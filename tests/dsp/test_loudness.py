"""Loudness after ITU-R BS.1770."""

import numpy as np
import pytest

from unmix.dsp import loudness

RATE = 48000


def sine(frequency: float = 997.0, seconds: float = 2.0, rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)[None]


@pytest.mark.parametrize("rate", [44100, 48000])
def test_a_sine_of_full_scale_in_one_channel_has_minus_3_01_as_bs_1770_says(rate):
    assert loudness.integrated(sine(rate=rate), rate) == pytest.approx(-3.01, abs=0.01)


def test_two_equal_channels_are_3_db_louder_than_one():
    both = np.concatenate([sine(), sine()])
    assert loudness.integrated(both, RATE) - loudness.integrated(sine(), RATE) == pytest.approx(10 * np.log10(2))


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_the_gain_brings_a_waveform_to_the_loudness(scale):
    waveform = scale * sine(300.0)
    gain = loudness.gain_to(-23.0, waveform, RATE)
    assert loudness.integrated(gain * waveform, RATE) == pytest.approx(-23.0, abs=1e-6)


def test_silence_has_no_loudness_and_keeps_its_level():
    silence = np.zeros((2, RATE))
    assert loudness.integrated(silence, RATE) == -np.inf
    assert loudness.gain_to(-23.0, silence, RATE) == 1.0


def test_less_than_a_block_is_refused():
    loudness.integrated(sine(seconds=0.4), RATE)
    with pytest.raises(ValueError, match=r"loudness: got 0.39 s of audio, BS.1770 needs 0.4 s or more"):
        loudness.integrated(sine(seconds=0.39), RATE)
