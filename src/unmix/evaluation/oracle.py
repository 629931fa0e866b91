"""Oracle separation: masks and Wiener filters computed from the true sources, as upper bounds for trained models.

The oracles of SiSEC 2018: ideal ratio masks |s|^a / sum |s|^a (IRM1 and IRM2, a = 1 and 2), ideal binary masks
|s|^a / |x|^a >= 1/2 (IBM1, IBM2), and the multichannel Wiener filter with the power spectral densities and spatial
covariances of the true sources (MWF), on spectrograms with 2048-sample windows and a hop of 1024.

Source: F.-R. Stöter, A. Liutkus, N. Ito, "The 2018 signal separation evaluation campaign", LVA/ICA 2018; conventions as
sigsep-mus-oracle.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unmix.dsp import wiener
from unmix.dsp.overlap_add import Read, spectrograms, waveforms
from unmix.dsp.stft import Stft

FFT_SIZE, HOP_SIZE = 2048, 1024
FRAMES = 128  # per block
EPS = torch.finfo(torch.float64).eps
# Added to spatial covariances, whose trace is the number of channels: that of a panned mono source has rank one.
RIDGE = 1e-10


def separate(oracle: str, mixture: Read, sources: Read, num_samples: int) -> Iterator[Tensor]:
    """Separate a track by an oracle, block by block.

    Args:
        oracle: one of `oracle_names.ORACLES`.
        mixture: reads the mixture, (channels, samples).
        sources: reads the true sources, (sources, channels, samples).
        num_samples: length of the track.
    Yields:
        Estimates, (sources, channels, samples); concatenated, `num_samples` samples.
    """
    padded = max(num_samples, FFT_SIZE)
    stft = Stft(FFT_SIZE, HOP_SIZE, center=True)

    def read(start: int, stop: int) -> Tensor:
        """Read mixture and sources as one multichannel signal, (channels, samples), zero-padded to `padded`."""
        part = (min(start, num_samples), min(stop, num_samples))
        both = torch.cat([mixture(*part)[None], sources(*part)])
        return torch.nn.functional.pad(both, (0, stop - start - both.shape[-1])).flatten(end_dim=1)

    num_channels = mixture(0, 1).shape[0]

    def passes() -> Iterator[tuple[Tensor, Tensor]]:
        """Yield spectrograms of mixture and sources block by block; each call starts a new pass over the track."""
        for block in spectrograms(stft, read, padded, FRAMES):
            both = block.to(torch.complex128).unflatten(0, (-1, num_channels))
            yield both[0], both[1:]

    estimates = _wiener(passes) if oracle == "mwf" else (_masked(oracle, x, s) for x, s in passes())
    left = num_samples
    for block in waveforms(stft, (spectrogram.to(torch.complex64) for spectrogram in estimates), padded):
        yield block[..., :left]
        left -= min(left, block.shape[-1])


def _masked(oracle: str, mixture: Tensor, sources: Tensor) -> Tensor:
    """Apply an oracle's ideal masks to the mixture: (channels, bins, frames) -> (sources, channels, bins, frames)."""
    power = int(oracle[-1])
    strength = sources.abs() ** power
    if oracle.startswith("irm"):
        return mixture * (strength / (EPS + strength.sum(dim=0)))
    return mixture * (strength / (EPS + mixture.abs() ** power) >= 0.5)


def _wiener(passes: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> Iterator[Tensor]:
    """Apply the multichannel Wiener filter: a first pass for the spatial covariances, a second one to separate."""
    total, num_frames = torch.zeros(()), 0
    for _, sources in passes():
        y = wiener.to_matrices(sources[None])
        v = (y.abs().square()).mean(dim=3)  # mean over channels, (1, bins, sources, frames)
        total = total + (y / (EPS + v).unsqueeze(3)) @ y.mH
        num_frames += y.shape[-1]
    num_channels = total.shape[-1]
    covariance = total / num_frames
    trace = covariance.diagonal(dim1=-2, dim2=-1).real.sum(dim=-1)[..., None, None]
    identity = torch.eye(num_channels, dtype=covariance.dtype)
    covariance = covariance * (num_channels / (trace + EPS)) + RIDGE * identity
    inverse = torch.linalg.inv(covariance)
    for mixture, sources in passes():
        y, x = wiener.to_matrices(sources[None]), wiener.to_matrices(mixture[None])
        v = (y.conj() * (inverse @ y)).real.sum(dim=3) / num_channels
        yield wiener.from_matrices(wiener.posterior_mean(v, covariance, x, EPS**2))[0]
