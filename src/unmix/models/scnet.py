"""SCNet: a sparse encoder of three bands, a dual-path recurrent network, and a decoder with skip connections.

Modules and weights have the names of the released checkpoints, which load by key. Spectrograms inside the network are
(batch, planes or features, bins, frames); the planes are the real and imaginary parts of all channels.

Source:
    W. Tong et al., "SCNet: Sparse compression network for music source separation", arXiv 2401.13276;
    sizes and names from starrytong/SCNet. Differs in speed, not in numbers: see `Fusion` and `DualPath`.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix import checks
from unmix.dsp.stft import Stft
from unmix.models.sparse_bands import Bands, Merge, Split


class Residual(nn.Module):
    """Residual convolutions along time: (sequences, channels, frames) -> the same shape."""

    def __init__(self, channels: int, depth: int, bands: Bands) -> None:
        super().__init__()
        hidden, size = channels // bands.compression, bands.kernel_size
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.GroupNorm(1, channels),
                nn.Conv1d(channels, 2 * hidden, size, padding=size // 2),
                nn.GLU(dim=1),
                nn.Conv1d(hidden, hidden, size, padding=size // 2, groups=hidden),
                nn.GroupNorm(1, hidden),
                nn.SiLU(),
                nn.Conv1d(hidden, channels, 1),
            )
            for _ in range(depth)
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = x + layer(x)
        return x


class Encoder(nn.Module):
    """One level of the encoder; returns its output and the skip connection, both with the compressed bins."""

    def __init__(self, inputs: int, outputs: int, bands: Bands, sizes: Sequence[int]) -> None:
        super().__init__()
        self.SDlayer = Split(inputs, outputs, bands, sizes)
        self.conv_modules = nn.ModuleList(Residual(outputs, depth, bands) for depth in bands.depths)
        self.globalconv = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        batch = x.shape[0]
        compressed = [  # (batch, channels, bins, frames); the residual convolutions take every bin as a sequence
            module(band.transpose(1, 2).flatten(0, 1)).unflatten(0, (batch, -1)).transpose(1, 2)
            for module, band in zip(self.conv_modules, self.SDlayer(x), strict=True)
        ]
        skip = functional.gelu(torch.cat(compressed, dim=2))
        return self.globalconv(skip), skip


class Fusion(nn.Module):
    """Gated convolution of a level's input: (batch, channels, bins, frames) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        # The published network convolves two copies of x, side by side. Adding the two halves of the weights is the
        # same for half of the multiplications.
        first, second = self.conv.weight.chunk(2, dim=1)
        return functional.glu(functional.conv2d(x, first + second, self.conv.bias, padding=1), dim=1)


