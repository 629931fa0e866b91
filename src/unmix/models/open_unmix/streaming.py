"""Streaming of Open-Unmix: separation in blocks, in memory that does not grow with the track.

Up to `exact_seconds` the result equals that of `Separator.forward`: the networks run layer by layer in blocks
(`blockwise`), and EM's spatial covariances, which are sums over time, are gathered in one pass over the track and used
in the next. Each pass computes the spectrograms again. Longer tracks are cut into overlapping segments, which are
cross-faded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor
from torch.nn import functional

from unmix import settings
from unmix.dsp import wiener
from unmix.dsp.overlap_add import Read, spectrograms, waveforms
from unmix.models.open_unmix import blockwise, bridges
from unmix.models.open_unmix.network import OpenUnmix

if TYPE_CHECKING:
    from unmix.models.open_unmix.separator import Separator

# UMX's published scores come from norbert in double precision; so do ours, whatever the precision of the networks.
EPS = torch.finfo(torch.float64).eps

# Per block. EM runs on a block of bins of these at a time, on a CPU; a GPU is faster with few large blocks.
FRAMES, FRAMES_ON_GPU = 256, 1024
OVERLAP_SECONDS, FADE_SECONDS = settings.SHORTEST_EXACT_SECONDS / 3, 1.0
SEGMENT_SECONDS = 300.0  # at most, when a track is cut


@torch.no_grad()
def separate(separator: "Separator", read: Read, num_samples: int, *, exact_seconds: float = 900.0) -> Iterator[Tensor]:
    """Separate a track of any length in bounded memory.

    Args:
        separator: of Open-Unmix networks, in evaluation mode.
        read: reads samples of the track at the separator's rate, see `overlap_add.Read`.
        num_samples: length of the track.
        exact_seconds: longer tracks are cut into segments.
    Yields:
        Consecutive estimates, (sources, channels, samples), of `num_samples` in total.
    Raises:
        ValueError: on an empty track, or when `exact_seconds` is shorter than three overlaps, 60 s.
    """
    if num_samples < 1:
        raise ValueError("input: got a track without a sample")
    settings.check("separator", {"exact_seconds": exact_seconds})
    rate = separator.sample_rate
    longest, overlap = round(exact_seconds * rate), round(OVERLAP_SECONDS * rate)
    if num_samples <= longest:
        yield from _Segment(separator, read, 0, num_samples).estimates()
        return
    longest = min(longest, round(SEGMENT_SECONDS * rate))
    # segments of equal length, so that the last one is not a short remainder
    count = -(-(num_samples - overlap) // (longest - overlap))
    step = -(-(num_samples - overlap) // count)
    segments = [
        _Segment(separator, read, first, min(step + overlap, num_samples - first))
        for first in range(0, num_samples - overlap, step)
    ]
    yield from _cross_faded(segments, overlap, round(FADE_SECONDS * rate))


def _cross_faded(segments: list["_Segment"], overlap: int, fade: int) -> Iterator[Tensor]:
    """Yield the estimates of consecutive segments, cross-faded in the middle of each overlap."""
    weight = (torch.arange(overlap) - (overlap - fade) / 2).div(fade).clamp(0, 1)
    end: Tensor | None = None  # a segment's estimates in its overlap with the next one
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
    """Part of a track, which is separated with the same result as by `Separator.forward`, in bounded memory."""

    separator: "Separator"
    read: Read
    first: int
    num_samples: int

    def estimates(self) -> Iterator[Tensor]:
        """Yield consecutive estimates of the segment, (sources, channels, samples)."""
        separator = self.separator
        codes, peak = self._encode()
        refined: Iterator[Tensor]
        if separator.niter == 0:  # frames do not depend on each other
            refined = (separator.refine(v, x)[0] for v, x in self._magnitudes(codes, self._frames))
        elif separator.wiener == "torch" and separator.window == "whole":
            refined = self._refined(codes, wiener.unit_of_energy(peak[None]))
        else:
            frames = self._num_frames if separator.window == "whole" else separator.window
            refined = (separator.refine(v, x)[0] for v, x in self._magnitudes(codes, frames))
        remaining = self.num_samples
        for block in waveforms(separator.stft, refined, self._padded):
            yield block[..., :remaining]
            remaining -= min(remaining, block.shape[-1])

    @property
    def _padded(self) -> int:
        """Length in samples after padding to at least one window, as in `Separator.forward`."""
        return max(self.num_samples, self.separator.stft.fft_size)

    @property
    def _num_frames(self) -> int:
        return 1 + self._padded // self.separator.stft.hop_size

    @property
    def _frames(self) -> int:
        return FRAMES_ON_GPU if self.separator.stft.window.is_cuda else FRAMES

    def _spectrograms(self, frames: int) -> Iterator[Tensor]:
        """Yield the segment's spectrograms in blocks, (1, channels, bins, frames), of which the last may be shorter."""
        return (x[None] for x in spectrograms(self.separator.stft, self._read, self._padded, frames))

    def _read(self, start: int, stop: int) -> Tensor:
        samples = self.read(self.first + min(start, self.num_samples), self.first + min(stop, self.num_samples))
        return functional.pad(samples, (0, stop - start - samples.shape[-1]))

    def _encode(self) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the code (frames, 1, hidden) that each network's `decode` takes, and the spectrogram's peak."""
        groups, device = cast(list[dict[str, OpenUnmix]], self.separator.groups), self.separator.stft.window.device
        sizes = [next(iter(group.values())).hidden_size for group in groups]
        features = [torch.empty(self._num_frames, 1, size, device=device) for size in sizes]
        peak, first = torch.zeros((), device=device), 0
        for x in self._spectrograms(self._frames):
            magnitude = x.abs()
            peak = torch.maximum(peak, magnitude.amax())
            for hidden, group in zip(features, groups, strict=True):
                hidden[first : first + x.shape[-1]] = bridges.encode(list(group.values()), magnitude)
            first += x.shape[-1]
        estimated, codes = self.separator.estimated, dict[str, Tensor]()
        for hidden, group in zip(features, groups, strict=True):
            codes |= blockwise.codes_of(group, hidden, estimated)
        return {target: codes[target] for target in estimated}, peak

    def _magnitudes(self, codes: dict[str, Tensor], frames: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield, block by block, estimated magnitudes (1, sources, channels, bins, frames) and the mixture."""
        first = 0
        for x in self._spectrograms(frames):
            part, magnitude = slice(first, first + x.shape[-1]), x.abs()
            networks = cast(Mapping[str, OpenUnmix], self.separator.networks)
            decoded = [networks[target].decode(code[part], magnitude) for target, code in codes.items()]
            yield torch.stack(decoded, dim=1), x
            first = part.stop

    def _refined(self, codes: dict[str, Tensor], energy: Tensor) -> Iterator[Tensor]:
        """Yield the estimates after EM over the segment, (sources, channels, bins, frames); each M step is one pass."""
        covariances: list[Tensor] = []
        for _ in range(self.separator.niter):
            outers = (
                torch.cat([wiener.outer(y, energy) for y in self._sources(v, x, covariances, energy)], dim=1)
                for v, x in self._magnitudes(codes, self._frames)
            )
            covariances.append(wiener.spatial_covariance(outers, EPS))
        for v, x in self._magnitudes(codes, self._frames):
            blocks = [wiener.from_matrices(y)[0].to(torch.complex64) for y in self._sources(v, x, covariances, energy)]
            yield torch.cat(blocks, dim=-2)

    def _sources(self, v: Tensor, x: Tensor, covariances: list[Tensor], energy: Tensor) -> Iterator[Tensor]:
        """Yield the sources of some frames after one E step per covariance, as matrices, a block of bins at a time.

        Blocks of bins are small enough for the processor's cache; on a GPU all bins are one block.
        """
        initial, residual = self.separator.initial, self.separator.residual
        for bins in [slice(None)] if x.is_cuda else wiener.blocks_of_bins(x):
            part, own = x[..., bins, :], [covariance[:, bins] for covariance in covariances]
            parts = wiener.initial_parts(v[..., bins, :], part, eps=EPS, initial=initial, residual=residual)
            yield wiener.posterior_of_parts(parts, part, own, energy, EPS)
