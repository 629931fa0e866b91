"""Bands of a spectrogram, each compressed by its own stride: SCNet's sparse down- and upsampling.

Source:
    W. Tong et al., "SCNet", arXiv 2401.13276; sizes and names of weights from starrytong/SCNet.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix import checks, settings


class Bands:
    """Division of the spectrogram into bands, each compressed by its own stride.

    Args:
        shares: share of the bins of each band, from the lowest; they add up to 1.
        strides: bins per compressed bin of each band.
        kernels: bins that each compressed bin sees, at least the stride.
        depths: residual convolutions along time of each band.
        compression: features of a band per feature inside a residual convolution.
        kernel_size: frames that a residual convolution sees, odd.

    Raises:
        ValueError: on lists of different lengths, or a value out of range.
    """

    def __init__(
        self,
        shares: Sequence[float] = (0.175, 0.392, 0.433),
        strides: Sequence[int] = (1, 4, 16),
        kernels: Sequence[int] = (3, 4, 16),
        depths: Sequence[int] = (3, 2, 1),
        *,
        compression: int = 4,
        kernel_size: int = 3,
    ) -> None:
        checks.each("shares", shares, partial(checks.number, above=0))
        if abs(sum(shares) - 1) > 1e-6:
            raise ValueError(f"shares: got {list(shares)}, which add up to {sum(shares):g}, 1 is needed")
        for name, values in (("strides", strides), ("kernels", kernels), ("depths", depths)):
            checks.each(name, values, settings.COUNT)
            if len(values) != len(shares):
                raise ValueError(f"{name}: got {list(values)}, one for each of {len(shares)} bands is needed")
        for stride, kernel in zip(strides, kernels, strict=True):
            if kernel < stride:
                raise ValueError(f"kernels: got {kernel}, allowed at least the stride, {stride}")
        checks.counts(compression=compression, kernel_size=kernel_size)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size: got {kernel_size}, an odd number is needed")
        self.shares, self.strides, self.kernels, self.depths = shares, strides, kernels, depths
        self.compression, self.kernel_size = compression, kernel_size

    def sizes(self, bins: int) -> list[int]:
        """Number of bins of each band."""
        edges = [math.ceil(bins * sum(self.shares[:index])) for index in range(len(self.shares))]
        return [stop - start for start, stop in zip(edges, [*edges[1:], bins], strict=True)]

    def paddings(self, sizes: Sequence[int]) -> list[tuple[int, int]]:
        """Bins of silence below and above each band, so that all of its bins are compressed."""
        bands = zip(sizes, self.strides, self.kernels, strict=True)
        totals = [kernel - 1 if stride == 1 else -size % stride for size, stride, kernel in bands]
        return [(total // 2, total - total // 2) for total in totals]

    def compressed(self, sizes: Sequence[int]) -> list[int]:
        """Number of compressed bins of each band.

        Raises:
            ValueError: when a band is too narrow, or its last bins would be lost.
        """
        numbers = []
        for size, padding, stride, kernel in zip(sizes, self.paddings(sizes), self.strides, self.kernels, strict=True):
            number = (size + sum(padding) - kernel) // stride + 1
            if size < 1 or number < 1 or (number - 1) * stride + kernel < size:
                raise ValueError(
                    f"bands: got a band of {size} bins, which kernel {kernel} and stride {stride} cannot compress; "
                    "take a larger stft.fft_size, a larger share, or kernels equal to strides"
                )
            numbers.append(number)
        return numbers


class Split(nn.Module):
    """Compress each band by a convolution over bins: (batch, inputs, bins, frames) -> one tensor per band."""

    def __init__(self, inputs: int, outputs: int, bands: Bands, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes, self.paddings = list(sizes), bands.paddings(sizes)
        shapes = zip(bands.kernels, bands.strides, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(inputs, outputs, (size, 1), (stride, 1)) for size, stride in shapes)

    def forward(self, x: Tensor) -> list[Tensor]:
        parts = zip(self.convs, x.split(self.sizes, dim=2), self.paddings, strict=True)
        return [conv(functional.pad(band, (0, 0, *padding))) for conv, band, padding in parts]


class Merge(nn.Module):
    """Inverse of `Split` in shape: (batch, inputs, compressed bins, frames) -> (batch, outputs, bins, frames)."""

    def __init__(self, inputs: int, outputs: int, bands: Bands, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes, self.compressed = list(sizes), bands.compressed(sizes)
        shapes = zip(bands.kernels, bands.strides, strict=True)
        convs = (nn.ConvTranspose2d(inputs, outputs, (size, 1), (stride, 1)) for size, stride in shapes)
        self.convtrs = nn.ModuleList(convs)

    def forward(self, x: Tensor) -> Tensor:
        bands = [conv(band) for conv, band in zip(self.convtrs, x.split(self.compressed, dim=2), strict=True)]
        trimmed = [band.narrow(2, (band.shape[2] - n) // 2, n) for band, n in zip(bands, self.sizes, strict=True)]
        return torch.cat(trimmed, dim=2)
