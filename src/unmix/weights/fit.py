"""Whether weights fit a model, said in one line."""

from collections.abc import Mapping, Sequence

from torch import Tensor


def misfit(expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """Describe how weights differ from those that a model needs in names, or else in the first shape that is wrong.

    Args:
        expected: state dict of the model; shapes are enough.
        state: the weights.
    Returns:
        Words that follow `it`, with at most three names of a kind; empty when the weights fit.
    """
    lacking, extra = sorted(expected.keys() - state.keys()), sorted(state.keys() - expected.keys())
    parts = [f"{verb} {_first(names)}" for verb, names in (("lacks", lacking), ("also has", extra)) if names]
    if parts:
        return " and ".join(parts)
    shapes = {name: (tuple(value.shape), tuple(expected[name].shape)) for name, value in state.items()}
    wrong = [f"{name} of shape {got}, {needed} is needed" for name, (got, needed) in shapes.items() if got != needed]
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    return f"has {wrong[0]}{more}" if wrong else ""


def _first(names: Sequence[str]) -> str:
    """List the first three names, and count the others."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"
