"""Objectives: losses of a model's estimates against the true sources.

An objective is any callable `objective(model, mixture, sources)` that returns losses by name, scalars whose sum is
minimised. `mixture` is (batch, channels, samples); `sources` holds all sources of the data by name, each of that shape.
An objective may also have

    check(model)                          raises ValueError for a model it cannot train, before anything is written
    validate(model, mixture, sources)     returns a `Validation` of a full track from one forward pass; without it,
                                          tracks are cut into pieces of `contract.chunk_samples`
    needs_targets_only                    True when it uses no sources but the model's targets, so that validation
                                          need not read the others
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, mse_loss

from unmix import checks, settings
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import mixture_phase
from unmix.models import contract

Sources = Mapping[str, Tensor]
Losses = dict[str, Tensor]


class Validation(NamedTuple):
    """Validation result of a track: its losses, and estimates to compute its SDR from.

    Args:
        losses: losses by name.
        estimates: waveforms, (batch, targets, channels, samples).
        start: index of the track's sample at which the estimates begin.
    """

    losses: Losses
    estimates: Tensor
    start: int


def references(sources: Sources, targets: Sequence[str]) -> Tensor:
    """Stack the true sources in the order of a model's output: (batch, targets, channels, samples)."""
    if len(targets) == 1:
        return sources[targets[0]].unsqueeze(1)  # a view; `stack` would copy
    return torch.stack([sources[target] for target in targets], dim=1)


@torch.no_grad()
def check_losses(objective: Any, model: Any, sources: Sequence[str], num_samples: int, name: str) -> None:
    """Check that an objective returns finite losses by name for a segment of noise.

    Args:
        objective, model: objective to check and model to call it with, both on the CPU.
        sources: names of the sources of the data.
        num_samples: length of a training segment.
        name: name of the objective, for error messages.
    Raises:
        ValueError: when the objective raises an error, or returns anything else.
    """
    generator = torch.Generator().manual_seed(0)
    stems = {source: torch.rand(1, model.num_channels, num_samples, generator=generator) - 0.5 for source in sources}
    was_training = model.training
    try:
        losses = objective(model.eval(), torch.stack(list(stems.values())).sum(0), stems)
    except Exception as error:
        raise ValueError(
            f"objective: {name} cannot serve {type(model).__qualname__}: {type(error).__name__}: {error}; "
            "HYDRA_FULL_ERROR=1 shows where"
        ) from error
    finally:
        model.train(was_training)
    if not isinstance(losses, Mapping) or not losses:
        raise ValueError(f"objective: {name} returned {type(losses).__name__}, a dict of losses by name is needed")
    for key, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim > 0:
            got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ValueError(f"objective: {name} returned {got} as the loss {key!r}, a tensor without axes is needed")
        if not bool(loss.isfinite()):
            raise ValueError(f"objective: {name} returned {float(loss)} as the loss {key!r} of noise")


def check_has_magnitudes(model: Any, objective: str) -> None:
    """Check that a model has `stft` and `magnitudes`, which an objective needs; raises ValueError when it does not."""
    if not (hasattr(model, "magnitudes") and hasattr(model, "stft")):
        raise ValueError(
            f"objective: {objective} needs a model with `stft` and `magnitudes(spectrogram)`, "
            f"{type(model).__qualname__} lacks them; "
            "take objective=waveform_l1, complex_rmse or multi_resolution_stft"
        )


class MagnitudeMse:
    """Mean squared error of magnitude spectrograms: Open-Unmix's loss.

    For models that have an uncentred `stft` and a method `magnitudes(spectrogram)`.

    Source:
        open-unmix-pytorch v1.3.0, scripts/train.py.
    """

    needs_targets_only = True

    def check(self, model: Any) -> None:
        """Check the model; raises as `check_has_magnitudes`."""
        check_has_magnitudes(model, "magnitude_mse")

    def __call__(self, model: Any, mixture: Tensor, sources: Sources) -> Losses:
        estimates = model.magnitudes(model.stft(mixture))
        return {"magnitude_mse": mse_loss(estimates, model.stft(references(sources, model.targets)).abs())}

    def validate(self, model: Any, mixture: Tensor, sources: Sources) -> Validation:
        """Compute the loss, and waveforms with the mixture's phase, which lack both ends of the track, in one pass."""
        spectrogram = model.stft(mixture)
        estimates = model.magnitudes(spectrogram)
        loss = mse_loss(estimates, model.stft(references(sources, model.targets)).abs())
        waveforms = model.stft.inverse_inner(mixture_phase(estimates, spectrogram))
        return Validation({"magnitude_mse": loss}, waveforms, model.stft.fft_size)


class WaveformL1:
    """Mean absolute error of waveforms."""

    needs_targets_only = True

    def __call__(self, model: Any, mixture: Tensor, sources: Sources) -> Losses:
        estimates = contract.estimate(model, mixture)
        return {"waveform_l1": l1_loss(estimates, references(sources, model.targets))}


class ComplexRmse(nn.Module):
    """Root mean squared error of complex spectrograms per example and source, averaged over both.

    Args:
        fft_size, hop_size, window, normalized: of a centred STFT, see `Stft`. SCNet's window is rectangular, and its
            spectrograms are normalised.

    Source:
        W. Tong et al., "SCNet", arXiv 2401.13276.
    """

    needs_targets_only = True

    def __init__(
        self, fft_size: int = 4096, hop_size: int = 1024, window: str = "hann", normalized: bool = False
    ) -> None:
        super().__init__()
        self.stft = Stft(fft_size, hop_size, center=True, window=window, normalized=normalized)

    def forward(self, model: Any, mixture: Tensor, sources: Sources) -> Losses:
        error = contract.estimate(model, mixture) - references(sources, model.targets)
        power = torch.view_as_real(self.stft(error)).square().mean(dim=(2, 3, 4, 5))  # (batch, targets)
        # 1e-12 keeps the gradient of the root finite for exact estimates
        return {"complex_rmse": (power + 1e-12).sqrt().mean()}


class MultiResolutionStft(nn.Module):
    """Mean absolute error of waveforms plus that of complex spectrograms at several resolutions.

    Args:
        fft_sizes: window length of each resolution, in samples.
        hop_size: hop of all resolutions, in samples.
        min_fft_size: length of the shortest transform, to which shorter windows are padded with zeros. With 2048, and
            a hop of 147, this is the loss that band-split RoFormer's code has.
        spectral_weight: weight of the spectrograms' part.

    Raises:
        ValueError: on a value out of range.

    Source:
        W.-T. Lu et al., "Music source separation with band-split RoPE transformer", arXiv 2309.02612.
    """

    needs_targets_only = True

    def __init__(
        self,
        fft_sizes: Sequence[int] = (4096, 2048, 1024, 512, 256),
        hop_size: int = 128,
        *,
        min_fft_size: int = 1,
        spectral_weight: float = 1.0,
    ) -> None:
        super().__init__()
        checks.each("fft_sizes", fft_sizes, settings.COUNT)
        checks.counts(min_fft_size=min_fft_size)
        self.spectral_weight = checks.number("spectral_weight", spectral_weight, least=0)
        self.stfts = nn.ModuleList(
            [Stft(max(size, min_fft_size), hop_size, center=True, window_size=size) for size in fft_sizes]
        )

    def forward(self, model: Any, mixture: Tensor, sources: Sources) -> Losses:
        error = contract.estimate(model, mixture) - references(sources, model.targets)
        spectra = torch.stack([stft(error).abs().mean() for stft in self.stfts])
        return {"waveform_l1": error.abs().mean(), "spectral_l1": self.spectral_weight * spectra.sum()}
