"""An augmentation of the user's own."""

from typing import Any

import torch
from torch import Tensor


class Hiss:
    """Adds a source's own alternating signal, at a random level.

    Args:
        level: largest level; full scale is 1.
    """

    def __init__(self, level: float = 0.01) -> None:
        if level > 1:
            raise ValueError(f"level: got {level}, allowed up to 1")
        self.level = level

    def draw(self, numbers: Any) -> tuple[Any]:
        """Levels of all sources, (batch, sources), from random numbers in [0, 1), (batch, sources, 4)."""
        return (self.level * numbers[..., 0],)

    def apply(self, stems: Tensor, levels: Tensor) -> Tensor:
        """Add to stems, (batch, sources, channels, samples)."""
        signs = 1 - 2 * (torch.arange(stems.shape[-1], device=stems.device) % 2)
        return stems + levels[:, :, None, None] * signs


class NoAugmentation:
    """A class without the methods of an augmentation."""
