"""What does not fit is named, at most three names of a kind."""

import pytest
import torch

from unmix.weights.fit import misfit

WEIGHTS = {name: torch.zeros(2, 3) for name in "abcdef"}


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (WEIGHTS, ""),
        ({name: WEIGHTS[name] for name in "abcde"}, "lacks f"),
        ({name: WEIGHTS[name] for name in "ab"}, "lacks c, d, e and 1 more"),
        ({**WEIGHTS, "x": WEIGHTS["a"]}, "also has x"),
        ({"x": WEIGHTS["a"]}, "lacks a, b, c and 3 more and also has x"),
        ({**WEIGHTS, "b": torch.zeros(5)}, "has b of shape (5,), (2, 3) is needed"),
        (dict.fromkeys("abcdef", torch.zeros(())), "has a of shape (), (2, 3) is needed (and 5 more)"),
    ],
)
def test_names_come_first_and_then_shapes(state, words):
    assert misfit(WEIGHTS, state) == words
