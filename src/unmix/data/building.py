"""Build stems that no single file holds: sums, differences, spans, silence, also at another rate; block by block."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

from unmix.data import pcm
from unmix.data.layouts.entry import Entry, Part
from unmix.data.pcm import Header
from unmix.data.silence import silent
from unmix.data.wav import Overflow, WavWriter

_BLOCK = 2**18  # samples
_SLACK_SECONDS = 0.01  # by which a span may exceed its file, as tables hold rounded times
_WIDTHS = ("PCM_16", "PCM_24", "FLOAT")


@dataclass(frozen=True)
class Target:
    """Format of a stem; `subtype` is `PCM_16`, `PCM_24` or `FLOAT`."""

    sample_rate: int
    num_channels: int
    num_samples: int
    subtype: str


@dataclass(frozen=True)
class Written:
    """What was written: the subtype, which is `FLOAT` if the samples exceed full scale, the peak, and the SHA-256."""

    subtype: str
    peak: float
    sha256: str


def span(part: Part, header: Header) -> tuple[int, int]:
    """First and last sample of a part.

    Raises:
        ValueError: when the part ends after its file.
    """
    rate, seconds = header.sample_rate, header.num_samples / header.sample_rate
    last = part.start if part.stop is None else part.stop
    if last > seconds + _SLACK_SECONDS or (part.stop is None and part.start >= seconds):
        raise ValueError(f"{part.path} has {seconds:.3f} s, but a span of it reaches {last:g} s: correct the table")
    stop = header.num_samples if part.stop is None else min(round(part.stop * rate), header.num_samples)
    return round(part.start * rate), stop


def length(entry: Entry, headers: Mapping[Path, Header], sample_rate: int) -> int:
    """Samples of every stem of a track at a sample rate: of its longest part, or of its shortest if it is cut."""
    lengths = []
    for part in {part for parts in entry.files.values() for part in parts}:
        start, stop = span(part, headers[part.path])
        lengths.append(-(-(stop - start) * sample_rate // headers[part.path].sample_rate))
    return min(lengths) if entry.is_cut else max(lengths)


def subtype(paths: Iterable[Path]) -> str:
    """Narrowest subtype that holds the samples of all files; lossy formats count as 16 bits."""
    return max((_subtype(path) for path in paths), key=_WIDTHS.index, default="PCM_16")


def _subtype(path: Path) -> str:
    with silent(path):
        name = soundfile.info(str(path)).subtype
    if name in ("FLOAT", "DOUBLE", "PCM_32"):
        return "FLOAT"
    return "PCM_24" if name == "PCM_24" else "PCM_16"


def write_stem(path: Path, parts: Sequence[Part], headers: Mapping[Path, Header], target: Target) -> Written:
    """Write the sum of parts as WAV; as float where the sum exceeds full scale, so that nothing is clipped.

    Args:
        path: file to write.
        parts: parts to sum; none is silence.
        headers: headers of their files.
        target: format to write; shorter parts end with silence.
    Raises:
        ValueError: when a file is damaged, or its channels cannot be converted.
        OSError: when the file cannot be written.
    """
    try:
        return _write(path, parts, headers, target)
    except Overflow:
        return _write(path, parts, headers, replace(target, subtype="FLOAT"))


def _write(path: Path, parts: Sequence[Part], headers: Mapping[Path, Header], target: Target) -> Written:
    streams = [_Stream(part, headers[part.path], target) for part in parts]
    peak = 0.0
    try:
        with WavWriter(path, target.sample_rate, target.num_channels, target.num_samples, target.subtype) as writer:
            for start in range(0, target.num_samples, _BLOCK):
                count = min(_BLOCK, target.num_samples - start)
                block: npt.NDArray[Any] = np.zeros((count, target.num_channels), np.float32)
                for index, stream in enumerate(streams):
                    samples = stream.read(count)
                    block = samples if index == 0 else block + samples
                peak = max(peak, float(np.abs(block).max(initial=0)))
                writer.write(block)
    finally:
        for stream in streams:
            stream.close()
    return Written(target.subtype, peak, writer.sha256)


class _Stream:
    """Samples of a part, at the rate and with the channels of a target."""

    def __init__(self, part: Part, header: Header, target: Target) -> None:
        self.part, self.num_channels = part, target.num_channels
        start, stop = span(part, header)
        self.left, self.ended = stop - start, False
        try:
            with silent(part.path):
                self.file = soundfile.SoundFile(str(part.path))
                self.file.seek(start)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{part.path} is not a readable audio file: {error.error_string}") from error
        self.resampler: Any = None
        if header.sample_rate != target.sample_rate:
            import soxr  # only where something is resampled

            channels = min(header.num_channels, target.num_channels)
            self.resampler = soxr.ResampleStream(
                header.sample_rate, target.sample_rate, channels, dtype="float32", quality="HQ"
            )
        self.buffer: npt.NDArray[Any] = np.zeros((0, target.num_channels), np.float32)

    def read(self, count: int) -> npt.NDArray[Any]:
        """Read the next samples, (count, channels); silence after the end."""
        while len(self.buffer) < count and not self.ended:
            block = self._next()
            self.buffer = np.concatenate([self.buffer, block]) if len(self.buffer) else block
        samples, self.buffer = self.buffer[:count], self.buffer[count:]
        if len(samples) < count:
            samples = np.concatenate([samples, np.zeros((count - len(samples), self.num_channels), samples.dtype)])
        return samples

    def _next(self) -> npt.NDArray[Any]:
        wanted = min(_BLOCK, self.left)
        # float64 where sums of 24 bits must be exact
        dtype = "float64" if self.resampler is None else "float32"
        try:
            with silent(self.part.path):
                samples = self.file.read(wanted, dtype=dtype, always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{self.part.path} is damaged: {error.error_string}") from error
        pcm.check_finite(self.part.path, samples)
        if len(samples) < wanted:
            raise ValueError(f"{self.part.path} is truncated: {self.left - len(samples)} samples are missing")
        self.left -= wanted
        self.ended = not self.left
        if samples.shape[1] > self.num_channels:
            samples = _fewer(self.part.path, samples, self.num_channels)
        if self.resampler is not None:
            samples = self.resampler.resample_chunk(np.ascontiguousarray(samples), last=self.ended)
        if samples.shape[1] < self.num_channels:
            samples = _more(self.part.path, samples, self.num_channels)
        return samples if self.part.sign > 0 else -samples

    def close(self) -> None:
        self.file.close()


def _fewer(path: Path, samples: npt.NDArray[Any], num_channels: int) -> npt.NDArray[Any]:
    if num_channels != 1:
        raise ValueError(f"{path} has {samples.shape[1]} channels, which cannot be mixed down to {num_channels}")
    mean: npt.NDArray[Any] = samples.mean(axis=1, keepdims=True, dtype=samples.dtype)
    return mean


def _more(path: Path, samples: npt.NDArray[Any], num_channels: int) -> npt.NDArray[Any]:
    if samples.shape[1] != 1:
        raise ValueError(f"{path} has {samples.shape[1]} channels, which cannot be spread over {num_channels}")
    return np.repeat(samples, num_channels, axis=1)
