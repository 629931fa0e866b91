"""Mean and standard deviation of each bin over the training mixtures, UMX's initial input normalisation."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from unmix.data import pcm
from unmix.data.cache import build_once, cache_key
from unmix.data.mixing import to_float
from unmix.data.tracks import Track
from unmix.dsp.stft import Stft

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
    for track in tracks:
        for block in _blocks(track, stft):
            magnitude = stft(to_float(block.to(device))).abs().mean(dim=0).double()  # (bins, frames)
            num_frames += magnitude.shape[-1]
            total += torch.stack([magnitude.sum(dim=-1), magnitude.square().sum(dim=-1)])
    mean, mean_square = total.cpu() / num_frames
    std = (mean_square - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std == 0, 1.0, std)  # StandardScaler leaves a constant feature unscaled
    return mean.float(), std.clamp(min=1e-4 * std.max().item()).float()


def _blocks(track: Track, stft: Stft) -> Iterator[Tensor]:
    """Yield blocks of a mixture, int16, whose STFT frames together are those of the complete mixture."""
    last = track.num_samples - stft.fft_size  # last sample at which a frame can start
    for start in range(0, last + 1, _FRAMES * stft.hop_size):
        end = min(start + (_FRAMES - 1) * stft.hop_size, last) + stft.fft_size
        yield torch.from_numpy(pcm.read_int16(track.path("mixture"), start=start, num_samples=end - start))


def load_or_compute(tracks: Sequence[Track], stft: Stft, cache: Path, device: torch.device) -> tuple[Tensor, Tensor]:
    """Load the result of `compute` for these files and this STFT from the folder `cache`, or compute and save it."""

    def build(path: Path) -> None:
        log.info("statistics of %d training mixtures", len(tracks))
        torch.save(compute(tracks, stft, device), path)

    name = cache_key((track.path("mixture") for track in tracks), "statistics 1", stft.fft_size, stft.hop_size)
    mean, std = torch.load(build_once(cache / f"{name}.pt", build), weights_only=True)
    return mean, std
