"""The list of the configuration becomes augmentations by name, in a fixed order."""

import pytest

from unmix.data.augmentations.effects import BandLimit, Tilt
from unmix.data.augmentations.registry import REGISTRY, make_recipe
from unmix.data.augmentations.selections import Gain, Shift, Swap
from unmix.data.sampling import Effect, Recipe, Selection


class Noise:
    def draw(self, numbers): ...
    def apply(self, stems, values): ...


def built(*entries):
    return recipe_of(entries).augmentations


def recipe_of(entries, random_mix=None):
    """Recipe of the settings, by default with the `random_mix` that the entries need."""
    given = {"augmentations": entries, "gain": [0.5, 0.75], "swap_probability": 0.1, "sample_rate": 8000}
    needed = "remix" not in entries if random_mix is None else random_mix
    return make_recipe({**given, "segment_seconds": 0.5, "random_mix": needed})


def test_names_and_settings_become_objects_with_the_sample_rate_of_the_data():
    made = built("gain", "swap", {"shift": {"max_seconds": 2}}, "tilt")
    assert made == {
        "shift": Shift(2, 1.0, 8000),
        "gain": Gain((0.5, 0.75)),
        "swap": Swap(0.1),
        "tilt": Tilt(sample_rate=8000),
    }


def test_the_order_of_the_list_does_not_matter_but_for_the_users_own_which_come_last():
    noise = Noise()
    names = [name for name in REGISTRY if name != "remix"]
    forth, back = built(noise, *names), built(*reversed(names), noise)
    assert list(forth) == list(back) == [*names, f"{__name__}.Noise"]
    assert forth == back
    assert forth[f"{__name__}.Noise"] is noise


def test_an_object_of_a_built_in_class_has_its_name():
    assert built(BandLimit(probability=1.0)) == {"band_limit": BandLimit(probability=1.0)}


@pytest.mark.parametrize("entries", [(Noise(), Noise()), (Tilt(), "tilt"), ("tilt", Tilt())])
def test_a_name_that_is_given_twice_is_refused(entries):
    with pytest.raises(ValueError, match=r"^data.augmentations: .* is given twice$"):
        built(*entries)


def test_every_augmentation_changes_draws_or_waveforms_but_activity():
    for name, kind in REGISTRY.items():
        assert isinstance(kind(), Selection | Effect) == (name != "activity")


@pytest.mark.parametrize(
    ("name", "random_mix", "message"),
    [
        (
            "same_track",
            False,
            "got same_track, which changes nothing with data.random_mix=false: set data.rand",
        ),
        ("activity", False, "got activity, which changes nothing with data.random_mix=false"),
        (
            "remix",
            True,
            "got remix, which changes nothing with data.random_mix=true: set data.random_mix=false",
        ),
    ],
)
def test_what_changes_nothing_is_refused(name, random_mix, message):
    with pytest.raises(ValueError, match=f"^data.augmentations: {message}"):
        recipe_of([name], random_mix)
    assert recipe_of([name], not random_mix) == Recipe(4000, not random_mix, {name: REGISTRY[name]()})


def test_activity_is_of_use_where_some_samples_are_remixed():
    assert list(recipe_of(["remix", "activity"], False).augmentations) == ["activity", "remix"]
