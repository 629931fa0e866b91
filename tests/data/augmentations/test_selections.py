"""Augmentations of what is read change what they name, as often as they say, and nothing else."""

import numpy as np
import pytest

from unmix.data import sampling
from unmix.data.augmentations.registry import REGISTRY
from unmix.data.augmentations.selections import Gain, Polarity, Remix, SameTrack, Shift, Swap
from unmix.data.sampling import Recipe, draw

LENGTHS = np.array([1000, 1500, 100])  # the last is exactly one segment long
ALL = {name: kind() for name, kind in REGISTRY.items() if name not in ("speed", "activity")} | {
    "shift": Shift(sample_rate=100)
}


def draw_with(augmentations, *, first=0, count=500, lengths=LENGTHS, random_mix=True, seed=1):
    recipe = Recipe(100, random_mix, augmentations)
    return draw(seed, 0, first, count, track_lengths=[lengths] * 4, recipe=recipe)


class Spy:
    """Augmentation that changes nothing and keeps its random numbers."""

    def change(self, draws, numbers, excerpts):
        self.numbers = numbers
        return draws


def numbers_of(names):
    spies = {name: Spy() for name in names}
    draw_with(spies, count=3)
    return {name: spy.numbers for name, spy in spies.items()}


def test_an_augmentation_has_the_same_random_numbers_whatever_others_are_listed():
    together = numbers_of(REGISTRY)
    for name in REGISTRY:
        (alone,) = numbers_of([name]).values()
        np.testing.assert_array_equal(alone, together[name])
    assert len({numbers[0, 0, 0] for numbers in together.values()}) == len(REGISTRY)


def test_random_numbers_of_an_augmentation_are_a_function_of_its_name():
    """Another process, or another version, draws the same."""
    key, stream = np.array([1, 0], dtype=np.uint64), 10213085428907336491  # of sha256("tilt")
    generator = np.random.Philox(key=key, counter=np.array([0, 0, 0, stream], dtype=np.uint64))
    np.testing.assert_array_equal(
        numbers_of(["tilt"])["tilt"], np.random.Generator(generator).random((3, 4, 4)), strict=True
    )


@pytest.mark.parametrize("name", ALL)
def test_adding_an_augmentation_changes_only_its_own_fields(name):
    changed = {
        "gain": {"gains"},
        "swap": {"swaps"},
        "polarity": {"gains"},
        "shift": {"starts"},
        "same_track": {"tracks", "starts"},
        "remix": {"tracks", "starts"},
    }.get(name, set())
    plain, added = draw_with({}), draw_with({name: ALL[name]})
    for field in ("tracks", "starts", "gains", "swaps"):
        assert np.array_equal(getattr(plain, field), getattr(added, field)) == (field not in changed), field
    assert list(added.effects) == ([] if changed else [name])


def test_samples_do_not_depend_on_how_they_are_divided_into_batches():
    whole, parts = draw_with(ALL, count=8), [draw_with(ALL, first=first, count=4) for first in (0, 4)]
    for field in ("tracks", "starts", "gains", "swaps"):
        joined = np.concatenate([getattr(part, field) for part in parts])
        np.testing.assert_array_equal(getattr(whole, field), joined, err_msg=field)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_polarity_changes_the_sign_of_gains_with_its_probability(probability):
    plain, changed = (draw_with(augmentations) for augmentations in ({}, {"polarity": Polarity(probability)}))
    np.testing.assert_array_equal(np.abs(changed.gains), plain.gains)
    assert (changed.gains < 0).mean() == pytest.approx(probability, abs=0.04)


def test_polarity_keeps_the_size_of_random_gains():
    plain = draw_with({"gain": Gain(), "swap": Swap()})
    changed = draw_with({"gain": Gain(), "swap": Swap(), "polarity": Polarity()})
    np.testing.assert_array_equal(np.abs(changed.gains), plain.gains)
    assert changed.gains.dtype == np.float32


@pytest.mark.parametrize("random_mix", [True, False])
def test_shifted_segments_stay_within_the_distance_and_within_their_tracks(random_mix):
    plain, shifted = (
        draw_with(augmentations, random_mix=random_mix) for augmentations in ({}, {"shift": Shift(0.2, 1.0, 1000)})
    )
    distance = shifted.starts - plain.starts
    assert np.abs(distance).max() <= 200
    assert distance.min() < -150
    assert distance.max() > 150
    assert (shifted.starts >= 0).all()
    assert (shifted.starts <= LENGTHS[shifted.tracks] - 100).all()
    assert not shifted.starts[shifted.tracks == 2].any()  # there is one position


def test_shift_moves_the_sources_of_one_moment_apart_with_its_probability():
    shifted = draw_with({"shift": Shift(10, 0.25, 1000)}, random_mix=False, lengths=np.array([10**6]))
    plain = draw_with({}, random_mix=False, lengths=np.array([10**6]))
    assert (shifted.starts != plain.starts).mean() == pytest.approx(0.25, abs=0.04)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_same_track_takes_whole_samples_from_one_moment_with_its_probability(probability):
    lengths = np.array([10**6] * 3)
    plain, changed = (
        draw_with(augmentations, lengths=lengths) for augmentations in ({}, {"same_track": SameTrack(probability)})
    )
    is_together = (changed.starts == changed.starts[:, :1]).all(axis=1) & (changed.tracks == changed.tracks[:, :1]).all(
        axis=1
    )
    assert is_together.mean() == pytest.approx(probability, abs=0.06)
    np.testing.assert_array_equal(changed.starts[~is_together], plain.starts[~is_together])
    np.testing.assert_array_equal(changed.tracks[~is_together], plain.tracks[~is_together])


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_remix_takes_whole_samples_from_independent_tracks_with_its_probability(probability):
    lengths = np.array([10**6] * 3)
    changed = draw_with({"remix": Remix(probability)}, lengths=lengths, random_mix=False)
    is_together = (changed.starts == changed.starts[:, :1]).all(axis=1)
    assert (~is_together).mean() == pytest.approx(probability, abs=0.06)
    if probability == 1:
        assert np.abs(np.corrcoef(changed.tracks.T) - np.eye(4)).max() < 0.2


def test_streams_of_names_are_never_that_of_the_tracks():
    assert all(sampling._stream(name) for name in REGISTRY)
