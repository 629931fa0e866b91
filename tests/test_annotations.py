"""Values are compared with the annotations of the classes that a configuration names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest

from unmix.annotations import accepts, describe, misfits


@pytest.mark.parametrize(
    ("annotation", "fits", "does_not"),
    [
        (int, [0, -3], [0.5, 3.0, True, "3", None, float("nan")]),
        (float, [0, 0.5], [True, "0.5", None, float("nan"), [0.5]]),
        (bool, [True, False], [0, 1, "true", None]),
        (str, ["a"], ["", 3, None, ["a"]]),
        (str | Path, ["a"], ["", 3]),
        (int | None, [3, None], ["a", 0.5]),
        (float | Sequence[float], [0.5, [1, 2.5]], ["a", ["a"]]),
        (Literal["a", 1], ["a", 1], ["b", True, 1.0]),
        (list[int], [[], [1, 2]], [1, ["a"], "1"]),
        (tuple[float, float], [[0.9, 0.99]], [[0.9], [1, 2, 3], 0.9]),
        (tuple[int, ...], [[], [1, 2, 3]], [["a"]]),
        (Mapping[str, int], [{"a": 1}], [3, "a", ["a"]]),
        (Callable[..., Any], [{"_target_": "x"}], [3, "x"]),
        (Any, [3, None, "", []], []),
    ],
)
def test_values_fit_their_annotations(annotation, fits, does_not):
    for value in fits:
        assert accepts(annotation, value), value
    for value in does_not:
        assert not accepts(annotation, value), value


def called(rate: float, count: int = 3, label: str = "", anything=None, words: "Unknown" = 1):  # noqa: F821
    """A function whose annotations include one that cannot be resolved."""


class Made:
    def __init__(self, rate: float, *, count: int | None = 3, label: str = "", **rest: Any) -> None: ...


def test_a_misfit_names_the_key_and_what_is_needed():
    assert list(misfits("node", Made, {"rate": "fast", "_target_": "x"})) == [
        "node.rate: got 'fast', a number is needed"
    ]
    assert list(misfits("node", Made, {"count": 1.5})) == ["node.count: got 1.5, a whole number or null is needed"]


def test_defaults_fit_even_where_their_annotation_does_not_take_them():
    assert not list(misfits("node", Made, {"rate": 1, "label": ""}))
    assert list(misfits("node", Made, {"label": 3})) == ["node.label: got 3, a text is needed"]


def test_unknown_keys_are_refused_unless_the_class_takes_any():
    assert not list(misfits("node", Made, {"other": 3}))
    assert list(misfits("node", called, {"rat": 1.0})) == [
        "node.rat: got 'rat', allowed rate, count, label, anything, words; did you mean 'rate'?"
    ]


def test_only_nan_is_refused_where_annotations_cannot_be_resolved():
    assert not list(misfits("node", called, {"rate": "fast", "anything": [1]}))
    assert list(misfits("node", called, {"rate": float("nan")})) == ["node.rate: got nan, a number is needed"]


def test_descriptions_are_words():
    assert describe(int | None) == "a whole number or null"
    assert describe(float | Sequence[float]) == "a number or a list"
    assert describe(Literal["a", "b"]) == "'a' or 'b'"
    assert describe(Callable[..., Any]) == "keys with a _target_"
