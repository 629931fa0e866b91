"""A mixture in, its sources out: one Open-Unmix network per target, STFT and Wiener filter."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from unmix import errors
from unmix.dsp.norbert_wiener import norbert_wiener
from unmix.dsp.overlap_add import Read
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import Initial, wiener
from unmix.models.open_unmix import streaming
from unmix.models.open_unmix.network import OpenUnmix
from unmix.models.open_unmix.streaming import EPS

FILTERS: dict[str, Any] = {"torch": wiener, "norbert": norbert_wiener}


class Separator(nn.Module):
    """Networks that estimate magnitudes, made consistent with the mixture by a multichannel Wiener filter.

    Args:
        networks: by target, magnitude (batch, channels, bins, frames) -> the same.
        stft: centred.
        sample_rate: Hz, of the mixtures it separates.
        niter: EM passes; 0 takes the networks' magnitudes with the mixture's phase.
        softmask: EM begins with the mixture shared out in proportion to the magnitudes, not with its phase.
        residual: adds a last source, what the targets leave of the mixture.
        wiener: whose filter, `torch` (ours) or `norbert` (the package's).
        window: frames that EM sees at a time; `whole` is all.

    Shape:
        mixture (batch, channels, samples) -> (batch, sources, channels, samples), sources in the order of `targets`.

    Raises:
        ValueError: on no network, or a single one with niter > 0 and nothing beside it that could be refined.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        stft: Stft,
        *,
        sample_rate: int,
        niter: int = 1,
        softmask: bool = False,
        residual: bool = False,
        wiener: str = "torch",
        window: int | Literal["whole"] = "whole",
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("networks: got none, at least one target is needed")
        if len(networks) == 1 and niter > 0 and not residual:
            raise ValueError(
                f"niter: got {niter} with the single target {next(iter(networks))!r}; the Wiener filter shares the "
                "mixture among sources: set residual=True or niter=0, or add targets"
            )
        if wiener not in FILTERS:
            raise ValueError(errors.unknown("wiener", wiener, FILTERS))
        if window != "whole" and (not isinstance(window, int) or window < 1):
            raise ValueError(f"window: got {window!r}, allowed 'whole' or a number of frames")
        self.networks = nn.ModuleDict(networks)
        self.stft = stft
        self.sample_rate = sample_rate
        self.niter = niter
        self.initial: Initial = "softmask" if softmask else "mixture_phase"
        self.residual = residual
        self.wiener = wiener
        self.window: int | Literal["whole"] = window

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the sources in the order they come out."""
        return (*self.networks, *(["residual"] if self.residual else []))

    @property
    def num_channels(self) -> int:
        """Audio channels that the networks take."""
        return cast(OpenUnmix, next(iter(self.networks.values()))).num_channels

    @torch.no_grad()
    def forward(self, mixture: Tensor) -> Tensor:
        _, _, num_samples = mixture.shape
        # Shorter than a window, nothing can be reflected at the ends: silence goes after it.
        padding = max(0, self.stft.fft_size - num_samples)
        spectrogram = self.stft(nn.functional.pad(mixture, (0, padding)))
        magnitude = spectrogram.abs()
        magnitudes = torch.stack([network(magnitude) for network in self.networks.values()], dim=1)
        frames = spectrogram.shape[-1] if self.window == "whole" else self.window
        refined = map(self.refine, magnitudes.split(frames, dim=-1), spectrogram.split(frames, dim=-1))
        estimates = torch.cat(list(refined), dim=-1)
        return self.stft.inverse(estimates, num_samples=num_samples + padding)[..., :num_samples]

    def refine(self, magnitudes: Tensor, mixture: Tensor) -> Tensor:
        """The Wiener filter, over all frames it is given; shapes as `unmix.wiener`."""
        return FILTERS[self.wiener](
            magnitudes, mixture, iterations=self.niter, eps=EPS, initial=self.initial, residual=self.residual
        )

    def stream(self, read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
        """Estimates of a track in blocks, in bounded memory; see `streaming.separate`."""
        return streaming.separate(self, read, num_samples, exact_seconds=exact_seconds)
