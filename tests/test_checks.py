"""Values are accepted by type and range, or refused in one line."""

import math

import pytest

from unmix import checks, trainer_checks


@pytest.mark.parametrize("value", [0, 3])
def test_whole_numbers_in_range_are_returned(value):
    assert checks.integer("a.b", value, least=0) == value


@pytest.mark.parametrize("value", [-1, 3.0, True, "3", None, [3], math.nan])
def test_other_whole_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"a\.b: got .*, (a whole number is needed|allowed 0 or more)"):
        checks.integer("a.b", value, least=0)


@pytest.mark.parametrize("value", [0, 0.5, 3])
def test_finite_numbers_in_range_are_returned(value):
    assert checks.number("a.b", value, least=0) == value


@pytest.mark.parametrize("value", [-0.1, math.nan, math.inf, True, "0.5", None, [1.0]])
def test_other_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"a\.b: got .*, (a number is needed|allowed 0 or more)"):
        checks.number("a.b", value, least=0)


def test_a_wrong_type_and_a_wrong_range_have_messages_of_their_own():
    with pytest.raises(ValueError, match=r"^a\.b: got 1\.5, a whole number is needed$"):
        checks.integer("a.b", 1.5, least=0)
    with pytest.raises(ValueError, match=r"^a\.b: got -1, allowed 0 or more$"):
        checks.integer("a.b", -1, least=0)
    with pytest.raises(ValueError, match=r"^a\.b: got nan, a number is needed$"):
        checks.number("a.b", math.nan, least=60)
    with pytest.raises(ValueError, match=r"^a\.b: got 59, allowed 60 or more$"):
        checks.number("a.b", 59, least=60)


def test_only_true_and_false_are_flags():
    assert checks.flag("a.b", True) is True
    assert checks.flag("a.b", False) is False
    for value in (0, 1, "maybe", "true", None):
        with pytest.raises(ValueError, match=r"a\.b: got .*, allowed true, false"):
            checks.flag("a.b", value)


def test_words_are_compared_with_the_allowed_ones():
    assert checks.word("a.b", "torch", ["torch", "norbert"]) == "torch"
    with pytest.raises(ValueError, match=r"a\.b: got 'norbet', allowed torch, norbert; did you mean 'norbert'\?"):
        checks.word("a.b", "norbet", ["torch", "norbert"])


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "allowed"),
    [
        ({"least": 0}, [0, 9], [-1], "0 or more"),
        ({"above": 0}, [0.1], [0, -1], "above 0"),
        ({"least": 0, "most": 1}, [0, 1], [-0.1, 1.1], "0 up to 1"),
        ({"above": 0, "below": 1}, [0.5], [0, 1], "above 0 below 1"),
        ({"most": 1}, [1, -5], [2], "up to 1"),
    ],
)
def test_bounds_are_inclusive_or_exclusive_and_named(bounds, inside, outside, allowed):
    for value in inside:
        assert checks.number("a", value, **bounds) == value
    for value in outside:
        with pytest.raises(ValueError, match=rf"^a: got {value}, allowed {allowed}$"):
            checks.number("a", value, **bounds)


def test_texts_are_not_empty_and_lists_of_them_name_nothing_twice():
    assert checks.text("a", "x") == "x"
    assert checks.texts("a", ["x", "y"]) == ["x", "y"]
    assert checks.texts("a", [], may_be_empty=True) == []
    for value in ("", "  ", None, 3, ["x"]):
        with pytest.raises(ValueError, match=r"^a: got .*, a text is needed"):
            checks.text("a", value)
    for value in ([], "x", None, {"x": 1}):
        with pytest.raises(ValueError, match=r"^a: got .*, a list of names is needed"):
            checks.texts("a", value)
    with pytest.raises(ValueError, match=r"^a: got x, y, x, which names x twice"):
        checks.texts("a", ["x", "y", "x"])


def test_intervals_ascend():
    assert checks.interval("a", [0, 1.5], least=0) == (0, 1.5)
    assert checks.interval("a", [1, 1], least=0) == (1, 1)
    for value, message in (
        (3, "two numbers"),
        ([1], "two numbers"),
        ([2, 1], "must not exceed"),
        ([-1, 1], "allowed 0"),
    ):
        with pytest.raises(ValueError, match=f"^a: got .*{message}"):
            checks.interval("a", value, least=0)


def test_groups_are_lists_by_name():
    assert checks.groups("a", {"backing": ["drums", "bass"]}) == {"backing": ["drums", "bass"]}
    with pytest.raises(ValueError, match=r"^a: got 'drums', names with lists are needed"):
        checks.groups("a", "drums")
    with pytest.raises(ValueError, match=r"^a\.backing: got 'drums', a list of names is needed"):
        checks.groups("a", {"backing": "drums"})


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (trainer_checks.limit, [1, 300, -1], [0, -2, 1.0, -1.0, True, "1", None]),
        (trainer_checks.time_limit, ["00:12:00:00"], ["12 h", 3, "", None]),
        (trainer_checks.share_or_count, [1, 20, 0.5, 1.0], [0, 0.0, 1.5, -1, True, "all", None]),
        (trainer_checks.device_indices, [0, 4, -1, [0], [2, 3]], [-2, True, "0", [], [-1], [0.5], None]),
        (checks.folder_name, ["umx"], ["", "a/b", ".hidden", None]),
    ],
)
def test_words_of_lightning_are_checked_by_type_and_range(check, good, bad):
    for value in good:
        assert check("a", value) == value
    for value in bad:
        with pytest.raises(ValueError, match=r"^a: got "):
            check("a", value)


def test_alternatives_and_null_are_accepted_and_the_last_alternative_explains():
    check = checks.optional(checks.either(checks.text, checks.texts))
    assert check("a", None) is None
    assert check("a", "x") == "x"
    assert check("a", ["x"]) == ["x"]
    with pytest.raises(ValueError, match=r"^a: got 3, a list of names is needed"):
        check("a", 3)
