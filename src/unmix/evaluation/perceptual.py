"""Metrics nearer to hearing than ratios of energies: spectra on a logarithmic scale, errors weighted by frequency."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from unmix.dsp.overlap_add import spectrograms
from unmix.dsp.stft import Stft
from unmix.evaluation.metrics import Definition
from unmix.evaluation.stems import Stems, check_finite

FRAMES = 256  # per block


def spectrogram_pairs(stft: Stft, stems: Stems) -> Iterator[Tensor]:
    """Yield the spectrograms of references and estimates block by block, (2, sources, channels, bins, frames), complex.

    A track shorter than a window is padded with silence.

    Args:
        stft: sizes and window, in double precision.
        stems: the stems.
    """
    num_sources, num_channels = stems.references(0, 1).shape[:2]

    def read(start: int, stop: int) -> Tensor:
        part = min(start, stems.num_samples), min(stop, stems.num_samples)
        both = torch.stack(stems.read(*part)).flatten(end_dim=2)
        return functional.pad(both, (0, stop - start - both.shape[-1]))

    stft = stft.to(stems.references(0, 1).device)
    for block in spectrograms(stft, read, max(stems.num_samples, stft.fft_size), FRAMES):
        yield block.unflatten(0, (2, num_sources, num_channels))


class LogMagnitudeL1:
    """Mean absolute difference of log-magnitude spectrograms, in dB, over channels, bins and frames; low is better.

    Magnitudes are those of a Hann window, scaled so that a sine of full scale has 0 dB, and at least `floor_db`.

    Args:
        fft_size: samples per window.
        hop_size: samples from one window to the next.
        floor_db: level in dB below which differences do not count.
    """

    def __init__(self, fft_size: int = 2048, hop_size: int = 512, floor_db: float = -80.0) -> None:
        self.stft = Stft(fft_size, hop_size, center=True).double()
        self.floor_db = floor_db
        sizes = f"windows of {fft_size} samples, hop {hop_size}, floor {floor_db:g} dB"
        measure = f"mean absolute difference of log-magnitudes ({sizes})"
        self.definitions = (Definition("L1 log-magnitude", measure, better="low"),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        total, count = torch.zeros(()), 0
        for pair in spectrogram_pairs(self.stft, stems):
            levels = self._levels(pair)
            total = total + (levels[0] - levels[1]).abs().sum(dim=(1, 2, 3)).cpu()
            count += levels[0, 0].numel()
        return {"L1 log-magnitude": total / count}

    def _levels(self, spectrogram: Tensor) -> Tensor:
        """Levels in dB relative to a sine of full scale, at least the floor."""
        full_scale = float(self.stft.window.sum()) / 2
        return (20 * torch.log10(spectrogram.abs() / full_scale)).clamp_min(self.floor_db)


class LogWmse:
    """Logarithm of the mean squared error weighted by hearing, relative to the mixture, as torch-log-wmse computes it.

    It is defined for silent sources too. The mixture is the sum of the true stems; channels are averaged. A source is
    read as a whole: 20 minutes of stereo need 2 GB.

    Source: the package torch-log-wmse, after Nomono's log-wmse-audio-quality.
    """

    def __init__(self) -> None:
        from torch_log_wmse import __version__

        measure = f"log-WMSE (torch-log-wmse {__version__})"
        self.definitions = (Definition("log-WMSE", measure, unit="", version=__version__.partition(".")[0]),)

    def __call__(self, stems: Stems) -> Mapping[str, Tensor]:
        from torch_log_wmse import LogWMSE

        references, estimates = (read(0, stems.num_samples) for read in (stems.references, stems.estimates))
        check_finite(references=references, estimates=estimates)
        metric = LogWMSE(sample_rate=stems.sample_rate).to(references.device)
        mixture = references.sum(dim=0)[None].float()
        # its axes: (batch, channels, stems, samples)
        values = [
            metric(mixture, estimate[None, :, None].float(), reference[None, :, None].float())
            for reference, estimate in zip(references, estimates, strict=True)
        ]
        return {"log-WMSE": torch.stack(values)}
