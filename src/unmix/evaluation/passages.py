"""Passages: excerpts of tracks for listening and spectrograms, chosen where the score is typical of the track."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from unmix.data import pcm

SECONDS = 5.0


@dataclass(frozen=True)
class Passage:
    """Excerpt of mixture, reference and estimate of one target, each (channels, samples)."""

    mixture: Tensor
    reference: Tensor
    estimate: Tensor
    sample_rate: int

    @property
    def stems(self) -> dict[str, Tensor]:
        """The three waveforms by name."""
        return {"mixture": self.mixture, "reference": self.reference, "estimate": self.estimate}

    def write(self, path: Path) -> None:
        """Write one WAV file with the channels of mixture, reference and estimate, in this order."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pcm.write(path, torch.cat([self.mixture, self.reference, self.estimate]).numpy(), self.sample_rate)


def read(path: Path) -> Passage:
    """Read a passage from the WAV file that `Passage.write` made."""
    mixture, reference, estimate = torch.from_numpy(pcm.read_float(path)).chunk(3)
    return Passage(mixture, reference, estimate, pcm.read_header(path).sample_rate)


def span(windows: Sequence[tuple[float, float]], num_samples: int, sample_rate: int) -> tuple[int, int] | None:
    """Choose the part of a track for a passage of `SECONDS`, centred on the typical second where possible.

    Args:
        windows: start in seconds and SDR in dB of every window.
        num_samples: length of the track.
        sample_rate: Hz.
    Returns:
        Start and stop in samples; None when no window has a score.
    """
    second = typical_second(windows)
    if second is None:
        return None
    length = min(num_samples, round(SECONDS * sample_rate))
    start = min(max(0, round((second + 0.5) * sample_rate) - length // 2), num_samples - length)
    return start, start + length


def typical_second(windows: Sequence[tuple[float, float]]) -> float | None:
    """Find the window whose SDR is nearest to the median: its start in seconds; None when no window has a score."""
    scored = [(start, sdr) for start, sdr in windows if not math.isnan(sdr)]
    if not scored:
        return None
    median = statistics.median(sdr for _, sdr in scored)
    return min(scored, key=lambda window: abs(window[1] - median))[0]


def busiest(read: Callable[[int, int], Tensor], num_samples: int, length: int, step: int) -> int:
    """Find where all sources of a track sound: the start of the passage with the largest product of their energies.

    Args:
        read: reads the sources, (sources, channels, samples); a second at a time, so that memory stays bounded.
        num_samples: length of the track.
        length: of the passage, in samples.
        step: from one start to the next, in samples.
    Returns:
        First sample of the passage, which lies within the track if that is not shorter.
    """
    starts = range(0, num_samples, step)
    # as numbers: small tensors that stay between large ones that are freed would fragment the memory, 3 MB a second
    energies = [read(at, min(at + step, num_samples)).square().sum((1, 2)).tolist() for at in starts]
    totals = torch.nn.functional.pad(torch.tensor(energies, dtype=torch.float64).cumsum(0), (0, 0, 1, 0))
    width = min(max(1, length // step), len(starts))
    passages = totals[width:] - totals[:-width]
    # a source that is silent everywhere is the same in all; one that is silent here counts as -60 dB
    shares = passages / passages.amax(0).clamp_min(1e-12)
    best = int(shares.clamp_min(1e-6).log().sum(1).argmax())
    return max(0, min(best * step, num_samples - length))


def flac(waveform: Tensor, sample_rate: int) -> bytes:
    """Encode a waveform, (channels, samples), as a 16-bit FLAC file, clipped at full scale."""
    buffer = BytesIO()
    soundfile.write(buffer, pcm.to_integers(waveform.T.numpy(), "PCM_16"), sample_rate, format="FLAC")
    return buffer.getvalue()


def mp3(waveform: Tensor, sample_rate: int) -> bytes:
    """Encode a waveform, (channels, samples), as an MP3 file."""
    buffer = BytesIO()
    soundfile.write(buffer, waveform.T.numpy(), sample_rate, format="MP3")
    return buffer.getvalue()
