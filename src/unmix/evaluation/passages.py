"""A few seconds of every target of a track, to listen to and to look at: those that are typical of its score."""

import math
import statistics
from collections.abc import Sequence
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
    """Some seconds of one target, each (channels, samples)."""

    mixture: Tensor
    reference: Tensor
    estimate: Tensor
    sample_rate: int

    @property
    def stems(self) -> dict[str, Tensor]:
        return {"mixture": self.mixture, "reference": self.reference, "estimate": self.estimate}

    def write(self, path: Path) -> None:
        """As one WAV file, the channels of the three behind one another."""
        path.parent.mkdir(parents=True, exist_ok=True)
        pcm.write(path, torch.cat([self.mixture, self.reference, self.estimate]).numpy(), self.sample_rate)


def read(path: Path) -> Passage:
    """What was written."""
    mixture, reference, estimate = torch.from_numpy(pcm.read_float(path)).chunk(3)
    return Passage(mixture, reference, estimate, pcm.read_header(path).sample_rate)


def span(windows: Sequence[tuple[float, float]], num_samples: int, sample_rate: int) -> tuple[int, int] | None:
    """Where a passage starts and stops, in samples; None when no window counts.

    Args:
        windows: begin, in seconds, and SDR of each.
        num_samples: of the track.
        sample_rate: Hz.
    """
    second = typical_second(windows)
    if second is None:
        return None
    length = min(num_samples, round(SECONDS * sample_rate))
    start = min(max(0, round((second + 0.5) * sample_rate) - length // 2), num_samples - length)
    return start, start + length


def typical_second(windows: Sequence[tuple[float, float]]) -> float | None:
    """Where the window begins whose SDR is nearest to the median over those that count; None when none does."""
    counting = [(start, sdr) for start, sdr in windows if not math.isnan(sdr)]
    if not counting:
        return None
    median = statistics.median(sdr for _, sdr in counting)
    return min(counting, key=lambda window: abs(window[1] - median))[0]


def mp3(waveform: Tensor, sample_rate: int) -> bytes:
    """As a file; (channels, samples)."""
    buffer = BytesIO()
    soundfile.write(buffer, waveform.T.numpy(), sample_rate, format="MP3")
    return buffer.getvalue()
