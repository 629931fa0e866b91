"""Short-time Fourier transform and its inverse."""

import torch
from torch import Tensor, nn

from unmix import settings


class Stft(nn.Module):
    """Short-time Fourier transform, for waveforms with any leading axes.

    Args:
        fft_size: samples per transform, and per window; Open-Unmix (UMX): 4096.
        hop_size: samples from one window to the next, at most half a window; UMX: 1024.
        center: False starts the first window at the first sample and drops the samples after the last full window, as
            UMX does for loss, statistics and validation. True pads half a window by reflection at both ends, so that
            `inverse` restores every sample.
        window: `hann`, or `rectangular`, which SCNet has.
        normalized: whether spectrograms are divided by the root of `fft_size`.
        window_size: samples per window if it is shorter than `fft_size`, to which windows are padded with zeros.

    Shape:
        waveform (..., channels, samples) -> complex (..., channels, bins, frames), bins = fft_size // 2 + 1.

    Raises:
        ValueError: on a hop below 1, above half a transform or above a window, or another window.
    """

    window: Tensor

    def __init__(
        self,
        fft_size: int = 4096,
        hop_size: int = 1024,
        *,
        center: bool = False,
        window: str = "hann",
        normalized: bool = False,
        window_size: int | None = None,
    ) -> None:
        super().__init__()
        values = {"fft_size": fft_size, "hop_size": hop_size, "center": center, "window_size": window_size}
        settings.check_arguments(settings.STFT, **values, window=window, normalized=normalized)
        size = fft_size if window_size is None else window_size
        if size > fft_size:
            raise ValueError(f"window_size: got {size}, allowed 1..{fft_size} for fft_size={fft_size}")
        largest = min(size, fft_size // 2)
        if not 0 < hop_size <= largest:
            raise ValueError(f"hop_size: got {hop_size}, allowed 1..{largest} for fft_size={fft_size}")
        self.fft_size = fft_size
        self.hop_size = hop_size
        self.center = center
        self.normalized = normalized
        samples = torch.hann_window(size) if window == "hann" else torch.ones(size)
        self.register_buffer("window", samples, persistent=False)

    @property
    def num_bins(self) -> int:
        """Number of frequency bins."""
        return self.fft_size // 2 + 1

    def forward(self, waveform: Tensor) -> Tensor:
        """Transform a waveform, (..., samples), to a spectrogram, (..., bins, frames), complex.

        Raises:
            ValueError: when the waveform is too short for one window.
        """
        *leading, samples = waveform.shape
        shortest = self.fft_size // 2 + 1 if self.center else self.fft_size
        if samples < shortest:
            raise ValueError(f"waveform: got {samples} samples, at least {shortest} needed (fft_size={self.fft_size})")
        spectrogram = torch.stft(
            waveform.reshape(-1, samples),  # torch.stft takes one leading axis
            self.fft_size,
            self.hop_size,
            len(self.window),
            window=self.window.to(waveform.dtype),
            center=self.center,
            normalized=self.normalized,
            return_complex=True,
        )
        return spectrogram.reshape(*leading, *spectrogram.shape[-2:])

    def inverse(self, spectrogram: Tensor, *, num_samples: int) -> Tensor:
        """Invert a centred spectrogram, (..., bins, frames), to a waveform, (..., num_samples).

        Raises:
            ValueError: with `center=False`: the window is zero at the first and last samples, which are lost.
        """
        if not self.center:
            raise ValueError("inverse: got Stft(center=False), whose ends cannot be inverted; use Stft(center=True)")
        return self._overlap_add(spectrogram, num_samples)

    def inverse_inner(self, spectrogram: Tensor) -> Tensor:
        """Invert an uncentred spectrogram, without the first and last `fft_size` samples of the waveform.

        Shape:
            (..., bins, frames) -> (..., samples): samples `fft_size` to `hop_size * (frames - 1)` - 1 of the original.

        Raises:
            ValueError: when there are too few frames for any sample to remain.
        """
        half, frames = self.fft_size // 2, spectrogram.shape[-1]
        # istft(center=True) drops the first half window; the slice below drops another half at either end.
        num_samples = self.hop_size * (frames - 1)
        if num_samples <= self.fft_size:
            raise ValueError(f"spectrogram: got {frames} frames, more than {self.fft_size // self.hop_size + 1} needed")
        return self._overlap_add(spectrogram, num_samples)[..., half : num_samples - half]

    def _overlap_add(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Invert a spectrogram as if it were centred, (..., bins, frames) -> (..., num_samples)."""
        *leading, bins, frames = spectrogram.shape
        waveform = torch.istft(
            spectrogram.reshape(-1, bins, frames),
            self.fft_size,
            self.hop_size,
            len(self.window),
            window=self.window.to(spectrogram.real.dtype),
            center=True,
            normalized=self.normalized,
            length=num_samples,
        )
        return waveform.reshape(*leading, num_samples)
