"""Mean and standard deviation of every frequency bin over the training mixtures, which start UMX's input scaling."""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from unmix.data import pcm
from unmix.data.mixing import to_float
from unmix.data.tracks import Track
from unmix.dsp.stft import Stft

log = logging.getLogger(__name__)


def compute(tracks: Sequence[Track], stft: Stft) -> tuple[Tensor, Tensor]:
    """Statistics over all frames of all mixtures, un-augmented, channels averaged: mean and deviation, (bins,) each.

    Deviations below 1e-4 of the largest are raised to it, so that an empty bin is not blown up.

    Raises:
        ValueError: when there is no track.
    Source:
        open-unmix-pytorch v1.3.0, scripts/train.py, get_statistics (scikit-learn's StandardScaler).
    """
    if not tracks:
        raise ValueError("statistics: got no training track, at least one is needed")
    num_frames, total, total_squares = 0, torch.zeros(stft.num_bins).double(), torch.zeros(stft.num_bins).double()
    for track in tracks:
        mixture = to_float(torch.from_numpy(pcm.read_int16(track.path("mixture"))))
        magnitude = stft(mixture).abs().mean(dim=0).double()  # (bins, frames)
        num_frames += magnitude.shape[-1]
        total += magnitude.sum(dim=-1)
        total_squares += magnitude.square().sum(dim=-1)
    mean = total / num_frames
    std = (total_squares / num_frames - mean.square()).clamp(min=0).sqrt()
    std = torch.where(std == 0, 1.0, std)  # StandardScaler leaves a constant feature unscaled
    return mean.float(), std.clamp(min=1e-4 * std.max().item()).float()


def load_or_compute(tracks: Sequence[Track], stft: Stft, cache: Path) -> tuple[Tensor, Tensor]:
    """`compute`, remembered in the folder `cache` for the same files and STFT: the four targets share it."""
    path = cache / f"{_key(tracks, stft)}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            log.info("statistics of %d training mixtures", len(tracks))
            partial = path.with_suffix(".partial")
            torch.save(compute(tracks, stft), partial)
            partial.replace(path)
    mean, std = torch.load(path, weights_only=True)
    return mean, std


def _key(tracks: Sequence[Track], stft: Stft) -> str:
    digest = hashlib.sha256(f"v1 {stft.fft_size} {stft.hop_size} {stft.center}".encode())
    for track in tracks:
        stat = track.path("mixture").stat()
        digest.update(f"{track.folder.resolve()} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]
