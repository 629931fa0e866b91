"""Mean and standard deviation of each bin over the training mixtures, UMX's initial input normalisation."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unmix.data import pcm
from unmix.data.cache import build_once, cache_key
from unmix.data.mixing import to_float
from unmix.data.tracks import AudioFile, Track
from unmix.dsp.stft import Stft
from unmix.time_left import Lines

log = logging.getLogger(__name__)

_FRAMES = 1024  # per block, so that memory does not depend on the length of a track


def compute(tracks: Sequence[Track], stft: Stft, device: torch.device) -> tuple[Tensor, Tensor]:
    """Compute mean and standard deviation, (bins,) each, of magnitudes over all frames of all mixtures.

    Channels are averaged; nothing is augmented. Deviations are at least 1e-4 of the largest one, so that dividing by
    them does not amplify an empty bin.

    Raises:
        ValueError: when there is no track, or the STFT is centred.
    Source:
        open-unmix-pytorch v1.3.0, scripts/train.py, get_statistics (scikit-learn's StandardScaler).
    """
    if not tracks or stft.center:
        raise ValueError(f"statistics: need a track and Stft(center=False), got {len(tracks)} and center={stft.center}")
    stft = Stft(stft.fft_size, stft.hop_size).to(device)  # a copy: the caller's stays on its device
    num_frames, total = 0, torch.zeros(2, stft.num_bins, dtype=torch.float64, device=device)
    lines = Lines("statistics", len(tracks), "mixture")
    for number, track in enumerate(tracks, start=1):
        for block in _blocks(track, stft):
            magnitude = stft(to_float(block.to(device))).abs().mean(dim=0).double()  # (bins, frames)
            num_frames += magnitude.shape[-1]
            total += torch.stack([magnitude.sum(dim=-1), magnitude.square().sum(dim=-1)])
        lines(number)
    mean, mean_square = total.cpu() / num_frames
    std = (mean_square - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std == 0, 1.0, std)  # StandardScaler leaves a constant feature unscaled
    return mean.float(), std.clamp(min=1e-4 * std.max().item()).float()


def _blocks(track: Track, stft: Stft) -> Iterator[Tensor]:
    """Yield blocks of a mixture, int16, whose STFT frames together are those of the complete mixture."""
    last = track.num_samples - stft.fft_size  # last sample at which a frame can start
    for start in range(0, last + 1, _FRAMES * stft.hop_size):
        end = min(start + (_FRAMES - 1) * stft.hop_size, last) + stft.fft_size
        yield torch.from_numpy(_mixture(track, start, end - start))


def _mixture(track: Track, start: int, num_samples: int) -> npt.NDArray[np.int16]:
    """Read a span of the mixture, or the sum of all files of a track without one, clipped at full scale."""
    samples = [pcm.read_int16(file.path, start=start, num_samples=num_samples) for file in _summed(track)]
    if len(samples) == 1:
        return samples[0]
    return np.sum(samples, axis=0, dtype=np.int32).clip(-32768, 32767).astype(np.int16)


def mixtures(tracks: Sequence[Track], sources: Sequence[str]) -> list[Track]:
    """Tracks whose files sum to mixtures: the tracks themselves, or of loose files the n-th of every source.

    Shorter lists start again, and each mixture ends with its shortest file.
    """
    if not any(track.is_partial(("mixture", *sources)) for track in tracks):
        return list(tracks)
    files = {source: [track.files[source] for track in tracks if source in track.files] for source in sources}
    joined = []
    for number in range(max(map(len, files.values()))):
        chosen = {source: same[number % len(same)] for source, same in files.items()}
        shortest = min(chosen, key=lambda source: chosen[source].header.num_samples)
        joined.append(Track(f"{number}", {shortest: chosen.pop(shortest), **chosen}))
    return joined


def load_or_compute(tracks: Sequence[Track], stft: Stft, cache: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Load the result of `compute` for these files and this STFT from the folder `cache`, or compute and save it."""

    def build(path: Path) -> None:
        log.info("statistics of %d training mixtures", len(tracks))
        torch.save(compute(tracks, stft, device), path)

    name = cache_key(
        (file.path for track in tracks for file in _summed(track)), "statistics 1", stft.fft_size, stft.hop_size
    )
    mean, std = torch.load(build_once(cache / f"{name}.pt", build), weights_only=True)
    return mean, std


def _summed(track: Track) -> list[AudioFile]:
    """Files whose sum is the mixture of a track."""
    return [track.files["mixture"]] if "mixture" in track.files else list(track.files.values())
