"""Draws are a pure function of (seed, epoch, index), in range, and uniform over tracks."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unmix.data import sampling
from unmix.data.augmentations.selections import Gain, Swap
from unmix.data.sampling import Recipe, draw

LENGTHS = np.array([1000, 1500, 100])  # the last is exactly one segment long
UMX = {"gain": Gain(), "swap": Swap()}
RECIPE = Recipe(segment=100, augmentations=UMX)
ALMOST_ONE = np.nextafter(1.0, 0.0)

indices = st.builds(lambda first, count: range(first, first + count), st.integers(0, 10**6), st.integers(1, 6))
counters = st.integers(0, 2**64 - 1)
recipes = st.builds(Recipe, segment=st.just(100), random_mix=st.booleans(), augmentations=st.just(UMX))


def draw_small(indices, seed=42, epoch=0, lengths=LENGTHS, recipe=RECIPE):
    first, count = indices[0], len(indices)
    return draw(seed, epoch, first, count, track_lengths=[lengths] * 4, recipe=recipe)


def fields(draws):
    return {name: getattr(draws, name) for name in ("tracks", "starts", "gains", "swaps")}


def assert_equal(first, second):
    for name, values in fields(first).items():
        np.testing.assert_array_equal(values, getattr(second, name), err_msg=name)


def test_draws_are_arrays_of_batch_by_sources():
    draws = fields(draw_small(range(3, 8)))
    assert {values.shape for values in draws.values()} == {(5, 4)}
    dtypes = {"tracks": np.int64, "starts": np.int64, "gains": np.float32, "swaps": np.bool_}
    assert {name: values.dtype for name, values in draws.items()} == dtypes


def test_umx_draws_are_four_numbers_of_a_philox_generator_that_counts_sources_of_samples():
    draws = draw_small(range(5, 9), seed=7, epoch=3)
    for sample in range(4):
        for source in range(4):
            generator = np.random.Philox(key=np.array([7, 3], dtype=np.uint64), counter=4 * (5 + sample) + source)
            track, start, gain, swap = np.random.Generator(generator).random(4)
            assert draws.tracks[sample, source] == int(3 * track)
            assert draws.starts[sample, source] == int(start * (LENGTHS[int(3 * track)] - 99))
            assert draws.gains[sample, source] == np.float32(0.25 + gain)
            assert draws.swaps[sample, source] == (swap < 0.5)


@settings(max_examples=30, deadline=None)
@given(counters, counters, indices, recipes)
def test_sample_does_not_depend_on_the_rest_of_its_batch(seed, epoch, indices, recipe):
    together = draw_small(indices, seed, epoch, recipe=recipe)
    singles = [fields(draw_small([index], seed, epoch, recipe=recipe)) for index in indices]
    joined = {name: np.concatenate([single[name] for single in singles]) for name in fields(together)}
    assert_equal(together, sampling.Draws(**joined))


def test_draws_neither_read_nor_touch_the_global_generator():
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = draw_small(range(4))
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    assert_equal(first, draw_small(range(4)))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=2, unique=True)
)
def test_another_seed_epoch_or_index_is_another_draw(names):
    first, second = (draw_small([index], seed, epoch) for seed, epoch, index in names)
    assert (first.gains != second.gains).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(100, 10**7), min_size=1, max_size=200).map(np.array),
    st.integers(0, 1000),
    recipes,
)
def test_segments_lie_within_their_tracks(lengths, epoch, recipe):
    draws = draw_small(range(16), epoch=epoch, lengths=lengths, recipe=recipe)
    assert ((draws.tracks >= 0) & (draws.tracks < len(lengths))).all()
    assert ((draws.starts >= 0) & (draws.starts <= lengths[draws.tracks] - 100)).all()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(100, 10**8), min_size=1, max_size=300).map(np.array))
def test_smallest_and_largest_random_numbers_give_the_first_and_last_segment(lengths):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "_uniforms", lambda *_: np.zeros((1, 4, 4)))
        first = draw_small([0], lengths=lengths)
        patch.setattr(sampling, "_uniforms", lambda *_: np.full((1, 4, 4), ALMOST_ONE))
        last = draw_small([0], lengths=lengths)
    assert (first.tracks == 0).all()
    assert (first.starts == 0).all()
    assert (last.tracks == len(lengths) - 1).all()
    assert (last.starts == lengths[-1] - 100).all()


def test_every_start_of_a_track_occurs():
    draws = draw_small(range(100), lengths=np.array([103]))
    assert set(draws.starts.flat) == {0, 1, 2, 3}


def test_track_as_long_as_the_segment_is_taken_whole():
    assert not draw_small(range(50), lengths=np.array([100])).starts.any()


def test_track_shorter_than_the_segment_is_refused():
    with pytest.raises(ValueError, match=r"data.segment_seconds: a segment has 100 samples, the shortest track 99"):
        draw_small([0], lengths=np.array([1000, 99, 500]))


def test_tracks_are_drawn_uniformly_whatever_their_duration():
    tracks = draw_small(range(3000), lengths=np.array([100, 1000, 10**6])).tracks
    for source in range(4):
        counts = np.bincount(tracks[:, source], minlength=3)
        assert ((counts - 1000) ** 2 / 1000).sum() < 13.8  # chi-square, 2 degrees of freedom, p = 0.001


def test_sources_of_a_random_mix_are_drawn_independently():
    tracks = draw_small(range(3000), lengths=np.array([1000, 1000])).tracks
    correlation = np.corrcoef(tracks.T) - np.eye(4)
    assert np.abs(correlation).max() < 4 / np.sqrt(3000)


@pytest.mark.parametrize("random_mix", [True, False])
def test_sources_share_track_and_start_exactly_when_not_mixed_at_random(random_mix):
    draws = draw_small(range(64), recipe=dataclasses.replace(RECIPE, random_mix=random_mix))
    for values in (draws.tracks, draws.starts):
        assert (values == values[:, :1]).all() == (not random_mix)
    assert len(set(draws.tracks[:, 0])) == 3  # but samples differ
    assert len(set(draws.starts[:, 0])) > 16


def test_sources_that_share_a_track_keep_their_own_gain_and_swap():
    mixed, together = (
        draw_small(range(64), recipe=dataclasses.replace(RECIPE, random_mix=mix)) for mix in (True, False)
    )
    np.testing.assert_array_equal(mixed.gains, together.gains)
    np.testing.assert_array_equal(mixed.swaps, together.swaps)


@pytest.mark.parametrize("gain", [(0.25, 1.25), (1.0, 1.0), (0.0, 2.0)])
def test_gains_fill_their_range(gain):
    gains = draw_small(range(500), recipe=dataclasses.replace(RECIPE, augmentations={"gain": Gain(gain)})).gains
    assert gain[0] <= gains.min()
    assert gains.max() <= gain[1]
    assert gains.mean() == pytest.approx(sum(gain) / 2, abs=0.05 * (gain[1] - gain[0]))
    assert np.ptp(gains) >= 0.98 * (gain[1] - gain[0])


@pytest.mark.parametrize(("probability", "low", "high"), [(0.0, 0.0, 0.0), (0.5, 0.45, 0.55), (1.0, 1.0, 1.0)])
def test_swaps_occur_with_their_probability(probability, low, high):
    swaps = draw_small(range(500), recipe=dataclasses.replace(RECIPE, augmentations={"swap": Swap(probability)})).swaps
    assert low <= swaps.mean() <= high


def test_draws_of_tracks_that_hold_all_sources_stay_what_they_are():
    """Runs that were started before continue with the samples they would have had."""
    draws = draw_small(range(7, 9), seed=42, epoch=3)
    assert draws.tracks.tolist() == [[1, 2, 1, 0], [1, 2, 2, 1]]
    assert draws.starts.tolist() == [[644, 0, 326, 262], [103, 0, 0, 1155]]
    assert draws.gains[0].tolist() == [1.029556155204773, 0.8220885992050171, 1.075194239616394, 0.3590409457683563]
    assert draws.swaps.tolist() == [[False, False, True, False], [True, True, False, True]]


def test_each_source_is_drawn_from_the_tracks_that_hold_it():
    lengths = [np.array([100]), np.array([300, 200]), np.array([1000] * 7)]
    draws = draw(1, 0, 0, 500, track_lengths=lengths, recipe=RECIPE)
    for source, own in enumerate(lengths):
        assert set(draws.tracks[:, source]) == set(range(len(own)))
        assert (draws.starts[:, source] + 100 <= own[draws.tracks[:, source]]).all()
    assert draws.starts[draws.tracks[:, 1] == 0, 1].max() > 100


def test_recipe_defaults_are_those_of_umx():
    assert Recipe(segment=1) == Recipe(1, random_mix=True, augmentations={})
    assert {"gain": Gain((0.25, 1.25)), "swap": Swap(0.5)} == UMX
