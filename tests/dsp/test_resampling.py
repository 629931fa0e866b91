"""Resampling in pieces gives the samples of resampling the whole track."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import resample

from unmix.dsp import resampling

RATES = st.sampled_from(
    [(48000, 44100), (44100, 48000), (8000, 44100), (192000, 44100), (44100, 44100), (22050, 44100)]
)


@settings(deadline=None, max_examples=40)
@given(rates=RATES, num_samples=st.integers(1, 5000), data=st.data())
def test_any_piece_equals_that_part_of_the_resampled_track(rates, num_samples, data):
    rate, new_rate = rates
    track = torch.randn(2, num_samples, generator=torch.Generator().manual_seed(num_samples))

    def read(start, stop):
        assert 0 <= start <= stop <= num_samples
        return track[:, start:stop]

    expected = resample(track, rate, new_rate)
    assert expected.shape[-1] == resampling.num_resampled(num_samples, rate, new_rate)
    start = data.draw(st.integers(0, expected.shape[-1] - 1))
    stop = data.draw(st.integers(start + 1, expected.shape[-1]))
    piece = resampling.resampled(read, num_samples, rate, new_rate)(start, stop)
    torch.testing.assert_close(piece, expected[:, start:stop], atol=1e-5, rtol=1e-4)


@settings(deadline=None, max_examples=40)
@given(rates=RATES, sizes=st.lists(st.integers(1, 3000), min_size=1, max_size=6))
def test_concatenated_blocks_equal_the_resampled_track(rates, sizes):
    rate, new_rate = rates
    track = torch.randn(4, 2, sum(sizes), generator=torch.Generator().manual_seed(len(sizes)))
    length = resampling.num_resampled(sum(sizes), rate, new_rate)
    blocks = list(resampling.resampled_blocks(track.split(sizes, dim=-1), rate, new_rate, length))
    torch.testing.assert_close(torch.cat(blocks, dim=-1), resample(track, rate, new_rate), atol=1e-5, rtol=1e-4)


def test_rates_without_a_common_divisor_are_refused():
    with pytest.raises(ValueError, match="input: 44099 Hz cannot be resampled to 44100 Hz"):
        resampling.ratio(44099, 44100)
