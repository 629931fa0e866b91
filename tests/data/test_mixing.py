"""The mixture is the sum of what the network is asked for, and the augmentations are UMX's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from openunmix.data import aug_from_str

from unmix.data.mixing import StemBatch, render, to_float
from unmix.data.tracks import SOURCES


def make_batch(batch=3, channels=2, samples=50, gains=None, swaps=None, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, len(SOURCES), channels, samples)
    return StemBatch(
        torch.randint(-32768, 32768, shape, dtype=torch.int16, generator=generator),
        torch.ones(shape[:2]) if gains is None else gains,
        torch.zeros(shape[:2], dtype=torch.bool) if swaps is None else swaps,
    )


def test_rendered_waveforms_are_float_by_name_the_mixture_first():
    waveforms = render(make_batch())
    assert list(waveforms) == ["mixture", "vocals", "drums", "bass", "other"]
    assert {(tuple(waveform.shape), waveform.dtype) for waveform in waveforms.values()} == {((3, 2, 50), torch.float32)}


def test_names_are_given_in_the_order_of_the_sources_axis():
    batch = make_batch()
    waveforms = render(batch)
    for position, source in enumerate(SOURCES):
        assert torch.equal(waveforms[source], batch.stems[:, position] / 32768)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 2]), st.sampled_from([1, 2, 5]), st.integers(1, 40))
def test_mixture_is_the_exact_sum_of_the_rendered_sources(seed, channels, batch, samples):
    generator = torch.Generator().manual_seed(seed)
    gains = torch.randint(1, 9, (batch, 4), generator=generator) / 4  # so that float32 sums are exact in any order
    swaps = torch.rand(batch, 4, generator=generator) < 0.5
    waveforms = render(make_batch(batch, channels, samples, gains, swaps, seed))
    total = sum(waveforms[source] for source in reversed(SOURCES))
    assert torch.equal(waveforms["mixture"], total)


@pytest.mark.parametrize("sample", [0, 2])
@pytest.mark.parametrize("position", range(4))
def test_gain_scales_its_own_source_of_its_own_sample_only(sample, position):
    gains = torch.ones(3, 4)
    gains[sample, position] = 0.25
    plain, scaled = render(make_batch()), render(make_batch(gains=gains))
    for index, source in enumerate(SOURCES):
        expected = plain[source].clone()
        if index == position:
            expected[sample] *= 0.25
        assert torch.equal(scaled[source], expected)


@pytest.mark.parametrize("sample", [0, 2])
@pytest.mark.parametrize("position", range(4))
def test_swap_exchanges_the_channels_of_its_own_source_of_its_own_sample_only(sample, position):
    swaps = torch.zeros(3, 4, dtype=torch.bool)
    swaps[sample, position] = True
    plain, swapped = render(make_batch()), render(make_batch(swaps=swaps))
    for index, source in enumerate(SOURCES):
        expected = plain[source].clone()
        if index == position:
            expected[sample] = plain[source][sample][[1, 0]]
        assert torch.equal(swapped[source], expected)


def test_swap_leaves_mono_as_it_is():
    everywhere = torch.ones(3, 4, dtype=torch.bool)
    plain, swapped = render(make_batch(channels=1)), render(make_batch(channels=1, swaps=everywhere))
    assert all(torch.equal(plain[name], swapped[name]) for name in plain)


def test_gain_of_zero_silences_and_silence_stays_silent():
    assert not render(make_batch(gains=torch.zeros(3, 4)))["mixture"].any()
    silent = make_batch()._replace(stems=torch.zeros(3, 4, 2, 50, dtype=torch.int16))
    assert not any(waveform.any() for waveform in render(silent).values())


def test_four_loud_sources_are_not_clipped():
    loud = make_batch()._replace(stems=torch.full((1, 4, 2, 3), -32768, dtype=torch.int16))
    loud = StemBatch(loud.stems, torch.full((1, 4), 1.25), torch.zeros(1, 4, dtype=torch.bool))
    assert torch.equal(render(loud)["mixture"], torch.full((1, 2, 3), -5.0))


def test_augmented_sources_equal_those_of_open_unmix():
    stems, seen = make_batch(batch=1).stems, set()
    for seed in range(8):
        generator = torch.manual_seed(seed)
        theirs = [aug_from_str(["gain", "channelswap"])(stem / 32768) for stem in stems[0]]
        generator.manual_seed(seed)  # again, to learn what was drawn: first a gain, then whether to swap
        drawn = [(0.25 + torch.rand(1), torch.tensor(1.0).uniform_() < 0.5) for _ in SOURCES]
        gains = torch.stack([gain for gain, _ in drawn]).T
        swaps = torch.stack([swap for _, swap in drawn])[None]
        seen |= set(swaps.flatten().tolist())
        ours = render(StemBatch(stems, gains, swaps))
        for source, their in zip(SOURCES, theirs, strict=True):
            torch.testing.assert_close(ours[source][0], their, rtol=1e-6, atol=0)
        torch.testing.assert_close(ours["mixture"][0], torch.stack(theirs).sum(0), rtol=1e-6, atol=1e-6)
    assert seen == {True, False}


def test_rendering_leaves_its_batch_as_it_was():
    batch = make_batch(gains=torch.full((3, 4), 0.5), swaps=torch.ones(3, 4, dtype=torch.bool))
    copy = StemBatch(*(values.clone() for values in batch[:3]))
    waveforms = render(batch)
    waveforms["vocals"].zero_()
    assert all(torch.equal(values, same) for values, same in zip(batch[:3], copy, strict=False))


def test_integers_become_floats_with_full_scale_at_one():
    integers = torch.tensor([[-32768, -1, 0, 16384, 32767]], dtype=torch.int16)
    floats = to_float(integers)
    assert floats.dtype == torch.float32
    assert torch.equal(floats, torch.tensor([[-1.0, -1 / 32768, 0.0, 0.5, 32767 / 32768]]))
    assert integers.tolist() == [[-32768, -1, 0, 16384, 32767]]
