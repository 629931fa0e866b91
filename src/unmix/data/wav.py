"""Write WAV files block by block through Python, so that a full disk is an error with a reason."""

import hashlib
import struct
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from unmix.data import pcm

BYTES = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}
_LARGEST = 2**32 - 64  # bytes of samples


class Overflow(ValueError):
    """Samples exceed the full scale of an integer format."""


class WavWriter:
    """Writer of a WAV file of known length; `sha256` is the digest of what has been written.

    Args:
        path: file to write.
        sample_rate: Hz.
        num_channels: number of channels.
        num_samples: number of samples that will be written.
        subtype: `PCM_16`, `PCM_24` or `FLOAT` (32 bits).
    Raises:
        ValueError: when the file would exceed 4 GB, or fewer samples than `num_samples` were written.
        OSError: when the file cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int, num_channels: int, num_samples: int, subtype: str) -> None:
        self.path, self.subtype, self.left = path, subtype, num_samples
        frame = num_channels * BYTES[subtype]
        if num_samples * frame > _LARGEST:
            raise ValueError(f"{path.name}: a WAV file holds 4 GB, {num_samples * frame / 1e9:.1f} GB are needed")
        self.digest = hashlib.sha256()
        self._file = path.open("wb")
        tag, size = 3 if subtype == "FLOAT" else 1, num_samples * frame
        header = (tag, num_channels, sample_rate, sample_rate * frame, frame, 8 * BYTES[subtype])
        padding = size % 2
        self._end = b"\0" * padding
        chunks = (b"RIFF", 36 + size + padding, b"WAVE", b"fmt ", 16, *header, b"data", size)
        self._put(struct.pack("<4sI4s4sIHHIIHH4sI", *chunks))

    def write(self, samples: npt.NDArray[np.floating]) -> None:
        """Write (samples, channels), full scale at 1; raises `Overflow` when they do not fit an integer format."""
        self.left -= len(samples)
        if self.subtype == "FLOAT":
            self._put(samples.astype("<f4").tobytes())
            return
        half = 2 ** (8 * BYTES[self.subtype] - 1)
        if samples.size and (samples.max() * half > half - 0.5 or samples.min() * half < -half - 0.5):
            raise Overflow(f"{self.path.name}: exceeds full scale")
        integers = pcm.to_integers(samples, self.subtype)
        if self.subtype == "PCM_16":
            self._put(integers.astype("<i2").tobytes())
        else:
            self._put(integers.astype("<i4", order="C").view(np.uint8).reshape(-1, 4)[:, 1:].tobytes())

    def _put(self, content: bytes) -> None:
        self._file.write(content)
        self.digest.update(content)

    @property
    def sha256(self) -> str:
        """Digest of the file, hexadecimal."""
        return self.digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if kind is None:
                self._put(self._end)
        if kind is None and self.left:
            raise ValueError(f"{self.path.name}: {self.left} samples are missing")
