"""Comparison of checkpoints to the last bit."""

import torch


def as_bytes(value):
    """The same nested dicts and lists, with bytes in place of tensors: they compare by ==, NaN included."""
    if isinstance(value, dict):
        return {name: as_bytes(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [as_bytes(child) for child in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value
