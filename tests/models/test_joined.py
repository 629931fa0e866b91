import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from unmix.dsp.stft import Stft
from unmix.models.joined import JoinedSeparator, join
from unmix.models.open_unmix import UMX
from unmix.models.open_unmix.separator import Separator


class Gains(nn.Module):
    """A model whose estimates are the mixture times a gain per target."""

    def __init__(self, sample_rate=1000, num_channels=2, **gains):
        super().__init__()
        self.targets, self.sample_rate, self.num_channels = tuple(gains), sample_rate, num_channels
        self.gains = torch.tensor(list(gains.values()))

    def forward(self, mixture):
        return mixture.unsqueeze(1) * self.gains[:, None, None]


def noise(num_samples, batch=1):
    return torch.rand(batch, 2, num_samples, generator=torch.Generator().manual_seed(0)) - 0.5


def streamed(separator, mixture):
    blocks = separator.stream(lambda start, stop: mixture[0, :, start:stop], mixture.shape[-1])
    return torch.cat(list(blocks), dim=-1).unsqueeze(0)


def umx(target, fft_size=256):
    torch.manual_seed(0)
    stft = Stft(fft_size, fft_size // 4)
    return UMX([target], stft, sample_rate=1000, hidden_size=8, bandwidth_hz=500).eval()


def test_joined_models_estimate_the_wanted_targets_in_order():
    separator = join([Gains(bass=1.0, vocals=2.0), Gains(drums=3.0)], targets=["drums", "vocals"])
    mixture = noise(50, batch=3)
    assert separator.targets == ("drums", "vocals")
    assert torch.equal(separator(mixture), torch.stack([3 * mixture, 2 * mixture], dim=1))


def test_the_first_of_two_models_of_a_target_estimates_it():
    separator = join([Gains(bass=1.0), Gains(bass=5.0, drums=2.0)])
    assert separator.targets == ("bass", "drums")
    assert torch.equal(separator(noise(9)), torch.stack([noise(9), 2 * noise(9)], dim=1))


def test_residual_is_the_mixture_minus_the_targets():
    separator = join([Gains(bass=0.25), Gains(drums=0.5)], residual=True)
    assert separator.targets == ("bass", "drums", "residual")
    estimates = separator(noise(50))
    assert torch.equal(estimates[:, 2], noise(50) - estimates[:, :2].sum(dim=1))


@settings(max_examples=30, deadline=None)
@given(
    num_samples=st.integers(1, 5000),
    first=st.floats(0.05, 3),
    overlap=st.floats(0, 0.5),
    residual=st.booleans(),
)
def test_streaming_chunks_of_different_lengths_equals_separating_in_one_piece(num_samples, first, overlap, residual):
    models = [Gains(bass=1.0, vocals=2.0), Gains(drums=3.0)]
    models[0].chunk_seconds, models[1].chunk_seconds = first, 0.7
    separator = join(models, overlap=overlap, residual=residual)
    mixture = noise(num_samples)
    streams = streamed(separator, mixture)
    assert streams.shape == separator(mixture).shape
    assert (streams - separator(mixture)).abs().max() < 1e-5


@pytest.mark.parametrize("num_samples", [1, 1000, 4096])
def test_the_wiener_filter_is_the_same_when_streaming_and_its_estimates_sum_to_the_mixture(num_samples):
    separator = join([Gains(bass=1.0, vocals=0.5), Gains(drums=2.0)], niter=1)
    mixture = noise(num_samples)
    streams = streamed(separator, mixture)
    assert streams.shape == (1, 3, 2, num_samples)
    assert (streams.sum(dim=1) - mixture).abs().max() < 1e-4
    assert (streams - separator(mixture)).abs().max() < 1e-4


def test_em_uses_the_same_blocks_of_frames_when_streaming_and_in_one_piece(monkeypatch):
    monkeypatch.setattr("unmix.models.joined.EM_FRAMES", 7)
    separator = join([Gains(bass=1.0), Gains(drums=2.0)], niter=1)
    mixture = noise(20_001)
    assert (streamed(separator, mixture) - separator(mixture)).abs().max() < 1e-4


def test_models_of_one_class_are_joined_by_its_join_method():
    separator = join([umx("drums"), umx("vocals")], targets=["vocals", "drums"])
    assert isinstance(separator, Separator)
    assert (separator.targets, separator.niter) == (("vocals", "drums"), 1)


@pytest.mark.parametrize("niter", [0, 1])
def test_open_unmix_beside_another_model_streams_to_the_same_estimates(niter):
    separator = join([umx("vocals"), Gains(bass=0.5, drums=0.5)], niter=niter)
    assert isinstance(separator, JoinedSeparator)
    mixture = noise(12_345)
    assert (streamed(separator, mixture) - separator(mixture)).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("models", "arguments", "message"),
    [
        ([nn.Identity()], {}, "ckpt: torch.nn.modules.linear.Identity is not a model"),
        ([Gains(bass=1.0), Gains(drums=1.0, num_channels=1)], {}, "bass: 1000 Hz, 2 channels; drums: 1000 Hz, 1 ch"),
        ([Gains(bass=1.0)], {"targets": ["drums"]}, "targets: got 'drums', the models estimate bass"),
        ([Gains(bass=1.0)], {"niter": 1}, "separator.niter: got 1 with the single target 'bass'; the Wiener filter"),
        ([Gains(bass=1.0)], {"niter": -1}, "separator.niter: got -1, allowed 0 or more"),
        ([Gains(bass=1.0)], {"chunk_seconds": 0}, "separator.chunk_seconds: got 0, allowed above 0"),
        ([Gains(bass=1.0)], {"softmask": True}, "separator.softmask: only for Open-Unmix networks; leave it at False"),
        ([Gains(bass=1.0)], {"wiener": "norbert"}, "separator.wiener: only for Open-Unmix networks; leave it at"),
        ([Gains(bass=1.0)], {"window": 300}, "separator.window: only for Open-Unmix networks; leave it at 'whole'"),
        ([umx("bass"), umx("drums", 512)], {}, "ckpt: trained at different (fft_size, hop_size)"),
    ],
)
def test_models_that_cannot_be_joined_are_refused(models, arguments, message):
    with pytest.raises(ValueError) as error:
        join(models, **arguments)
    assert message in str(error.value)
