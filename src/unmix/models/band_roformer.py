"""Band-split RoFormer: complex masks by transformers along time and frequency; BS-RoFormer and Mel-band RoFormer.

Both are this network with other bands: adjacent ones of given widths, or overlapping ones on the mel scale. Modules and
weights have the names of the released checkpoints, which load by key. Spectrograms inside the network are (batch,
channels, frames, bins), as they lie in memory, and tokens (bands, batch, frames, features).

Source:
    W.-T. Lu et al., "Music source separation with band-split RoPE transformer", arXiv 2309.02612; J.-C. Wang et al.,
    "Mel-band RoFormer for music source separation", arXiv 2310.01809; names and details from the package msst,
    `models/bs_roformer`.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from unmix import checks
from unmix.dsp.stft import Stft
from unmix.models.frequency_bands import MelBands, Overlap, WidthBands
from unmix.models.rotary_transformer import Layers, RmsNorm, Transformer, normalised_linear


class BandSplit(nn.Module):
    """Features of each band: (batch, frames, values of all bins) -> (bands, batch, frames, features)."""

    def __init__(self, ranges: Sequence[range], values_per_bin: int, features: int) -> None:
        super().__init__()
        self.slices = [slice(band.start * values_per_bin, band.stop * values_per_bin) for band in ranges]
        sizes = [values_per_bin * len(band) for band in ranges]
        self.to_features = nn.ModuleList(nn.Sequential(RmsNorm(size), nn.Linear(size, features)) for size in sizes)

    def forward(self, x: Tensor) -> Tensor:
        layers: Any = self.to_features
        return torch.stack(
            [
                normalised_linear(norm.unit(x[..., band]), norm, linear)
                for band, (norm, linear) in zip(self.slices, layers, strict=True)
            ]
        )


class MaskEstimator(nn.Module):
    """Mask of one target: (bands, batch, frames, features) -> (batch, frames, values) for each band."""

    def __init__(self, sizes: Sequence[int], features: int, hidden: int, num_layers: int) -> None:
        super().__init__()
        widths = [features, *(hidden for _ in range(num_layers - 1))]
        self.to_freqs = nn.ModuleList(nn.Sequential(_mlp([*widths, 2 * size]), nn.GLU()) for size in sizes)

    def forward(self, tokens: Sequence[Tensor]) -> list[Tensor]:
        return [network(band) for network, band in zip(self.to_freqs, tokens, strict=True)]


class _Tanh(nn.Module):
    """Hyperbolic tangent in place of its input, which no other layer needs."""

    def forward(self, x: Tensor) -> Tensor:
        return x.tanh_()


def _mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with hyperbolic tangents between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), _Tanh()]
    return nn.Sequential(*layers[:-1])


class BandRoformer(nn.Module):
    """Band-split RoFormer: estimates the complex spectrograms of all targets at once.

    Args:
        targets: names of the estimated sources, in the order of the output.
        stft: centred STFT; the published one has windows of 2048 samples.
        bands: division of its bins into bands.
        layers: sizes of the transformers.
        sample_rate: Hz.
        num_channels: audio channels.
        mask_layers: linear layers of a mask's network, 2 or more; the last is gated.
        mask_expansion: hidden features of a mask's network, as a multiple of those of a token.
        zero_dc: whether the estimates have no constant component.
        chunk_seconds: length of the chunks that long tracks are cut into.

    Shape:
        (batch, channels, samples) -> (batch, targets, channels, samples).

    Raises:
        ValueError: on a value out of range, or bands that do not fit the STFT.
    """

    def __init__(
        self,
        targets: Sequence[str],
        stft: Stft,
        bands: WidthBands | MelBands,
        layers: Layers,
        *,
        sample_rate: int = 44100,
        num_channels: int = 2,
        mask_layers: int = 2,
        mask_expansion: int = 4,
        zero_dc: bool = True,
        chunk_seconds: float = 8.0,
    ) -> None:
        super().__init__()
        checks.texts("targets", targets)
        checks.counts(sample_rate=sample_rate, num_channels=num_channels, mask_layers=mask_layers)
        checks.counts(mask_expansion=mask_expansion)
        checks.flag("zero_dc", zero_dc)
        checks.number("chunk_seconds", chunk_seconds, above=0)
        if not stft.center:
            raise ValueError("center: got false, but band RoFormers invert their STFT: stft.center=true is needed")
        self.targets = tuple(targets)
        self.sample_rate, self.num_channels = sample_rate, num_channels
        self.stft, self.zero_dc, self.chunk_seconds = stft, zero_dc, chunk_seconds
        ranges, per_bin, features = bands.ranges(stft.num_bins, sample_rate), 2 * num_channels, layers.features
        self.overlap = Overlap(ranges, stft.num_bins)
        self.band_split = BandSplit(ranges, per_bin, features)
        self.layers = nn.ModuleList(
            nn.ModuleList(Transformer(layers, depth) for depth in (layers.time_depth, layers.frequency_depth))
            for _ in range(layers.depth)
        )
        self.final_norm = RmsNorm(features) if layers.norm == "last" else nn.Identity()
        sizes = [per_bin * len(band) for band in ranges]
        self.mask_estimators = nn.ModuleList(
            MaskEstimator(sizes, features, mask_expansion * features, mask_layers) for _ in targets
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the targets' waveforms."""
        num_samples = mixture.shape[-1]
        padding = self.stft.fft_size // 2 + 1 - num_samples  # of what is too short for one window
        spectrogram = self.stft(functional.pad(mixture, (0, max(0, padding)))).transpose(-1, -2)
        # a bin has the values of the first channel, real and imaginary, then of the others
        values = torch.view_as_real(spectrogram).permute(0, 2, 3, 1, 4).flatten(2)
        if self.zero_dc:
            spectrogram = functional.pad(spectrogram[..., 1:], (1, 0))
        tokens = self._transformed(self.band_split(values)).unbind(0)
        estimates = [self._masked(spectrogram, estimator(tokens)) for estimator in self.mask_estimators]
        return self.stft.inverse(torch.stack(estimates, dim=1).transpose(-1, -2), num_samples=num_samples)

    def _transformed(self, tokens: Tensor) -> Tensor:
        """Apply the transformers, along time and frequency in turns."""
        shape = tokens.shape
        pairs: Any = self.layers
        for along_time, along_frequency in pairs:
            tokens = along_time(tokens.flatten(0, 1), 1).view(shape)
            tokens = along_frequency(tokens.flatten(1, 2), 0).view(shape)
        normalised: Tensor = self.final_norm(tokens)
        return normalised

    def _masked(self, spectrogram: Tensor, values: Sequence[Tensor]) -> Tensor:
        """Apply a mask, as values per band: (batch, channels, frames, bins) -> the same."""
        mask: Any = self.overlap.average(values, 2 * self.num_channels)
        mask = mask.to(spectrogram.real.dtype).unflatten(-1, (-1, self.num_channels, 2))
        return spectrogram * torch.view_as_complex(mask).permute(0, 3, 1, 2)
