"""Filters have the frequency responses that they are named after."""

import numpy as np
import pytest
import torch

from unmix.dsp.fir import filter_rows, low_pass, tilt


def response_db(kernels, frequencies):
    """Gain in dB at frequencies relative to the sample rate, (rows, frequencies)."""
    times = torch.arange(kernels.shape[-1], dtype=torch.float64)
    waves = torch.exp(-2j * torch.pi * torch.tensor(frequencies, dtype=torch.float64)[:, None] * times)
    return 20 * torch.log10((kernels.to(waves.dtype) @ waves.T).abs())


@pytest.mark.parametrize("delay", [0, 2, 4])
def test_every_row_is_convolved_with_its_own_kernel(delay):
    generator = torch.Generator().manual_seed(0)
    rows, kernels = torch.randn(3, 2, 20, generator=generator), torch.randn(3, 5, generator=generator)
    filtered = filter_rows(rows, kernels, delay=delay)
    for row in range(3):
        for channel in range(2):
            expected = np.convolve(rows[row, channel], kernels[row])[delay : delay + 20]
            np.testing.assert_allclose(filtered[row, channel], expected, rtol=1e-4, atol=1e-5)


def test_no_row_is_filtered_to_none():
    assert filter_rows(torch.zeros(0, 2, 20), torch.zeros(0, 5), delay=0).shape == (0, 2, 20)


def test_low_pass_keeps_what_is_below_its_cutoff_and_removes_what_is_above():
    kernels = low_pass(torch.tensor([0.1, 0.3]), 127)
    levels = response_db(kernels, [0.0, 0.08, 0.12, 0.28, 0.32, 0.49])
    assert levels[0, :2].abs().max() < 0.1
    assert levels[0, 2:].max() < -40
    assert levels[1, :4].abs().max() < 0.1
    assert levels[1, 4:].max() < -40


def test_low_pass_above_half_the_sample_rate_passes_everything():
    signal = torch.randn(1, 2, 500, generator=torch.Generator().manual_seed(0))
    filtered = filter_rows(signal, low_pass(torch.tensor([2.0]), 127), delay=63)
    torch.testing.assert_close(filtered, signal, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gain_db", [-6.0, 0.0, 3.0])
def test_tilt_raises_one_side_and_lowers_the_other_by_half_of_its_level(gain_db):
    levels = response_db(tilt(torch.tensor([gain_db]), 1000 / 44100, 64), [0.0, 1000 / 44100, 0.5])[0]
    assert levels[0] == pytest.approx(-gain_db / 2, abs=1e-3)
    assert levels[1] == pytest.approx(0, abs=0.5)
    assert levels[2] == pytest.approx(gain_db / 2, abs=1)
