"""Separation in blocks equals separation in one piece; longer tracks are cut and cross-faded."""

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.dsp.overlap_add import spectrograms, waveforms
from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix, blockwise, streaming
from unmix.models.open_unmix.separator import Separator

TARGETS = ("vocals", "drums", "bass", "other")


def make_separator(bidirectional=True, channels=2, hop_size=128, **arguments):
    torch.manual_seed(0)
    stft = Stft(512, hop_size, center=True)
    networks = {t: OpenUnmix(8, bidirectional, num_bins=stft.num_bins, num_channels=channels).eval() for t in TARGETS}
    return Separator(networks, stft, sample_rate=1000, **arguments)


def reader(track):
    def read(start, stop):
        assert 0 <= start <= stop <= track.shape[-1]
        return track[:, start:stop]

    return read


def stream(separator, track, **options):
    return torch.cat(list(streaming.separate(separator, reader(track), track.shape[-1], **options)), dim=-1)


@settings(deadline=None, max_examples=40)
@given(num_samples=st.integers(512, 6000), num_frames=st.integers(1, 20), hop=st.sampled_from([100, 128, 256]))
def test_spectrograms_in_blocks_equal_the_full_one_and_invert_to_the_track(num_samples, num_frames, hop):
    stft = Stft(512, hop, center=True)
    track = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(num_samples))
    blocks = list(spectrograms(stft, reader(track), num_samples, num_frames))
    assert all(block.shape[-1] <= num_frames for block in blocks)
    full = stft(track)
    torch.testing.assert_close(torch.cat(blocks, dim=-1), full, atol=1e-4, rtol=1e-5)
    back = torch.cat(list(waveforms(stft, (block[None] for block in blocks), num_samples)), dim=-1)[0]
    expected = stft.inverse(full, num_samples=num_samples)
    torch.testing.assert_close(back[:, :-hop], expected[:, :-hop], atol=1e-5, rtol=1e-4)
    assert back.shape == track.shape


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("frames", [1, 7, 8, 50])
def test_a_network_in_blocks_equals_the_network(monkeypatch, bidirectional, frames):
    monkeypatch.setattr(blockwise, "FRAMES", 8)
    torch.manual_seed(0)
    network = OpenUnmix(16, bidirectional, num_bins=257).eval()
    magnitude = torch.rand(3, 2, 257, frames)
    with torch.no_grad():
        code = blockwise.codes_of({"bass": network}, network.encode(magnitude), ["bass"])["bass"]
        torch.testing.assert_close(network.decode(code, magnitude), network(magnitude), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("niter", [0, 1, 2])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("num_samples", [1, 100, 511, 512, 513, 20_001])
def test_streaming_a_track_equals_separating_it_in_one_piece(monkeypatch, niter, residual, num_samples):
    monkeypatch.setattr(streaming, "FRAMES", 32)
    separator = make_separator(niter=niter, residual=residual)
    track = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(1))
    blocks = stream(separator, track)
    assert blocks.shape == (4 + residual, 2, num_samples)
    expected = separator(track[None])[0]
    assert (blocks - expected).abs().max() < 1e-4 * track.abs().max()


@pytest.mark.parametrize(
    "arguments",
    [{"window": 20}, {"wiener": "norbert"}, {"wiener": "norbert", "window": 50, "residual": True}, {"softmask": True}],
)
def test_streaming_with_every_filter_equals_separating_in_one_piece(arguments):
    separator = make_separator(niter=1, **arguments)
    track = torch.randn(2, 20_001, generator=torch.Generator().manual_seed(1))
    expected = separator(track[None])[0]
    assert (stream(separator, track) - expected).abs().max() < 1e-4 * track.abs().max()
    if "window" in arguments:
        separator.window = "whole"
        assert (separator(track[None])[0] - expected).abs().max() > 1e-3


@pytest.mark.parametrize(("bidirectional", "channels"), [(False, 2), (True, 1)])
def test_streaming_unidirectional_and_mono_networks_equals_separating_in_one_piece(bidirectional, channels):
    separator = make_separator(bidirectional, channels)
    track = 30 * torch.randn(channels, 30_000)  # loud, so that the filter's normalisation counts
    assert (stream(separator, track) - separator(track[None])[0]).abs().max() < 1e-4 * track.abs().max()


@pytest.mark.parametrize("num_samples", [60_001, 61_000, 100_001, 100_000, 200_000])
def test_longer_tracks_are_cut_and_cross_faded_without_a_seam(num_samples):
    separator = make_separator(niter=1)
    track = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(1))
    joined = stream(separator, track, exact_seconds=60)
    assert joined.shape == (4, 2, num_samples)
    assert (joined.sum(dim=0) - track).abs().max() < 1e-3
    expected = separator(track[None])[0]
    assert (joined - expected).square().mean() < 3e-3 * expected.square().mean()  # EM ran on segments


def test_empty_tracks_and_segments_that_are_all_overlap_are_refused():
    with pytest.raises(ValueError, match="input: got a track without a sample"):
        stream(make_separator(), torch.zeros(2, 0))
    with pytest.raises(ValueError, match="exact_seconds: got 59, allowed 60 or more"):
        stream(make_separator(), torch.zeros(2, 1000), exact_seconds=59)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_track():
    """Stored in memory, the estimates of the longer track would take 64 MB."""
    separator = make_separator(niter=1, hop_size=256)
    separator.sample_rate = 4000
    process, used = psutil.Process(), []
    for seconds in (100, 500):
        peak = 0
        for _ in streaming.separate(
            separator, lambda start, stop: torch.zeros(2, stop - start) + 0.1, seconds * 4000, exact_seconds=60
        ):
            peak = max(peak, process.memory_info().rss)
        used.append(peak)
    assert used[1] < used[0] + 20e6
