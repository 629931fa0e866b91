"""Read and write audio files; no other module opens them, but `ffmpeg` and `doctor.files`."""

import warnings
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from scipy.io import wavfile

from unmix.data.silence import silent
from unmix.errors import counted

INT16_FULL_SCALE = 32768  # int16 / 32768 is in [-1, 1): soundfile's and musdb's convention
BLOCK = 2**20  # samples read at a time where a track need not fit into memory
# libsndfile's errors for content of no known format; the second, "File does not exist", for files named .mp3
UNRECOGNISED = (1, 7)


class UnknownFormatError(ValueError):
    """The content of a file has no format that libsndfile knows."""


@dataclass(frozen=True)
class Header:
    """Header of an audio file.

    `offset` is the byte at which interleaved little-endian 16-bit samples start, so that they can be read directly; it
    is None for files of any other kind.
    """

    sample_rate: int
    num_channels: int
    num_samples: int
    offset: int | None


def read_header(path: Path) -> Header:
    """Read sample rate, channels and length of an audio file.

    Raises:
        ValueError: when the file is missing, not audio (`UnknownFormatError` if libsndfile does not know its format),
            empty, or shorter than its header says.
        OSError: when the file cannot be read.
    """
    try:
        with path.open("rb"), silent(path):  # raises OSError with the reason; libsndfile only says "System error"
            info = soundfile.info(str(path))
    except FileNotFoundError as error:
        raise ValueError(f"{path} is not a readable audio file: there is no such file") from error
    except soundfile.LibsndfileError as error:
        if error.code in UNRECOGNISED:
            raise UnknownFormatError(f"{path} is not a readable audio file: format not recognised") from error
        raise ValueError(f"{path} is not a readable audio file: {error.error_string}") from error
    except TypeError as error:  # a file named .raw, of which soundfile would have to be told the rate
        raise UnknownFormatError(f"{path} is not a readable audio file: raw samples have no header") from error
    # libsndfile silently shortens the length of a truncated WAV, but notes it in its log.
    if info.format in ("WAV", "WAVEX") and "data : " in info.extra_info and "should be" in _data_line(info.extra_info):
        raise ValueError(f"{path} is truncated, its header promises more than it holds: {_data_line(info.extra_info)}")
    if info.frames == 0:
        raise ValueError(f"{path} holds no sample")
    return Header(info.samplerate, info.channels, info.frames, _offset(path) if info.subtype == "PCM_16" else None)


def read_comment(path: Path) -> str:
    """Read the comment in the header of an audio file; empty when there is none, or the file cannot be read."""
    try:
        with silent(path), soundfile.SoundFile(str(path)) as file:
            return str(file.comment)
    except soundfile.LibsndfileError:
        return ""


def _offset(path: Path) -> int | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # about unknown chunks
        try:
            _, samples = wavfile.read(path, mmap=True)
        except ValueError:
            return None  # FLAC
    return samples.offset if samples.dtype == np.dtype("<i2") else None


def _data_line(log: str) -> str:
    return next((line.strip() for line in log.splitlines() if line.startswith("data")), "")


def read_int16(path: Path, *, start: int = 0, num_samples: int = -1) -> npt.NDArray[np.int16]:
    """Read samples as 16-bit integers, (channels, samples); `num_samples=-1` reads to the end.

    Samples of 16-bit files are returned unchanged; others are rounded, and clipped at full scale.

    Raises:
        ValueError: when the file holds fewer samples, or samples that are NaN or infinite.
    """
    with soundfile.SoundFile(str(path)) as file:
        file.seek(min(start, file.frames))  # beyond the end, libsndfile raises without a message
        samples = next_int16(file, num_samples)
    if num_samples >= 0 and len(samples) != num_samples:
        raise ValueError(f"{path}: {num_samples} samples from {start} asked for, {len(samples)} are there")
    return np.ascontiguousarray(samples.T)


def next_int16(file: soundfile.SoundFile, num_samples: int) -> npt.NDArray[np.int16]:
    """Read the next samples of an open file as 16-bit integers, (samples, channels)."""
    if file.subtype == "PCM_16":
        integers: npt.NDArray[np.int16] = file.read(num_samples, dtype="int16", always_2d=True)
        return integers
    # libsndfile casts float files to integers without scaling: everything would be zero
    samples = file.read(num_samples, dtype="float64", always_2d=True)
    check_finite(Path(file.name), samples)
    return np.rint(samples * INT16_FULL_SCALE).clip(-INT16_FULL_SCALE, INT16_FULL_SCALE - 1).astype(np.int16)


