"""The only code that opens audio files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

INT16_FULL_SCALE = 32768  # int16 / 32768 is in [-1, 1): soundfile's and musdb's convention


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    sample_rate: int
    num_channels: int
    num_samples: int
    is_int16: bool


def read_header(path: Path) -> Header:
    """Rate, channels and length of an audio file.

    Raises:
        ValueError: when it is no audio file, or shorter than its own header says.
    """
    try:
        info = soundfile.info(str(path))
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is not a readable audio file: {error.error_string}") from error
    # libsndfile shortens the length of a truncated WAV without a word, but notes it in its log.
    if info.format in ("WAV", "WAVEX") and "data : " in info.extra_info and "should be" in _data_line(info.extra_info):
        raise ValueError(f"{path} is truncated, its header promises more than it holds: {_data_line(info.extra_info)}")
    return Header(info.samplerate, info.channels, info.frames, info.subtype == "PCM_16")


def _data_line(log: str) -> str:
    return next((line.strip() for line in log.splitlines() if line.startswith("data")), "")


def read_int16(path: Path, *, start: int = 0, num_samples: int = -1) -> npt.NDArray[np.int16]:
    """Samples of a file as 16-bit integers, (channels, samples); -1 reads to the end.

    16-bit files come back as they are; others are rounded, and clipped at full scale.

    Raises:
        ValueError: when the file holds fewer samples than asked for.
    """
    with soundfile.SoundFile(str(path)) as file:
        file.seek(min(start, file.frames))  # further on, libsndfile raises without a message
        if file.subtype == "PCM_16":
            samples = file.read(num_samples, dtype="int16", always_2d=True)
        else:  # libsndfile casts float files to integers without scaling: everything would be zero
            scaled = np.rint(file.read(num_samples, dtype="float64", always_2d=True) * INT16_FULL_SCALE)
            samples = scaled.clip(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16)
    if num_samples >= 0 and len(samples) != num_samples:
        raise ValueError(f"{path}: {num_samples} samples from {start} asked for, {len(samples)} are there")
    return np.ascontiguousarray(samples.T)


def read_float(path: Path) -> npt.NDArray[np.float32]:
    """All samples of a file, full scale at 1, (channels, samples)."""
    samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    return np.ascontiguousarray(samples.T)


def write(path: Path, samples: npt.NDArray[np.floating], sample_rate: int) -> None:
    """Write (channels, samples) as a 16-bit file, clipped at full scale; the ending names the format (wav, flac)."""
    # libsndfile would round down, which is a bias of half a step
    scaled = np.rint(samples.T * INT16_FULL_SCALE).clip(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1)
    soundfile.write(str(path), scaled.astype(np.int16), sample_rate, subtype="PCM_16")
