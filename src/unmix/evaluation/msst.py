"""Metrics of MSST (the package `msst`, Music-Source-Separation-Training), which its users compare models by.

Each is 100 / (1 + 10 d) of a distance d between magnitude spectrograms: 100 is a perfect estimate. MSST averages over
tracks. The magnitudes |S| of a source and |E| of its estimate are of all channels, and d is computed over the whole
track at once.
"""

from collections.abc import Mapping

import numpy as np
import scipy.signal
import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn import functional
from torchaudio.functional import melscale_fbanks

from unmix.dsp.stft import Stft
from unmix.evaluation.metrics import Definition
from unmix.evaluation.perceptual import spectrogram_pairs
from unmix.evaluation.stems import ReadStems, Stems

LEAST_MAGNITUDE = 1e-4  # auraloss clamps powers at 1e-8
MEL_BANDS, TAPS = 128, 101  # of MSST's `aura_mrstft`
# Poles of the A-weighting curve in Hz, each with its multiplicity, and the gain in dB that makes it 0 dB at 1 kHz.
POLES, GAIN_DB = {20.598997: 2, 107.65265: 1, 737.86223: 1, 12194.217: 2}, 1.9997


class L1Freq:
    """`l1_freq`: the distance is the mean of ||S| - |E||, of rectangular windows of 2048 samples with hop 1024."""

    definitions = (Definition("L1 freq", "100 / (1 + 10 mean absolute difference of magnitudes) (MSST)", unit=""),)

    def __init__(self) -> None:
        self.stft = Stft(2048, 1024, center=True, window="rectangular").double()

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        total, count = torch.zeros(()), 0
        for pair in spectrogram_pairs(self.stft, stems):
            references, estimates = pair.abs()
            total = total + (references - estimates).abs().sum(dim=(1, 2, 3)).cpu()
            count += references[0].numel()
        return {"L1 freq": _score(total / count)}


class AuraStft:
    """`aura_stft`: the distance is the STFT loss of the package auraloss, of Hann windows of 1024 samples, hop 256."""

    definitions = (Definition("aura STFT", "100 / (1 + 10 STFT loss of auraloss) (MSST)", unit=""),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        return {"aura STFT": _score(_stft_loss(1024, stems))}


class AuraMrStft:
    """`aura_mrstft`: the distance is the mean STFT loss of auraloss in 128 mel bands of A-weighted waveforms.

    Hann windows have 1024, 2048 and 4096 samples, and hops a quarter of that.
    """

    definitions = (
        Definition("aura MRSTFT", "100 / (1 + 10 A-weighted multi-resolution mel STFT loss) (MSST)", unit=""),
    )

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        taps = _a_weighting(stems.sample_rate)
        references, estimates = (
            _filtered(read, stems.num_samples, taps) for read in (stems.references, stems.estimates)
        )
        weighted = Stems(references, estimates, stems.num_samples, stems.sample_rate)
        losses = [_stft_loss(size, weighted, _mel_bands(size, stems.sample_rate)) for size in (1024, 2048, 4096)]
        return {"aura MRSTFT": _score(torch.stack(losses).mean(dim=0))}


def _score(distance: Tensor) -> Tensor:
    return 100 / (1 + 10 * distance)


def _stft_loss(fft_size: int, stems: Stems, bands: Tensor | None = None) -> Tensor:
    """Compute auraloss's STFT loss with a hop of a quarter window, || |S| - |E| || / || |E| || + mean |log |S| / |E||.

    MSST calls it with the source in the place of the estimate, so that the estimate is in the denominator.

    Args:
        fft_size: samples per window.
        stems: the stems.
        bands: weights of bins in bands whose magnitudes are compared, (bands, bins); None compares bins.
    Returns:
        The loss, (sources,).
    """
    squares, energies, logs, count = torch.zeros(()), torch.zeros(()), torch.zeros(()), 0
    stft = Stft(fft_size, fft_size // 4, center=True).double()
    for pair in spectrogram_pairs(stft, stems):
        magnitudes = pair.abs().clamp_min(LEAST_MAGNITUDE)
        references, estimates = magnitudes if bands is None else bands.to(magnitudes) @ magnitudes
        squares = squares + (references - estimates).square().sum(dim=(1, 2, 3)).cpu()
        energies = energies + estimates.square().sum(dim=(1, 2, 3)).cpu()
        logs = logs + (references / estimates).log().abs().sum(dim=(1, 2, 3)).cpu()
        count += references[0].numel()
    return (squares / energies).sqrt() + logs / count


def _mel_bands(fft_size: int, sample_rate: int) -> Tensor:
    """Slaney's mel bands from 0 to half the sample rate, each with an area of 1, (bands, bins)."""
    bins = fft_size // 2 + 1
    return melscale_fbanks(bins, 0.0, sample_rate / 2, MEL_BANDS, sample_rate, norm="slaney", mel_scale="slaney").mT


def _a_weighting(sample_rate: int) -> Tensor:
    """Design a filter of linear phase with the magnitudes of IEC 61672's A-weighting, (taps,), as auraloss does."""
    poles = [-2 * np.pi * hertz for hertz, multiplicity in POLES.items() for _ in range(multiplicity)]
    gain = (2 * np.pi * max(POLES)) ** 2 * 10 ** (GAIN_DB / 20)
    numerator, denominator = scipy.signal.zpk2tf([0.0] * 4, poles, gain)
    digital = scipy.signal.bilinear(numerator, denominator, fs=sample_rate)
    frequencies, response = scipy.signal.freqz(*digital, worN=512, fs=sample_rate)
    return torch.from_numpy(scipy.signal.firls(TAPS, frequencies, abs(response), fs=sample_rate))


def _filtered(read: ReadStems, num_samples: int, taps: Tensor) -> ReadStems:
    """Make a reader of filtered stems, whose track begins and ends in silence."""
    half = len(taps) // 2

    def filtered(start: int, stop: int) -> Tensor:
        low, high = max(0, start - half), min(num_samples, stop + half)
        padded = functional.pad(read(low, high).double(), (half - (start - low), half - (high - stop)))
        size = next_fast_len(stop - start + 4 * half, real=True)  # 19 times faster than a convolution with 101 taps
        spectrum = torch.fft.rfft(padded, size) * torch.fft.rfft(taps.to(padded), size)
        return torch.fft.irfft(spectrum, size)[..., 2 * half : stop - start + 2 * half]

    return filtered
