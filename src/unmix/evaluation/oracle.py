"""The best that masks and Wiener filters can do: made with the true sources, as anchors for what is learned.

SiSEC 2018's: ideal ratio masks |s|^a / sum |s|^a (IRM1, IRM2), ideal binary masks |s|^a / |x|^a >= 1/2 (IBM1, IBM2),
and the multichannel Wiener filter of the sources' own power spectral densities and spatial covariances (MWF), all on
spectrograms of 2048 samples with half of that as hop. F.-R. Stöter, A. Liutkus, N. Ito, LVA/ICA 2018; as
sigsep-mus-oracle.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unmix.dsp import wiener
from unmix.dsp.overlap_add import Read, spectrograms, waveforms
from unmix.dsp.stft import Stft

ORACLES = ("irm1", "irm2", "ibm1", "ibm2", "mwf")
FFT_SIZE, HOP_SIZE = 2048, 1024
FRAMES = 128  # of a block
EPS = torch.finfo(torch.float64).eps
RIDGE = 1e-10  # of a spatial covariance, whose trace is the number of channels: a panned mono source has rank one


def separate(oracle: str, mixture: Read, sources: Read, num_samples: int) -> Iterator[Tensor]:
    """Estimates by one of `ORACLES`, in blocks.

    Args:
        oracle: which.
        mixture: reads (channels, samples).
        sources: reads (sources, channels, samples).
        num_samples: of the track.
    Yields:
        (sources, channels, samples), together `num_samples`.
    """
    padded = max(num_samples, FFT_SIZE)
    stft = Stft(FFT_SIZE, HOP_SIZE, center=True)

    def read(start: int, stop: int) -> Tensor:
        """Mixture and sources as channels of one, silence behind what is shorter than a window."""
        part = (min(start, num_samples), min(stop, num_samples))
        both = torch.cat([mixture(*part)[None], sources(*part)])
        return torch.nn.functional.pad(both, (0, stop - start - both.shape[-1])).flatten(end_dim=1)

    num_channels = mixture(0, 1).shape[0]

    def passes() -> Iterator[tuple[Tensor, Tensor]]:
        for block in spectrograms(stft, read, padded, FRAMES):
            both = block.to(torch.complex128).unflatten(0, (-1, num_channels))
            yield both[0], both[1:]

    estimates = _wiener(passes) if oracle == "mwf" else (_masked(oracle, x, s) for x, s in passes())
    left = num_samples
    for block in waveforms(stft, (one.to(torch.complex64) for one in estimates), padded):
        yield block[..., :left]
        left -= min(left, block.shape[-1])


def _masked(oracle: str, mixture: Tensor, sources: Tensor) -> Tensor:
    """Estimates from spectrograms (channels, bins, frames), (sources, channels, bins, frames)."""
    power = int(oracle[-1])
    strength = sources.abs() ** power
    if oracle.startswith("irm"):
        return mixture * (strength / (EPS + strength.sum(dim=0)))
    return mixture * (strength / (EPS + mixture.abs() ** power) >= 0.5)


def _wiener(passes: Callable[[], Iterator[tuple[Tensor, Tensor]]]) -> Iterator[Tensor]:
    """Two passes: spatial covariances are means over the track, power spectral densities follow from them."""
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
