"""Read what the doctor needs of audio files: blocks in sequence, tags, the place of damaged samples."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from unmix.data.pcm import BLOCK, next_int16, open_sound
from unmix.data.silence import silent


class Int16Reader:
    """An open file: `reader(n)` reads the next n samples as 16-bit integers, (samples, channels), as `read_int16` does.

    Raises:
        ValueError: when the file cannot be read, holds fewer samples, or samples that are NaN or infinite.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_sound(path)

    def __call__(self, num_samples: int) -> npt.NDArray[np.int16]:
        start = self.file.tell()
        try:
            samples = next_int16(self.file, num_samples)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{self.path}: the samples from {start} are damaged: {error.error_string}") from error
        if len(samples) != num_samples:
            raise ValueError(f"{self.path}: {num_samples} samples from {start} asked for, {len(samples)} are there")
        return samples

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def read_tags(path: Path) -> tuple[str, str]:
    """Read artist and title in the header of an audio file; empty when there are none, or the file cannot be read."""
    try:
        with silent(path), soundfile.SoundFile(str(path)) as file:
            metadata = file.copy_metadata()
    except soundfile.LibsndfileError:
        return "", ""
    return metadata.get("artist", ""), metadata.get("title", "")


def find_damage(path: Path) -> int | None:
    """Find the first sample of a file that is NaN or infinite; None when all are finite."""
    with soundfile.SoundFile(str(path)) as file:
        for start in range(0, file.frames, BLOCK):
            is_finite = np.isfinite(file.read(BLOCK, dtype="float64", always_2d=True)).all(axis=1)
            if not is_finite.all():
                return start + int(is_finite.argmin())
    return None
