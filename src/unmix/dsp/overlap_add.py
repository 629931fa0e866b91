"""Centred STFT and its inverse, block by block, for tracks too long for memory."""

from collections.abc import Callable, Iterable, Iterator
from copy import copy

import torch
from torch import Tensor
from torch.nn import functional

from unmix.dsp.stft import Stft

# Returns samples start .. stop - 1 of a track, (channels, samples); callers stay within the track.
Read = Callable[[int, int], Tensor]


def spectrograms(stft: Stft, read: Read, num_samples: int, num_frames: int) -> Iterator[Tensor]:
    """Yield the spectrogram of `Stft(center=True)` block by block.

    Args:
        stft: sizes and window.
        read: returns samples of the track.
        num_samples: length of the track, at least `fft_size`.
        num_frames: frames per block.
    Yields:
        (channels, bins, frames), complex, with at most `num_frames` frames.
    """
    half, total = stft.fft_size // 2, 1 + num_samples // stft.hop_size
    uncentred = copy(stft)
    uncentred.center = False
    for first in range(0, total, num_frames):
        last = min(first + num_frames, total) - 1
        positions = torch.arange(first * stft.hop_size - half, last * stft.hop_size + half).abs()
        positions = torch.where(positions < num_samples, positions, 2 * (num_samples - 1) - positions)  # reflected ends
        low, high = int(positions.min()), int(positions.max())
        yield uncentred(read(low, high + 1)[:, positions - low].to(stft.window.device))


def waveforms(stft: Stft, blocks: Iterable[Tensor], num_samples: int) -> Iterator[Tensor]:
    """Invert the spectrogram of `Stft(center=True)` block by block; yield samples once no later frame overlaps them.

    Args:
        stft: sizes and window.
        blocks: consecutive blocks of frames, (sources, channels, bins, frames), complex.
        num_samples: length of the track.
    Yields:
        (sources, channels, samples); concatenated, `num_samples` samples.
    """
    position, carried = -(stft.fft_size // 2), None  # the first window starts half a window early
    for spectrogram in blocks:
        shape = spectrogram.shape[:2]
        total = _overlapped(stft, spectrogram)
        if carried is not None:
            total[:, : carried.shape[-1]] += carried
        done, carried = total.split([stft.hop_size * spectrogram.shape[-1], stft.fft_size - stft.hop_size], dim=-1)
        yield from _samples(done, position, num_samples, shape)
        position += done.shape[-1]
    if carried is not None:
        yield from _samples(carried, position, num_samples, shape)


def _overlapped(stft: Stft, spectrogram: Tensor) -> Tensor:
    """Overlap-add windowed frames, (sources * channels + 1, samples); the last row is the sum of squared windows."""
    window = stft.window.to(spectrogram.real.dtype)
    # frames before bins: the inverse transform reads, and the sum writes, neighbouring values
    frames = torch.fft.irfft(spectrogram.flatten(end_dim=1).transpose(-1, -2).contiguous(), stft.fft_size).mul_(window)
    squared = window.square().expand(1, frames.shape[1], -1)
    length = stft.hop_size * (frames.shape[1] - 1) + stft.fft_size
    return torch.cat([_added(frames, stft.hop_size), _added(squared, stft.hop_size)])[:, :length]


def _added(frames: Tensor, hop_size: int) -> Tensor:
    """Add frames at multiples of the hop, (rows, frames, size) -> (rows, samples); ends in up to a hop of zeros."""
    rows, count, size = frames.shape
    num_parts = -(-size // hop_size)
    parts = functional.pad(frames, (0, num_parts * hop_size - size)).unflatten(-1, (num_parts, hop_size))
    total = frames.new_zeros(rows, count + num_parts - 1, hop_size)
    for part in range(num_parts):
        total[:, part : part + count] += parts[:, :, part]
    return total.flatten(start_dim=1)


def _samples(rows: Tensor, position: int, num_samples: int, shape: torch.Size) -> Iterator[Tensor]:
    """Yield the part of overlap-added rows that lies within the track, divided by the sum of squared windows.

    Args:
        rows: see `_overlapped`.
        position: index in the track of the first sample; negative before the start.
        num_samples: length of the track.
        shape: sources and channels.
    """
    low, high = max(0, -position), min(rows.shape[-1], num_samples - position)
    if low < high:
        yield (rows[:-1, low:high] / rows[-1, low:high]).reshape(*shape, -1)
