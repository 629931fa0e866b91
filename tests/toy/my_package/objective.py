"""An objective that looks at all sources and at the mixture."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class MyObjective(nn.Module):
    """Squared error of the estimates, and of their sum against the true sum.

    Args:
        consistency: weight of the sum.
    """

    def __init__(self, consistency: float = 0.5) -> None:
        super().__init__()
        self.consistency = consistency

    def forward(self, model: nn.Module, mixture: Tensor, sources: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Losses by name."""
        estimates = model(mixture)
        errors = estimates - torch.stack([sources[target] for target in model.targets], dim=1)
        total = sum(sources.values())
        return {
            "squared": errors.square().mean(),
            "sum": self.consistency * (estimates.sum(dim=1) - total).square().mean(),
        }
