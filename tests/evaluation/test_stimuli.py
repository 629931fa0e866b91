"""Anchors and levels of a listening test."""

import numpy as np
import pytest

from unmix.dsp import loudness
from unmix.evaluation import stimuli

RATE = 44100


def response(cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies and gains, dB, of the filter that makes an anchor."""
    impulse = np.zeros((1, 2 * RATE))
    impulse[0, RATE] = 1.0
    spectrum = np.abs(np.fft.rfft(stimuli.anchor(impulse, cutoff, RATE)[0]))
    return np.fft.rfftfreq(2 * RATE, 1 / RATE), 20 * np.log10(np.maximum(spectrum, 1e-9))


@pytest.mark.parametrize("cutoff", stimuli.ANCHORS.values())
def test_an_anchor_keeps_its_pass_band_and_nothing_above(cutoff):
    frequencies, gains = response(cutoff)
    assert np.abs(gains[frequencies <= cutoff]).max() < 0.1
    assert gains[frequencies >= cutoff * 8 / 7].max() < -50


def test_an_anchor_has_the_length_and_the_timing_of_its_reference():
    reference = np.random.default_rng(0).normal(size=(2, RATE))
    low = stimuli.anchor(reference, 3500.0, RATE)
    assert low.shape == reference.shape
    lags = np.fft.irfft(np.fft.rfft(low[0]) * np.fft.rfft(reference[0]).conj())
    assert np.argmax(lags) == 0


def test_a_rate_without_anything_above_the_pass_band_leaves_the_reference_as_it_is():
    reference = np.random.default_rng(0).normal(size=(1, 8000))
    assert np.array_equal(stimuli.anchor(reference, 3500.0, 8000), reference)
    assert not np.array_equal(stimuli.anchor(reference, 3500.0, 8001), reference)


def test_all_clips_of_a_trial_have_one_loudness_and_none_exceeds_minus_1_dbfs():
    generator = np.random.default_rng(0)
    clips = {name: scale * generator.normal(size=(2, RATE)) for name, scale in {"a": 1e-3, "b": 0.1, "c": 3.0}.items()}
    spiky = clips["a"].copy()
    spiky[0, 100] = 1.0
    for extra, target in (({}, -23.0), ({"spiky": spiky}, -23.0)):
        levelled = stimuli.level(clips | extra, RATE, target)
        loud = [loudness.integrated(clip, RATE) for clip in levelled.values()]
        assert np.ptp(loud) < 1e-6
        assert max(np.abs(clip).max() for clip in levelled.values()) <= 10 ** (-1 / 20) + 1e-9
        assert (loud[0] == pytest.approx(target, abs=1e-6)) is (not extra), "lowered together because of the spike"


def test_a_silent_estimate_stays_silent():
    levelled = stimuli.level({"silent": np.zeros((2, RATE)), "noise": np.ones((2, RATE)) * 0.1}, RATE, -23.0)
    assert not levelled["silent"].any()
