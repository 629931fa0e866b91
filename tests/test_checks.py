"""Values are accepted by type and range, or refused in one line."""

import math

import pytest

from unmix import checks


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
