"""MSST's scores of magnitudes, against its own code.

`aura_stft` and `aura_mrstft` need the package auraloss there, which is not among our peers: the expected values are
those of msst 0.1.0 with auraloss 0.4.0, as `AuraSTFT_metric(*pair(i))` and `AuraMRSTFT_metric(*pair(i))` print them.
"""

import math

import numpy as np
import pytest
import torch
from msst.utils.metrics import L1Freq_metric

from unmix.evaluation import perceptual
from unmix.evaluation.msst import AuraMrStft, AuraStft, L1Freq
from unmix.evaluation.stems import Stems

RATE = 44100
METRICS = [L1Freq, AuraStft, AuraMrStft]


def draw():
    """References and estimates of decaying tones and noise, one second of stereo, (sources, channels, samples)."""
    times = np.arange(RATE) / RATE
    noise = np.random.default_rng(0).standard_normal((2, 2, RATE))
    tones = [np.sin(2 * np.pi * hertz * times) * np.exp(-3 * times) for hertz in (110.0, 1760.0)]
    references = 0.3 * np.stack([np.stack([tone, 0.5 * tone]) for tone in tones]) + 0.01 * noise
    estimates = 0.9 * references + 0.05 * references[::-1] + 0.003 * noise[:, ::-1]
    return tuple(torch.from_numpy(each.astype(np.float32)) for each in (references, estimates))


def pair(i):
    """Reference and estimate of a source, as MSST takes them."""
    return tuple(each[i].numpy() for each in draw())


def compute(metric, references, estimates, rate=RATE):
    (value,) = metric()(Stems.of(references, estimates, rate)).values()
    return value.tolist()


def test_l1_freq_is_msst_s():
    expected = [L1Freq_metric(*pair(i)) for i in range(2)]
    assert compute(L1Freq, *draw()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "expected"), [(AuraStft, [19.503014, 19.415947]), (AuraMrStft, [19.895639, 27.518002])]
)
def test_aura_scores_are_msst_s(metric, expected):
    assert compute(metric, *draw()) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_estimate_has_100_and_silence_a_score(metric):
    references, estimates = draw()
    assert compute(metric, references, references) == pytest.approx([100.0, 100.0])
    silence = torch.zeros_like(estimates)
    assert compute(metric, silence, silence) == pytest.approx([100.0, 100.0])
    for value, silent in zip(compute(metric, references, estimates), compute(metric, references, silence), strict=True):
        assert 0 < silent < value < 100


@pytest.mark.parametrize("metric", METRICS)
def test_long_tracks_have_the_same_scores_in_blocks(metric, monkeypatch):
    expected = compute(metric, *draw())
    monkeypatch.setattr(perceptual, "FRAMES", 3)
    assert compute(metric, *draw()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("samples", [1, 700, 5000])
def test_short_and_mono_tracks_of_another_rate_have_scores(metric, samples):
    references, estimates = (each[:, :1, :samples] for each in draw())
    assert all(map(math.isfinite, compute(metric, references, estimates, rate=32000)))


@pytest.mark.parametrize("metric", METRICS)
def test_nan_is_refused(metric):
    references, estimates = draw()
    estimates[0, 0, 3] = math.nan
    with pytest.raises(ValueError, match="estimates: got NaN or infinite samples"):
        compute(metric, references, estimates)