class DualPath(nn.Module):
    """LSTM over bins, then over frames, each normalised and residual.

    Shape:
        (batch, frames, bins, channels) -> the same. In this order sequences of bins need no copy, and those of frames
        none for a single example.
    """

    def __init__(self, channels: int, expansion: int) -> None:
        super().__init__()
        hidden = expansion * channels
        self.lstm_layers = nn.ModuleList(
            nn.LSTM(channels, hidden, bidirectional=True, batch_first=is_first) for is_first in (True, False)
        )
        self.linear_layers = nn.ModuleList(nn.Linear(2 * hidden, channels) for _ in range(2))
        self.norm_layers = nn.ModuleList(nn.GroupNorm(1, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        batch, frames, bins, _ = x.shape
        sequences, _ = self.lstm_layers[0](_normalised(x, self.norm_layers[0]).flatten(0, 1))
        x = x + self.linear_layers[0](sequences).unflatten(0, (batch, frames))
        sequences, _ = self.lstm_layers[1](_normalised(x, self.norm_layers[1]).transpose(0, 1).flatten(1, 2))
        return x + self.linear_layers[1](sequences).unflatten(1, (batch, bins)).transpose(0, 1)


def _normalised(x: Tensor, norm: Any) -> Tensor:
    """Apply a GroupNorm of one group to (batch, frames, bins, channels), without bringing channels to its axis."""
    if x.is_cuda:  # where layer_norm gives an example to one block, which takes a quarter of SCNet's time
        return _by_moments(_single(x), norm)
    return torch.addcmul(norm.bias, functional.layer_norm(x, x.shape[1:], eps=norm.eps), norm.weight)


def _by_moments(x: Tensor, norm: Any) -> Tensor:
    """Apply a GroupNorm as one product and one sum; only the input is kept for the backward pass."""
    variance, mean = torch.var_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias - mean * scale, x, scale)


def _single(x: Tensor) -> Tensor:
    """Convert half precision to single, which Fourier transforms and sums over a whole spectrogram need."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _complex(x: Tensor) -> Tensor:
    """Join real and imaginary parts, the last axis; torch.complex would hold both until the backward pass."""
    return torch.view_as_complex(x.contiguous())


class SeparationNet(nn.Module):
    """Dual-path layers, alternately on frames and on the Fourier transform of each bin's frames.

    Shape:
        (batch, channels, bins, frames) -> the same; frames must be even, or one frame is lost.
    """

    def __init__(self, channels: int, num_layers: int, expansion: int) -> None:
        super().__init__()
        layers = (DualPath(channels * (1 + index % 2), expansion) for index in range(num_layers))
        self.dp_modules = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 3, 2, 1).contiguous()
        for index, layer in enumerate(self.dp_modules):
            x = _single(layer(x))
            if index % 2 == 0:
                spectrum = torch.fft.rfft(x, dim=1, norm="ortho")
                x = torch.cat([spectrum.real, spectrum.imag], dim=-1)
            else:
                x = torch.fft.irfft(_complex(x.unflatten(-1, (2, -1)).transpose(-1, -2)), dim=1, norm="ortho")
        return x.permute(0, 3, 2, 1)


class SCNet(nn.Module):
    """SCNet: estimates the complex spectrograms of all targets at once.

    Args:
        targets: names of the estimated sources, in the order of the output.
        stft: centred STFT; the published one has a rectangular window and is normalised.
        bands: division into bands.
        sample_rate: Hz.
        num_channels: audio channels.
        widths: features at each level of the encoder.
        num_layers: dual-path layers, an even number.
        expansion: hidden size of each direction of an LSTM, as a multiple of its features.
        standardize: whether each example's spectrogram is brought to mean 0 and standard deviation 1, and back at the
            end; the authors' code does it since 2024-09, the package msst does not.
        chunk_seconds: length of the chunks that long tracks are cut into.

    Shape:
        (batch, channels, samples) -> (batch, targets, channels, samples).

    Raises:
        ValueError: on a value out of range, or bands too narrow for the STFT.
    """

    def __init__(
        self,
        targets: Sequence[str],
        stft: Stft,
        bands: Bands,
        *,
        sample_rate: int = 44100,
        num_channels: int = 2,
        widths: Sequence[int] = (32, 64, 128),
        num_layers: int = 6,
        expansion: int = 1,
        standardize: bool = True,
        chunk_seconds: float = 11.0,
    ) -> None:
        super().__init__()
        checks.texts("targets", targets)
        checks.counts(sample_rate=sample_rate, num_channels=num_channels, num_layers=num_layers, expansion=expansion)
        checks.each("widths", widths, partial(checks.integer, least=bands.compression))
        checks.flag("standardize", standardize)
        checks.number("chunk_seconds", chunk_seconds, above=0)
        if num_layers % 2:
            raise ValueError(f"num_layers: got {num_layers}, an even number is needed")
        if not stft.center:
            raise ValueError("center: got false, but SCNet inverts its STFT: stft.center=true is needed")
        self.targets = tuple(targets)
        self.sample_rate, self.num_channels = sample_rate, num_channels
        self.stft, self.standardize, self.chunk_seconds = stft, standardize, chunk_seconds
        encoders, decoders = [], []
        bins, inputs, outputs = stft.num_bins, 2 * num_channels, 2 * num_channels * len(targets)
        for width in widths:
            sizes = bands.sizes(bins)
            encoders.append(Encoder(inputs, width, bands, sizes))
            decoders.append(nn.Sequential(Fusion(width), Merge(width, outputs, bands, sizes)))
            bins, inputs, outputs = sum(bands.compressed(sizes)), width, width
        self.encoder, self.decoder = nn.ModuleList(encoders), nn.ModuleList(decoders[::-1])
        self.separation_net = SeparationNet(widths[-1], num_layers, expansion)

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the targets' waveforms."""
        num_samples = mixture.shape[-1]
        spectrogram = self.stft(functional.pad(mixture, (0, self._padding(num_samples))))
        x = torch.view_as_real(spectrogram).movedim(-1, 2).flatten(1, 2)
        del spectrogram  # as large as its planes
        statistics = torch.std_mean(x, dim=(1, 2, 3), keepdim=True) if self.standardize else None
        if statistics is not None:
            x = (x - statistics[1]) / (1e-5 + statistics[0])
        skips = []
        for encoder in self.encoder:
            x, skip = encoder(x)
            skips.append(skip)
        del skip
        x = self.separation_net(x)
        for decoder in self.decoder:
            x = x + skips.pop()
            x = decoder(x)
        x = _single(x)
        if statistics is not None:
            x = torch.addcmul(statistics[1], x, statistics[0])
        planes = x.unflatten(1, (len(self.targets), self.num_channels, 2))
        return self.stft.inverse(_complex(planes.movedim(3, -1)), num_samples=num_samples)

    def _padding(self, num_samples: int) -> int:
        """Silence at the end: to an odd number of hops, more than half a window, which makes the frames even."""
        hop = self.stft.hop_size
        hops = max(num_samples // hop + 1, self.stft.fft_size // 2 // hop + 1)
        return (hops + 1 - hops % 2) * hop - num_samples
