"""Models and objectives that break the contract, each in one way."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from my_package.model import MyModel


class WrongShape(MyModel):
    """Returns fewer samples than it gets."""

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) -> (batch, targets, channels, samples - 1)."""
        return super().forward(mixture)[..., 1:]


class OneTargetLess(MyModel):
    """Returns one target less than it names."""

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) -> (batch, targets - 1, channels, samples)."""
        return super().forward(mixture)[:, 1:]


class NotANumber(MyModel):
    """Returns NaN."""

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) -> (batch, targets, channels, samples)."""
        return super().forward(mixture) * torch.nan


class Fails(MyModel):
    """Raises an error."""

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) -> an error."""
        return self.heads(mixture)


class NoModule:
    """Not a module of PyTorch's."""

    def __init__(self, **_: Any) -> None:
        pass


def needs_spectrograms(model: Any, mixture: Tensor, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A loss of something that the model does not have."""
    return {"mine": model.spectrogram(mixture).abs().mean()}
