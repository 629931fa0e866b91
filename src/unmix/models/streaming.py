"""Separation in memory that does not grow with the track: audio is read and written in blocks.

Up to `exact_seconds` the result is that of `Separator.forward`: the networks run layer by layer in blocks
(`blockwise`), and EM's spatial covariances are sums over time, gathered in one pass over the track and used in the
next. Spectrograms are made anew in each pass. Longer tracks are cut into segments that overlap, and are faded into
each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from unmix.dsp import wiener
from unmix.dsp.overlap_add import Read, spectrograms, waveforms
from unmix.models import blockwise
from unmix.models.open_unmix import OpenUnmix
from unmix.models.separator import EPS, Separator

FRAMES = 64  # of a block: EM holds them as complex doubles, for every source and channel
OVERLAP_SECONDS, FADE_SECONDS = 20.0, 1.0
SEGMENT_SECONDS = 300.0  # of what is cut, at most


@torch.no_grad()
def separate(separator: Separator, read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
    """Estimates of a track, in blocks.

    Args:
        separator: of Open-Unmix networks, in evaluation mode.
        read: samples of the track at the separator's rate, see `overlap_add.Read`.
        num_samples: of the track.
        exact_seconds: longer tracks are cut.
    Yields:
        (sources, channels, samples), together `num_samples`.
    Raises:
        ValueError: on an empty track, or segments that would only overlap.
    """
    if num_samples < 1:
        raise ValueError("input: got a track without a sample")
    if exact_seconds < 3 * OVERLAP_SECONDS:
        raise ValueError(f"exact_seconds: got {exact_seconds:g}, allowed {3 * OVERLAP_SECONDS:g} or more")
    rate = separator.sample_rate
    most, overlap = round(exact_seconds * rate), round(OVERLAP_SECONDS * rate)
    if num_samples <= most:
        yield from _Segment(separator, read, 0, num_samples).estimates()
        return
    most = min(most, round(SEGMENT_SECONDS * rate))
    # segments of equal length, so that none is a mere rest
    count = -(-(num_samples - overlap) // (most - overlap))
    step = -(-(num_samples - overlap) // count)
    segments = [
        _Segment(separator, read, first, min(step + overlap, num_samples - first))
        for first in range(0, num_samples - overlap, step)
    ]
    yield from _joined(segments, overlap, round(FADE_SECONDS * rate))


def _joined(segments: list["_Segment"], overlap: int, fade: int) -> Iterator[Tensor]:
    """Segments one after the other, faded into each other in the middle of where two overlap."""
    weight = (torch.arange(overlap) - (overlap - fade) / 2).div(fade).clamp(0, 1)
    end: Tensor | None = None  # what a segment has of the next one's time
    for segment in segments:
        position = 0
        body = segment.num_samples - (overlap if segment is not segments[-1] else 0)
        for block in segment.estimates():
            size = block.shape[-1]
            if end is None:
                end = block.new_empty(*block.shape[:-1], overlap)
            elif segment is not segments[0] and position < overlap:
                head = block[..., : overlap - position]
                part = slice(position, position + head.shape[-1])
                head.copy_(torch.lerp(end[..., part], head, weight[part].to(head)))
            if position < body:
                yield block[..., : body - position]
            if position + size > body:
                end[..., max(0, position - body) : position + size - body] = block[..., max(0, body - position) :]
            position += size


@dataclass
class _Segment:
    """A stretch of a track that is separated exactly."""

    separator: Separator
    read: Read
    first: int
    num_samples: int

    def estimates(self) -> Iterator[Tensor]:
        separator, padded = self.separator, max(self.num_samples, self.separator.stft.fft_size)
        codes, peak = self._listen(padded)
        energy = wiener.unit_of_energy(peak[None])
        covariances: list[Tensor] = []
        for _ in range(separator.niter):
            power_sum, outer_sum = torch.zeros((), device=peak.device), torch.zeros((), device=peak.device)
            for y, _x in self._refined(padded, codes, covariances, energy):
                power, outer = wiener.moments(y, energy)
                power_sum, outer_sum = power_sum + power.sum(dim=-1), outer_sum + outer
            covariances.append(wiener.spatial_covariance(power_sum, outer_sum, EPS))
        refined = self._refined(padded, codes, covariances, energy)
        blocks = (wiener.from_matrices(y)[0].to(torch.complex64) for y, _x in refined)
        left = self.num_samples
        for block in waveforms(separator.stft, blocks, padded):
            yield block[..., :left]
            left -= min(left, block.shape[-1])

    def _spectrograms(self, num_samples: int) -> Iterator[Tensor]:
        return spectrograms(self.separator.stft, self._read, num_samples, FRAMES)

    def _read(self, start: int, stop: int) -> Tensor:
        """Silence follows what is shorter than a window, as in `Separator.forward`."""
        samples = self.read(self.first + min(start, self.num_samples), self.first + min(stop, self.num_samples))
        return functional.pad(samples, (0, stop - start - samples.shape[-1]))

    def _listen(self, num_samples: int) -> tuple[dict[str, Tensor], Tensor]:
        """First pass: every network's code (frames, 1, hidden), and the mixture's peak."""
        networks = {target: cast(OpenUnmix, network) for target, network in self.separator.networks.items()}
        num_frames, device = 1 + num_samples // self.separator.stft.hop_size, self.separator.stft.window.device
        codes = {
            target: torch.empty(num_frames, 1, network.hidden_size, device=device)
            for target, network in networks.items()
        }
        peak, first = torch.zeros((), device=device), 0
        for x in self._spectrograms(num_samples):
            magnitude = x.abs()[None]
            peak = torch.maximum(peak, magnitude.amax())
            for target, network in networks.items():
                codes[target][first : first + x.shape[-1]] = network.encode(magnitude)
            first += x.shape[-1]
        return {target: blockwise.code_of(network, codes[target]) for target, network in networks.items()}, peak

    def _refined(
        self, num_samples: int, codes: dict[str, Tensor], covariances: list[Tensor], energy: Tensor
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """A pass over the track: sources y after as many EM steps as there are covariances, and the mixture x."""
        first = 0
        for spectrogram in self._spectrograms(num_samples):
            x = spectrogram[None]
            frames = slice(first, first + x.shape[-1])
            magnitude = x.abs()
            magnitudes = torch.stack(
                [
                    cast(OpenUnmix, network).decode(codes[target][frames], magnitude)
                    for target, network in self.separator.networks.items()
                ],
                dim=1,
            )
            estimates = wiener.mixture_phase(magnitudes, x)
            if self.separator.residual:
                estimates = wiener.append_residual(estimates, x)
            y, x = wiener.to_matrices(estimates), wiener.to_matrices(x)
            for covariance in covariances:
                y = wiener.posterior_mean(wiener.moments(y, energy)[0], covariance, x, EPS)
            yield y, x
            first = frames.stop
