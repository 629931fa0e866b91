"""A small separator of waveforms: it keeps the contract of models, and inherits from nn.Module alone."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class MyModel(nn.Module):
    """Convolutions on waveforms that estimate all targets at once.

    Args:
        targets: names of the sources it estimates.
        sample_rate: Hz.
        num_channels: audio channels.
        width: channels between the convolutions.
        depth: convolutions but the last one.
        dropout: of the last layer; it rises up to there.
        kernel_size: of the convolutions.
        chunk_seconds: length in which long tracks are cut for it.
    """

    def __init__(
        self,
        targets: Sequence[str],
        *,
        sample_rate: int = 44100,
        num_channels: int = 2,
        width: int = 4,
        depth: int = 2,
        dropout: float = 0.1,
        kernel_size: Sequence[int] = (9,),
        chunk_seconds: float = 2.0,
    ) -> None:
        super().__init__()
        self.targets = tuple(targets)
        self.sample_rate, self.num_channels = sample_rate, num_channels
        self.chunk_seconds = chunk_seconds
        # Networks often compute settings by tensors and read them back, which a tensor without values does not allow.
        rates = [rate.item() for rate in torch.linspace(0, dropout, depth)]
        layers: list[nn.Module] = []
        for index, rate in enumerate(rates):
            inputs = width if index else num_channels
            layers += [nn.Conv1d(inputs, width, kernel_size, padding="same"), nn.BatchNorm1d(width), nn.GELU()]
            layers += [nn.Dropout(rate)]
        self.layers = nn.Sequential(*layers)
        self.heads = nn.Conv1d(width, len(self.targets) * num_channels, 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channels, samples) -> (batch, targets, channels, samples)."""
        return self.heads(self.layers(mixture)).unflatten(1, (len(self.targets), self.num_channels))


class MyOneTargetModel(MyModel):
    """The same network for one source, under another class."""

    def __init__(self, targets: Sequence[str], *, sample_rate: int = 44100, num_channels: int = 2) -> None:
        super().__init__(targets, sample_rate=sample_rate, num_channels=num_channels, width=2, depth=1)
