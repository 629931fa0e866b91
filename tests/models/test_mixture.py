"""What a separator takes in Python, and the one line that answers everything else."""

import numpy as np
import pytest
import torch
from torch import nn

from unmix.dsp.stft import Stft
from unmix.models.joined import join
from unmix.models.open_unmix import UMX


class Half(nn.Module):
    """A model of one target, the mixture divided by two."""

    targets, sample_rate = ("vocals",), 44100

    def __init__(self, num_channels=2):
        super().__init__()
        self.num_channels = num_channels

    def forward(self, mixture):
        return mixture[:, None] / 2


def umx(num_channels=2):
    torch.manual_seed(0)
    model = UMX(["vocals"], Stft(256, 64), sample_rate=44100, num_channels=num_channels, hidden_size=8)
    return join([model.eval()], niter=0)


@pytest.fixture(params=[lambda channels=2: join([Half(channels)]), umx], ids=["any model", "Open-Unmix"])
def make(request):
    return request.param


NOISE = torch.randn(3, 2, 4410, generator=torch.Generator().manual_seed(0))


def test_a_batch_gives_a_batch_and_a_single_mixture_none(make):
    separator = make()
    estimates = separator(NOISE)
    assert estimates.shape == (3, 1, 2, 4410)
    torch.testing.assert_close(separator(NOISE[1]), estimates[1])


def test_arrays_of_numpy_and_double_precision_are_accepted(make):
    separator = make()
    expected = separator(NOISE)
    doubles = NOISE.double().numpy()
    for mixture in (NOISE.numpy(), doubles, doubles.astype(">f8"), np.asfortranarray(doubles), NOISE.double()):
        estimates = separator(mixture)
        assert estimates.dtype == torch.float32
        torch.testing.assert_close(estimates, expected)
    backwards = separator(doubles[..., ::-1])  # negative strides
    torch.testing.assert_close(backwards, separator(NOISE.flip(-1)))


NEEDED = r"\(batch, channels, samples\) or \(channels, samples\) with 2 channels is needed"


@pytest.mark.parametrize(
    ("mixture", "message"),
    [
        (NOISE[:, :1], rf"mixture: got shape \(3, 1, 4410\), {NEEDED}; mixture.repeat_interleave\(2, dim=-2\) repeats"),
        (NOISE[0, :1], rf"mixture: got shape \(1, 4410\), {NEEDED}; mixture.repeat_interleave"),
        (NOISE[0, 0], rf"mixture: got shape \(4410,\), {NEEDED}$"),
        (NOISE[None], rf"mixture: got shape \(1, 3, 2, 4410\), {NEEDED}$"),
        (NOISE[0].T, rf"mixture: got shape \(4410, 2\), {NEEDED}; swap the last two axes$"),
        (torch.ones(1, 3, 9), rf"mixture: got shape \(1, 3, 9\), {NEEDED}$"),
        (NOISE[..., :0], rf"mixture: got shape \(3, 2, 0\), {NEEDED}$"),
        (NOISE[:0], rf"mixture: got shape \(0, 2, 4410\), {NEEDED}$"),
        ((NOISE * 9).to(torch.int16), r"mixture: got torch.int16, floating-point samples.*mixture / 32768$"),
        (np.ones((2, 9), np.int16), r"mixture: got torch.int16, floating-point samples.*mixture / 32768$"),
        (NOISE / 0, r"mixture: got NaN or infinite samples, finite ones are needed$"),
        (NOISE.to(torch.complex64), r"mixture: got values of torch.complex64, real numbers are needed$"),
        (np.array(["a", "b"]), r"mixture: got values of <U1, real numbers are needed$"),
        ([[0.0, 0.1]], r"mixture: got list, a tensor or a NumPy array is needed$"),
        ("song.wav", r"mixture: got str, a tensor or a NumPy array is needed$"),
    ],
)
def test_anything_else_is_answered_in_one_line(make, mixture, message):
    with pytest.raises(ValueError, match=message) as error:
        make()(mixture)
    assert "\n" not in str(error.value)


def test_a_mono_separator_takes_mono_only(make):
    separator = make(1)
    assert separator(NOISE[:, :1]).shape == (3, 1, 1, 4410)
    with pytest.raises(ValueError, match=r"got shape \(3, 2, 4410\), .* with 1 channel is needed"):
        separator(NOISE)


def test_the_mixture_is_not_changed(make):
    mixture = NOISE.clone()
    make()(mixture)
    assert torch.equal(mixture, NOISE)
