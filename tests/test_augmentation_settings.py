"""Lists of augmentations and weights of tracks are valid, or refused in one line that names the setting."""

import inspect

import pytest

from unmix.augmentation_settings import AUGMENTATIONS, check_augmentations, check_track_weights
from unmix.data.augmentations.registry import REGISTRY
from unmix.settings import check

KEY = "data.augmentations"


class Noise:
    def draw(self, numbers): ...
    def apply(self, stems, values): ...


def test_the_table_names_the_augmentations_and_their_settings():
    assert set(AUGMENTATIONS) == set(REGISTRY)
    for name, table in AUGMENTATIONS.items():
        arguments = set(inspect.signature(REGISTRY[name]).parameters) - {"sample_rate"}
        assert set(table) == (arguments if name not in ("gain", "swap") else set())


@pytest.mark.parametrize(
    "entries",
    [
        [],
        ["gain", "swap"],
        ("gain",),
        list(AUGMENTATIONS),
        [{"shift": {"max_seconds": 0.5, "probability": 0.5}}, "gain"],
        [{"shift": None}],
        [{"_target_": "my_package.Noise", "level": 3}],
        [Noise(), "gain"],
    ],
)
def test_valid_lists_are_accepted(entries):
    check("data", {"augmentations": entries})


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_defaults_of_the_classes_are_valid(name):
    defaults = {key: inspect.signature(REGISTRY[name]).parameters[key].default for key in AUGMENTATIONS[name]}
    check_augmentations(KEY, [{name: defaults} if defaults else name])


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("gain", "data.augmentations: got 'gain', a list is needed, as [gain,swap], or [] for none"),
        (None, "data.augmentations: got None, a list is needed"),
        ({"gain": None}, "data.augmentations: got {'gain': None}, a list is needed"),
        ([3], "data.augmentations: got 3 in the list, allowed a name, {name: {setting: value}}, or a node"),
        ([None], "data.augmentations: got None in the list"),
        ([["gain"]], "data.augmentations: got ['gain'] in the list"),
        ([{"gain": None, "swap": None}], "data.augmentations: got {'gain': None, 'swap': None} in the list"),
        (["gian"], "data.augmentations: got 'gian', allowed activity, same_track"),
        (["polarty"], "did you mean 'polarity'?"),
        ([{"shft": {}}], "data.augmentations: got 'shft', allowed"),
        (["gain", "swap", "gain"], "data.augmentations: got gain, swap, gain, which names gain twice"),
        (["shift", {"shift": {"max_seconds": 1}}], "which names shift twice"),
        ([{"shift": 0.5}], "data.augmentations.shift: got 0.5, settings are needed: max_seconds, probability"),
        (
            [{"shift": {"max_second": 1}}],
            "data.augmentations.shift.max_second: got 'max_second', allowed max_seco",
        ),
        ([{"shift": {"max_seconds": 0}}], "data.augmentations.shift.max_seconds: got 0, allowed above 0"),
        ([{"shift": {"max_seconds": "1"}}], "data.augmentations.shift.max_seconds: got '1', a number is needed"),
        ([{"shift": {"sample_rate": 1}}], "data.augmentations.shift.sample_rate: got 'sample_rate', allowed"),
        ([{"tilt": {"probability": 1.5}}], "data.augmentations.tilt.probability: got 1.5, allowed 0 up to 1"),
        ([{"mixup": {"gain": [2, 1]}}], "data.augmentations.mixup.gain: got [2, 1], the first number must not exceed"),
        ([{"speed": {"max_change": 0.01}}], "data.augmentations.speed.max_change: got 0.01, allowed 0.02 up to 0.5"),
        ([{"activity": {"share": 0}}], "data.augmentations.activity.share: got 0, allowed above 0 up to 1"),
        (
            [{"gain": {"limits": [0, 1]}}],
            "data.augmentations.gain: got settings, but data.gain is what sets gain: set that",
        ),
        ([{"swap": {"probability": 1}}], "data.augmentations.swap: got settings, but data.swap_probability is what"),
    ],
)
def test_a_wrong_list_is_refused_in_a_line_that_names_the_setting(entries, message):
    with pytest.raises(ValueError) as error:
        check("data", {"augmentations": entries})
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_setting_of_every_augmentation_is_refused_by_name_when_it_is_no_number(name):
    for setting in AUGMENTATIONS[name]:
        for value in ("word", None, True, float("nan"), [], {"a": 1}):
            with pytest.raises(ValueError, match=rf"^data.augmentations.{name}.{setting}: got "):
                check_augmentations(KEY, [{name: {setting: value}}])


@pytest.mark.parametrize("value", ["uniform", "duration", "activity", "a column", {"A Track": 2, "B": 0, "C": 0.5}])
def test_valid_weights_are_accepted(value):
    check("data", {"track_weights": value})


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "data.track_weights: got '', allowed uniform, duration, activity, {track name: weight}, a column"),
        (None, "data.track_weights: got 'None', allowed uniform"),
        ({}, "data.track_weights: got '{}', allowed uniform"),
        ([1, 2], "data.track_weights: got '[1, 2]', allowed uniform"),
        (2, "data.track_weights: got '2', allowed uniform"),
        ({"A Track": -1}, "data.track_weights.A Track: got -1, allowed 0 or more"),
        ({"A Track": "much"}, "data.track_weights.A Track: got 'much', a number is needed"),
    ],
)
def test_wrong_weights_are_refused_by_name(value, message):
    with pytest.raises(ValueError) as error:
        check_track_weights("data.track_weights", value)
    assert message in str(error.value)
