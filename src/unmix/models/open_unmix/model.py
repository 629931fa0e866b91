"""Open-Unmix as a model of one target: waveform in, waveform out."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unmix import checks
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import mixture_phase
from unmix.models.contract import TrainingData
from unmix.models.open_unmix.network import OpenUnmix
from unmix.models.open_unmix.separator import Separator


class UMX(nn.Module):
    """Open-Unmix: STFT, a network that masks the mixture's magnitudes, inverse STFT with the mixture's phase.

    Args:
        targets: name of the source to estimate, as a sequence of one; several sources need one model each.
        stft: uncentred STFT, which UMX uses for loss and statistics; waveforms are estimated with a centred one.
        sample_rate, num_channels, hidden_size, bidirectional, num_layers, bandwidth_hz, dropout, trainable_statistics,
        mask: see `OpenUnmix`.

    Shape:
        (batch, channels, samples) -> (batch, 1, channels, samples).

    Raises:
        ValueError: when there is not exactly one target, and as `OpenUnmix`.
    """

    def __init__(
        self,
        targets: Sequence[str],
        stft: Stft,
        *,
        sample_rate: int = 44100,
        num_channels: int = 2,
        hidden_size: int = 512,
        bidirectional: bool = True,
        num_layers: int = 3,
        bandwidth_hz: float = 16000.0,
        dropout: float = 0.4,
        trainable_statistics: bool = True,
        mask: str = "relu",
    ) -> None:
        super().__init__()
        checks.one_target(targets)
        self.targets = tuple(targets)
        self.sample_rate = sample_rate
        self.num_channels = num_channels
        self.stft = stft
        self.network = OpenUnmix(
            hidden_size,
            bidirectional,
            num_layers=num_layers,
            num_channels=num_channels,
            num_bins=stft.num_bins,
            bandwidth_hz=bandwidth_hz,
            sample_rate=sample_rate,
            dropout=dropout,
            trainable_statistics=trainable_statistics,
            mask=mask,
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the target's waveform with the phase of the mixture."""
        _, _, num_samples = mixture.shape
        stft = Stft(self.stft.fft_size, self.stft.hop_size, center=True).to(self.stft.window.device)
        # A mixture shorter than a window cannot be reflected at its ends and is padded with silence.
        padded = max(num_samples, stft.fft_size)
        spectrogram = stft(nn.functional.pad(mixture, (0, padded - num_samples)))
        estimates = mixture_phase(self.network(spectrogram.abs()).unsqueeze(1), spectrogram)
        return stft.inverse(estimates, num_samples=padded)[..., :num_samples]

    def magnitudes(self, spectrogram: Tensor) -> Tensor:
        """Estimate the target's magnitudes from a mixture's spectrogram.

        Shape:
            complex (batch, channels, bins, frames) -> (batch, targets, channels, bins, frames), >= 0.
        """
        magnitudes: Tensor = self.network(spectrogram.abs()).unsqueeze(1)
        return magnitudes

    def prepare(self, data: TrainingData, device: torch.device) -> None:
        """Initialise the input normalisation with the statistics of the training mixtures."""
        self.network.set_statistics(*data.magnitude_statistics(self.stft, device))

    @classmethod
    def join(
        cls, models: Sequence["UMX"], niter: int | None = None, *, targets: Sequence[str] | None = None, **settings: Any
    ) -> Separator:
        """Join models of different targets by the multichannel Wiener filter.

        Args:
            models: one per target.
            niter, targets, settings: see `Separator`; `niter=None` is 1, or 0 for a single target without a residual,
                which has no other source to share the mixture with.
        Raises:
            ValueError: when the models differ in their STFT, and as `Separator`.
        """
        stfts = {model.targets[0]: (model.stft.fft_size, model.stft.hop_size) for model in models}
        if len(set(stfts.values())) > 1:
            raise ValueError(f"ckpt: trained at different (fft_size, hop_size): {stfts}")
        networks = {model.targets[0]: model.network for model in models}
        stft = Stft(*next(iter(stfts.values())), center=True).to(models[0].stft.window.device)
        if niter is None:
            niter = int(len(networks) > 1 or bool(settings.get("residual")))
        return Separator(networks, stft, sample_rate=models[0].sample_rate, niter=niter, targets=targets, **settings)
