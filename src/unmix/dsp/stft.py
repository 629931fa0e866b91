"""Short-time Fourier transform and its inverse, on whatever device the audio is on."""

import torch
from torch import Tensor, nn


class Stft(nn.Module):
    """Windowed FFT of waveforms with any leading axes.

    Args:
        fft_size: samples per window; UMX: 4096.
        hop_size: samples from one window to the next; UMX: 1024.
        center: False starts the first window at the first sample and drops the unfinished last one, as UMX does for
            loss, statistics and validation. True reflects half a window at both ends, so that every sample can come
            back: use it wherever a waveform is wanted.

    Shape:
        waveform (..., channels, samples) -> complex (..., channels, bins, frames), bins = fft_size // 2 + 1.
    """

    window: Tensor

    def __init__(self, fft_size: int = 4096, hop_size: int = 1024, *, center: bool = False) -> None:
        super().__init__()
        if not 0 < hop_size <= fft_size // 2:
            raise ValueError(f"hop_size: got {hop_size}, allowed 1..{fft_size // 2} for fft_size={fft_size}")
        self.fft_size = fft_size
        self.hop_size = hop_size
        self.center = center
        self.register_buffer("window", torch.hann_window(fft_size), persistent=False)

    @property
    def num_bins(self) -> int:
        return self.fft_size // 2 + 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrogram of a waveform.

        Raises:
            ValueError: when the waveform is too short for one window.
        """
        *leading, samples = waveform.shape
        shortest = self.fft_size // 2 + 1 if self.center else self.fft_size
        if samples < shortest:
            raise ValueError(f"waveform: got {samples} samples, at least {shortest} needed (fft_size={self.fft_size})")
        spectrogram = torch.stft(
            waveform.reshape(-1, samples),  # torch.stft knows one leading axis
            self.fft_size,
            self.hop_size,
            window=self.window.to(waveform.dtype),
            center=self.center,
            return_complex=True,
        )
        return spectrogram.reshape(*leading, *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, *, num_samples: int) -> Tensor:
        """Waveform of `num_samples` samples whose centred spectrogram this is.

        Raises:
            ValueError: when the spectrogram was not centred: its first and last samples lie under a window that is
                zero there, and cannot come back.
        """
        if not self.center:
            raise ValueError("inverse: got Stft(center=False), whose ends cannot be inverted; use Stft(center=True)")
        return self._overlap_add(spectrogram, num_samples)

    def inverse_inner(self, spectrogram: Tensor) -> Tensor:
        """Waveform of an uncentred spectrogram without its first and last `fft_size` samples.

        Shape:
            (..., bins, frames) -> (..., samples): samples `fft_size` up to `hop_size * (frames - 1)` of the original.

        Raises:
            ValueError: when nothing lies between the two ends.
        """
        half, frames = self.fft_size // 2, spectrogram.shape[-1]
        # Read as centred, the frames start half a window later: that half is gone, another half goes below.
        num_samples = self.hop_size * (frames - 1)
        if num_samples <= self.fft_size:
            raise ValueError(f"spectrogram: got {frames} frames, more than {self.fft_size // self.hop_size + 1} needed")
        return self._overlap_add(spectrogram, num_samples)[..., half : num_samples - half]

    def _overlap_add(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        *leading, bins, frames = spectrogram.shape
        waveform = torch.istft(
            spectrogram.reshape(-1, bins, frames),
            self.fft_size,
            self.hop_size,
            window=self.window.to(spectrogram.real.dtype),
            center=True,
            length=num_samples,
        )
        return waveform.reshape(*leading, num_samples)