def read_float(path: Path) -> npt.NDArray[np.float32]:
    """Read all samples of a file as float32, (channels, samples), full scale at 1.

    Raises:
        ValueError: when samples are NaN or infinite.
    """
    samples, _ = soundfile.read(str(path), dtype="float32", always_2d=True)
    check_finite(path, samples)
    return np.ascontiguousarray(samples.T)


def open_sound(path: Path) -> soundfile.SoundFile:
    """Open an audio file; raises ValueError when libsndfile cannot read it."""
    try:
        with silent(path):
            return soundfile.SoundFile(str(path))
    except soundfile.LibsndfileError as error:
        raise ValueError(f"{path} is not a readable audio file: {error.error_string}") from error


class FloatReader:
    """An open file: `reader(start, stop)` reads float32 samples, (channels, samples), full scale at 1.

    Attributes:
        num_samples: length of the file.

    Raises:
        ValueError: when the file cannot be read, or samples are NaN or infinite, or fewer than the header says.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_sound(path)
        self.num_samples = self.file.frames

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        try:
            with silent(self.path):
                self.file.seek(start)
                samples = self.file.read(stop - start, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"{self.path}: the samples from {start} are damaged: {error.error_string}") from error
        check_finite(self.path, samples)
        if len(samples) != stop - start:
            raise ValueError(
                f"{self.path} is damaged: {stop - start} samples from {start} asked for, {len(samples)} are there"
            )
        return np.ascontiguousarray(samples.T)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


def check_finite(path: Path, samples: npt.NDArray[np.floating]) -> None:
    """Check that samples of a file are finite; raises ValueError when they are not."""
    if not np.isfinite(samples).all():
        wrong = counted(int(np.sum(~np.isfinite(samples))), "sample is", "samples are")
        raise ValueError(f"{path}: {wrong} NaN or infinite; write the file anew")


def read_into(path: Path, offset: int, out: npt.NDArray[np.int16]) -> None:
    """Fill the contiguous array `out` with the 16-bit integers that start at byte `offset` of a file.

    The file is read, not mapped into memory: a file that shrinks or a disk that fails then raises an error where a map
    would kill the process, and the number of files is not limited by how many may be open.

    Raises:
        ValueError: when the file ends too early.
    """
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        rest = out.data.cast("B")
        while len(rest):
            num_bytes = file.readinto(rest)
            if not num_bytes:
                raise ValueError(f"{path} has shrunk since it was scanned: {len(rest)} bytes are gone")
            rest = rest[num_bytes:]


def convert(path: Path, out: Path) -> None:
    """Write any audio file as 16-bit WAV, rounded and clipped as `read_int16` does, block by block.

    Raises:
        ValueError: when it holds fewer samples than its header says, or samples that are NaN or infinite.
        OSError: when `out` cannot be written.
    """
    with soundfile.SoundFile(str(path)) as source, out.open("wb") as file, wave.open(file, "wb") as sink:
        sink.setnchannels(source.channels)
        sink.setsampwidth(2)
        sink.setframerate(source.samplerate)
        sink.setnframes(source.frames)
        while len(samples := next_int16(source, BLOCK)):
            sink.writeframesraw(samples.astype("<i2").tobytes())
        if sink.tell() != source.frames:
            raise ValueError(f"{path} is truncated: {source.frames} samples promised, {sink.tell()} are there")


def to_integers(samples: npt.NDArray[np.floating], subtype: str) -> npt.NDArray[Any]:
    """Convert floats, full scale at 1, to integers of PCM_16 or PCM_24, rounded and clipped.

    Not left to libsndfile, which scales by one step less than full scale (32767 for PCM_16).
    """
    half = {"PCM_16": 2**15, "PCM_24": 2**23}[subtype]
    rounded = np.rint(samples.astype(np.float64) * half).clip(-half, half - 1)
    return rounded.astype(np.int16) if subtype == "PCM_16" else rounded.astype(np.int32) << 8


def write(path: Path, samples: npt.NDArray[np.floating], sample_rate: int) -> None:
    """Write (channels, samples) as a 16-bit file, clipped at full scale; the suffix selects the format (wav, flac)."""
    write_blocks(path, [samples], sample_rate, len(samples))


def write_blocks(path: Path, blocks: Iterable[npt.NDArray[np.floating]], sample_rate: int, num_channels: int) -> None:
    """Write consecutive blocks, (channels, samples) each, to one file, see `write`."""
    with soundfile.SoundFile(str(path), "w", sample_rate, num_channels, "PCM_16") as file:
        for block in blocks:
            file.write(to_integers(block.T, "PCM_16"))
