"""Checks of equal content are made once, and an error is raised for each job that has the content."""

import pytest

from unmix.distinct import Distinct


def test_a_check_is_made_once_for_equal_content_of_its_kind():
    distinct, made = Distinct(), []
    for kind, content in [("a", {"x": 1}), ("a", {"x": 1}), ("b", {"x": 1}), ("a", {"x": 1.0}), ("a", {"x": True})]:
        assert distinct.once(lambda: made.append(1) or len(made), kind, content) <= len(made)
    assert len(made) == 4


def test_a_check_that_fails_fails_again():
    distinct = Distinct()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            distinct.once(lambda: 1 // 0, "a", None)
    assert distinct.once(lambda: 5, "a", None) == 5
