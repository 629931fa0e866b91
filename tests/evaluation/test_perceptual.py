"""Metrics on a logarithmic scale, against closed forms and the package torch-log-wmse."""

import math

import librosa
import numpy as np
import pytest
import torch
from torch_log_wmse import LogWMSE

from unmix.evaluation.perceptual import LogMagnitudeL1, LogWmse
from unmix.evaluation.stems import Stems

RATE = 44100


def draw(seconds=0.6, channels=2, seed=0, sources=2):
    """References and estimates, (sources, channels, samples)."""
    generator = torch.Generator().manual_seed(seed)
    references = 0.1 * torch.randn(sources, channels, int(seconds * RATE), generator=generator)
    return references, references + 0.02 * torch.randn(references.shape, generator=generator)


def compute(metric, references, estimates):
    true, estimated = (lambda start, stop, each=each: each[..., start:stop] for each in (references, estimates))
    (value,) = metric(Stems(true, estimated, references.shape[-1], RATE)).values()
    return value


@pytest.mark.parametrize("gain_db", [6.0, -3.0, 0.0])
def test_a_gain_is_its_own_distance_of_log_magnitudes(gain_db):
    references, _ = draw()
    value = compute(LogMagnitudeL1(floor_db=-200), references, references.double() * 10 ** (gain_db / 20))
    assert value.tolist() == pytest.approx([abs(gain_db)] * 2, abs=1e-6)


def test_the_floor_hides_what_nobody_hears_and_silence_has_a_distance():
    silence = torch.zeros(1, 2, 5000)
    sine = torch.sin(2 * math.pi * 128 / 2048 * torch.arange(5000, dtype=torch.float64)).expand(1, 2, -1)
    assert compute(LogMagnitudeL1(), silence, silence).tolist() == [0.0]
    assert compute(LogMagnitudeL1(), silence, 1e-5 * sine).tolist() == [0.0], "100 dB below full scale"
    assert compute(LogMagnitudeL1(), silence, sine).item() > 1


def test_log_magnitudes_are_those_of_librosa():
    references, estimates = draw(sources=1, channels=1)
    levels = [
        20 * np.log10(np.abs(librosa.stft(each[0, 0].double().numpy(), n_fft=2048, hop_length=512, pad_mode="reflect")))
        for each in (references, estimates)
    ]
    full_scale = 20 * np.log10(1024 / 2)
    clipped = [np.maximum(level - full_scale, -80) for level in levels]
    expected = np.abs(clipped[0] - clipped[1]).mean()
    assert compute(LogMagnitudeL1(), references, estimates).tolist() == pytest.approx([expected], abs=1e-6)


@pytest.mark.parametrize("samples", [1, 700, 2048])
def test_short_tracks_are_padded(samples):
    references, estimates = (each[..., :samples] for each in draw())
    assert compute(LogMagnitudeL1(), references, estimates).isfinite().all()


@pytest.mark.parametrize("channels", [1, 2])
def test_log_wmse_is_the_package_s(channels):
    references, estimates = draw(channels=channels)
    expected = [
        float(LogWMSE(sample_rate=RATE)(references.sum(dim=0)[None], e[None, :, None], r[None, :, None]))
        for r, e in zip(references, estimates, strict=True)
    ]
    assert compute(LogWmse(), references, estimates).tolist() == pytest.approx(expected, abs=1e-5)


def test_log_wmse_of_silence_is_defined():
    references, estimates = draw()
    references[1] = 0
    silent = estimates.clone()
    silent[1] = 0
    assert compute(LogWmse(), references, silent)[1] > compute(LogWmse(), references, estimates)[1]


@pytest.mark.parametrize("metric", [LogMagnitudeL1(), LogWmse()])
def test_nan_is_refused(metric):
    references, estimates = draw()
    estimates[0, 0, 3] = math.nan
    with pytest.raises(ValueError, match="estimates: got NaN or infinite samples"):
        compute(metric, references, estimates)
