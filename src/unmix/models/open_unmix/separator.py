"""Open-Unmix's separator: one network per target, STFT and multichannel Wiener filter."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from unmix import settings
from unmix.dsp.norbert_wiener import norbert_wiener
from unmix.dsp.overlap_add import Read
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import Initial, wiener
from unmix.models.mixture import separate
from unmix.models.open_unmix import bridges, streaming
from unmix.models.open_unmix.network import OpenUnmix
from unmix.models.open_unmix.streaming import EPS

FILTERS: dict[str, Any] = dict(zip(settings.FILTERS, (wiener, norbert_wiener), strict=True))


class Separator(nn.Module):
    """Separator of magnitude networks, whose estimates a multichannel Wiener filter makes consistent with the mixture.

    Args:
        networks: one per target, magnitude (batch, channels, bins, frames) -> the same.
        stft: centred.
        sample_rate: Hz, of the mixtures to separate.
        niter: EM iterations; 0 combines the networks' magnitudes with the mixture's phase.
        softmask: whether EM starts from ratio masks of the magnitudes instead of the mixture's phase.
        residual: whether to add a last source, the mixture minus all targets.
        wiener: implementation of the filter, `torch` (ours) or `norbert` (the package).
        window: number of frames that EM processes at a time; `whole` is all of them.
        targets: those to estimate, in the order of the output; None is those of all networks.
        bridged: whether the networks share features as in X-UMX, see `bridges`.

    Shape:
        mixture (batch, channels, samples) -> (batch, sources, channels, samples), sources in the order of `targets`;
        both may lack the batch axis, see `mixture.separate`.

    Raises:
        ValueError: without networks, with a single one when niter > 0 and residual=False, or on an unknown setting.
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
        targets: Sequence[str] | None = None,
        bridged: bool = False,
    ) -> None:
        super().__init__()
        if not networks:
            raise ValueError("networks: got none, at least one target is needed")
        settings.check(
            "separator",
            {"niter": niter, "softmask": softmask, "residual": residual, "wiener": wiener, "window": window},
        )
        self.estimated = tuple(targets or networks)
        if len(self.estimated) == 1 and niter > 0 and not residual:
            raise ValueError(
                f"separator.niter: got {niter} with the single target {self.estimated[0]!r}; the Wiener filter "
                "shares the mixture among sources: residual=true gives it a second one, separator.niter=0 turns it off"
            )
        self.networks = nn.ModuleDict(networks)
        self.groups = [dict(networks)] if bridged else [{target: networks[target]} for target in self.estimated]
        self.stft = stft
        self.sample_rate = sample_rate
        self.niter = niter
        self.initial: Initial = "softmask" if softmask else "mixture_phase"
        self.residual = residual
        self.wiener = wiener
        self.window: int | Literal["whole"] = window

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the sources, in the order of the output."""
        return (*self.estimated, *(["residual"] if self.residual else []))

    @property
    def num_channels(self) -> int:
        """Audio channels that the networks take."""
        return cast(OpenUnmix, next(iter(self.networks.values()))).num_channels

    @torch.no_grad()
    def forward(self, mixture: Tensor) -> Tensor:
        return separate(mixture, self.num_channels, self.stft.window, self._of_batch)

    def _of_batch(self, mixture: Tensor) -> Tensor:
        """Separate a checked batch of mixtures, see `forward`."""
        _, _, num_samples = mixture.shape
        # A mixture shorter than a window cannot be reflected at its ends and is padded with silence.
        padding = max(0, self.stft.fft_size - num_samples)
        spectrogram = self.stft(nn.functional.pad(mixture, (0, padding)))
        magnitude = spectrogram.abs()
        by_target: dict[str, Tensor] = {}
        for group in self.groups:
            by_target |= bridges.estimate(group, magnitude, self.estimated)
        magnitudes = torch.stack([by_target[target] for target in self.estimated], dim=1)
        frames = spectrogram.shape[-1] if self.window == "whole" else self.window
        refined = map(self.refine, magnitudes.split(frames, dim=-1), spectrogram.split(frames, dim=-1))
        estimates = torch.cat(list(refined), dim=-1)
        return self.stft.inverse(estimates, num_samples=num_samples + padding)[..., :num_samples]

    def refine(self, magnitudes: Tensor, mixture: Tensor) -> Tensor:
        """Apply the Wiener filter to all given frames at once; shapes as in `unmix.wiener`."""
        return FILTERS[self.wiener](
            magnitudes, mixture, iterations=self.niter, eps=EPS, initial=self.initial, residual=self.residual
        )

    def stream(self, read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
        """Separate a track of any length in bounded memory, see `streaming.separate`."""
        return streaming.separate(self, read, num_samples, exact_seconds=exact_seconds)
