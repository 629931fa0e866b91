"""Read audio of files that libsndfile does not know, such as M4A and video, through FFmpeg."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import numpy.typing as npt

from unmix.data import pcm

VIDEO = (".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv")
AUDIO = (".aac", ".ac3", ".ape", ".m4a", ".m4b", ".mka", ".wma", ".wv")
ENDINGS = (*VIDEO, *AUDIO)


def is_installed() -> bool:
    """Whether FFmpeg's two programs are on PATH."""
    return all(map(shutil.which, ("ffmpeg", "ffprobe")))


def is_needed(path: Path) -> bool:
    """Whether a file is read through FFmpeg, by its name."""
    return path.suffix.lower() in ENDINGS


def probe(path: Path) -> tuple[int, int]:
    """Read the sample rate and the number of channels of the first audio stream of a file.

    How many samples it holds is only known after decoding.

    Raises:
        ValueError: when FFmpeg is not installed or cannot read the file, or the file has no audio stream.
        OSError: when the file cannot be opened.
    """
    with path.open("rb"):
        pass  # raises OSError with the reason
    if not is_installed():
        raise ValueError(f"{path}: FFmpeg is needed to read it, which is not installed: run `make ffmpeg`")
    rate, channels = _read(path, "sample_rate", "channels")
    if not rate or not channels:
        raise ValueError(f"{path} is not a readable audio file: format not recognised")
    return rate, channels


def num_bits(path: Path) -> int:
    """Read the number of bits of the samples that a lossless file holds; 0 for other files. Raises as `probe`."""
    return _read(path, "bits_per_raw_sample")[0]


def _read(path: Path, *names: str) -> list[int]:
    """Read numbers in the header of the first audio stream of a file; 0 for those that are not there."""
    entries = ["-select_streams", "a:0", "-show_entries", f"stream={','.join(names)}", "-of", "json"]
    done = subprocess.run(["ffprobe", "-v", "error", *entries, f"file:{path}"], capture_output=True, check=False)
    if done.returncode:
        raise ValueError(f"{path} is not a readable audio file: {_reason(done.stderr, path)}")
    streams = json.loads(done.stdout).get("streams", [])
    if not streams:
        raise ValueError(f"{path}: no audio stream")
    values = [str(streams[0].get(name, 0)) for name in names]
    return [int(value) if value.isdecimal() else 0 for value in values]


class FloatReader:
    """Decoded file: `reader(start, stop)` reads float32 samples, (channels, samples), full scale at 1.

    The first audio stream is decoded at once to a temporary file, so that memory does not grow with its length. The
    file has no name: nothing is left of it, however the process ends.

    Attributes:
        num_samples: length of the stream.
        complaint: first complaint of FFmpeg about a damaged file that it decoded nevertheless; empty without any.

    Args:
        path: audio or video file.
        sample_rate, num_channels: see `probe`.
        folder: folder of the temporary file, 4 bytes per sample and channel.
        key: setting that names the folder, for messages.
    Raises:
        ValueError: when FFmpeg fails, or the stream is empty; on reading, when samples are NaN or infinite.
        OSError: when the temporary file cannot be written.
    """

    def __init__(self, path: Path, sample_rate: int, num_channels: int, folder: Path, key: str = "out") -> None:
        self.path, self.num_channels = path, num_channels
        try:
            self.file = TemporaryFile(prefix=".unmix-", dir=folder)  # noqa: SIM115 - see `close`
        except OSError as error:
            raise OSError(
                f"{key}: {folder} cannot be written ({error.strerror}); name another folder with {key}="
            ) from error
        layout = ["-ar", str(sample_rate), "-ac", str(num_channels)]  # also where they change midway
        command = ["ffmpeg", "-nostdin", "-v", "error", "-i", f"file:{path}", "-map", "0:a:0", *layout]
        done = subprocess.run(
            [*command, "-f", "f32le", "pipe:1"], stdout=self.file, stderr=subprocess.PIPE, check=False
        )
        self.complaint = _reason(done.stderr, path) if done.stderr.strip() else ""
        self.num_samples = self.file.seek(0, 2) // (4 * self.num_channels)
        if done.returncode or not self.num_samples:
            self.close()
            if b"No space left" in done.stderr:
                raise OSError(f"{key}: no room in {folder} to decode {path.name}; make room or name another {key}=")
            raise ValueError(f"{path} cannot be decoded: {self.complaint or 'it holds no sample'}")

    def __call__(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        frame = 4 * self.num_channels
        self.file.seek(start * frame)
        samples = np.frombuffer(self.file.read((stop - start) * frame), "<f4").reshape(-1, self.num_channels)
        pcm.check_finite(self.path, samples)
        return np.array(samples.T, np.float32, order="C")

    def close(self) -> None:
        """Remove the temporary file."""
        self.file.close()


def _reason(stderr: bytes, path: Path) -> str:
    """First line that FFmpeg printed, without the names of its parts and of the file."""
    lines = stderr.decode(errors="replace").strip().splitlines() or ["FFmpeg failed without a message"]
    return re.sub(r"^(\[[^]]*\] )+", "", lines[0].strip()).removeprefix(f"file:{path}: ")
