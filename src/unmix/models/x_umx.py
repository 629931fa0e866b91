"""X-UMX: Open-Unmix's networks of several targets, bridged, and trained and run as a single model."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from unmix import checks
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import mixture_phase
from unmix.models.contract import TrainingData
from unmix.models.open_unmix import OpenUnmix, bridges
from unmix.models.open_unmix.separator import Separator


class XUMX(nn.Module):
    """X-UMX (CrossNet-Open-Unmix): one Open-Unmix network per target, whose features are averaged.

    With x the mixture's magnitudes, and E, R, D the encoder, LSTM and decoder of a target's network:
    features h = mean of E(x), recurrent features r = mean of R(h), estimates D([h, r]) x.

    Args:
        targets: names of the sources to estimate, two or more.
        stft: uncentred STFT, for statistics; waveforms are estimated, and X-UMX's loss is computed, with a centred one.
        sample_rate, num_channels, hidden_size, bidirectional, num_layers, bandwidth_hz, dropout, trainable_statistics,
        mask: of every `OpenUnmix`.

    Shape:
        (batch, channels, samples) -> (batch, targets, channels, samples).

    Raises:
        ValueError: on fewer than two targets, and as `OpenUnmix`.

    Source:
        R. Sawata, S. Uhlich, S. Takahashi, Y. Mitsufuji, "All for one and one for all: improving music separation by
        bridging networks", ICASSP 2021, arXiv 2010.04228; asteroid 0.6.0, models/x_umx.py.
    """

    # Full tracks are validated in pieces, as in asteroid's recipe (`val_dur`); separation streams exactly, see `join`.
    chunk_seconds = 80.0

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
        checks.several_targets(targets)
        self.targets = tuple(targets)
        self.sample_rate = sample_rate
        self.num_channels = num_channels
        self.stft = stft
        # by position: a source may have a name, as `keys`, that a ModuleDict does not take
        self.networks = nn.ModuleList(
            OpenUnmix(
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
            for _ in targets
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Estimate the targets' waveforms with the phase of the mixture."""
        _, _, num_samples = mixture.shape
        stft = Stft(self.stft.fft_size, self.stft.hop_size, center=True).to(self.stft.window.device)
        # A mixture shorter than a window cannot be reflected at its ends and is padded with silence.
        padded = max(num_samples, stft.fft_size)
        spectrogram = stft(nn.functional.pad(mixture, (0, padded - num_samples)))
        estimates = mixture_phase(self.magnitudes(spectrogram), spectrogram)
        return stft.inverse(estimates, num_samples=padded)[..., :num_samples]

    def magnitudes(self, spectrogram: Tensor) -> Tensor:
        """Estimate the targets' magnitudes from a mixture's spectrogram.

        Shape:
            complex (batch, channels, bins, frames) -> (batch, targets, channels, bins, frames), >= 0.
        """
        networks = dict(zip(self.targets, self.networks, strict=True))
        return torch.stack(list(bridges.estimate(networks, spectrogram.abs(), self.targets).values()), dim=1)

    def prepare(self, data: TrainingData, device: torch.device) -> None:
        """Initialise the input normalisation of all networks with the statistics of the training mixtures."""
        mean, std = data.magnitude_statistics(self.stft, device)
        for network in self.networks:
            cast(OpenUnmix, network).set_statistics(mean, std)

    @classmethod
    def join(
        cls,
        models: Sequence["XUMX"],
        niter: int | None = None,
        *,
        targets: Sequence[str] | None = None,
        **settings: Any,
    ) -> Separator:
        """Make a separator with Open-Unmix's multichannel Wiener filter.

        Args:
            models: a single model; several are run independently, see `joined.join`.
            niter, targets, settings: see `Separator`; `niter=None` is 1, or 0 for a single target without a residual.
        """
        (model,) = models
        stft = Stft(model.stft.fft_size, model.stft.hop_size, center=True).to(model.stft.window.device)
        networks = dict(zip(model.targets, model.networks, strict=True))
        if niter is None:
            niter = int(len(targets or model.targets) > 1 or bool(settings.get("residual")))
        return Separator(
            networks, stft, sample_rate=model.sample_rate, niter=niter, targets=targets, bridged=True, **settings
        )
