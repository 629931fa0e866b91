"""Songs to separate: the files that `input` names, and the reasons why some of them cannot be read."""

import glob
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile

from unmix import errors
from unmix.data import ffmpeg, pcm
from unmix.dsp.rates import ratio
from unmix.runs import stems

log = logging.getLogger(__name__)

Audio = pcm.FloatReader | ffmpeg.FloatReader


@dataclass(frozen=True)
class Song:
    """An audio file: its rate in Hz, its number of channels, and whether FFmpeg decodes it."""

    path: Path
    rate: int
    channels: int
    needs_ffmpeg: bool

    def open(self, folder: Path) -> Audio:
        """Open the song; if FFmpeg decodes it, to a temporary file in `folder`, or above when that does not exist."""
        if not self.needs_ffmpeg:
            return pcm.FloatReader(self.path)
        existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
        reader = ffmpeg.FloatReader(self.path, self.rate, self.channels, existing)
        if reader.complaint:
            log.warning("%s: damaged, separated as far as FFmpeg decodes it: %s", self.path, reader.complaint)
        return reader


def find(items: Sequence[str], sample_rate: int, start: float) -> tuple[list[Song], dict[Path, str]]:
    """Find the songs that `input` names.

    Args:
        items: files, folders and patterns.
        sample_rate: Hz, of the models.
        start: seconds at the beginning of each song that are left out.
    Returns:
        Songs in order; and for each file that cannot be separated the reason.
    Raises:
        FileNotFoundError: when an item names no file.
        ValueError: when no song can be separated.
        OSError: when the only file cannot be opened.
    """
    paths = list(dict.fromkeys(path for item in items for path in _expanded(item)))
    songs, unreadable = [], {}
    for path in paths:
        try:
            song = probe(path, start)
            ratio(song.rate, sample_rate)
            songs.append(song)
        except (ValueError, OSError) as error:
            if len(paths) == 1:
                raise _refusal(error, path) from error
            unreadable[path] = reason(error, path)
    if not songs:
        raise ValueError(f"input: none of {len(paths)} files can be separated: {'; '.join(by_reason(unreadable))}")
    return songs, unreadable


def check(items: Sequence[str], start: float) -> None:
    """Check that each item of `input` names files, and that a single file can be read; raises as `find`."""
    for item in items:
        paths = _named(item)
        if len(items) == 1 and paths[0].is_file() and len(paths) == 1:
            try:
                probe(paths[0], start)
            except (ValueError, OSError) as error:
                raise _refusal(error, paths[0]) from error


def _refusal(error: Exception, path: Path) -> ValueError:
    """Make the error about the only file, which names the setting."""
    text = f"{path}: {error.strerror}" if isinstance(error, OSError) and error.strerror else errors.one_line(error)
    own = text.removeprefix(f"{path}: ")
    return ValueError(f"{own} ({path})" if own.startswith(("start:", "input:")) else f"input: {text}")


def part(path: Path, num_samples: int, rate: int, start: float, duration: float | None) -> range:
    """Samples of a song that `start` and `duration` select; raises ValueError when the song ends before."""
    first = round(start * rate)
    if first >= num_samples:
        raise ValueError(f"{path}: start: got {start:g} s, the song has {num_samples / rate:.2f} s")
    return range(first, num_samples if duration is None else min(num_samples, first + max(1, round(duration * rate))))


def reason(error: Exception, path: Path) -> str:
    """Message of an error about a file, on one line and without the name of the file."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else errors.one_line(error)
    return text.removeprefix(str(path)).removeprefix(":").strip().removeprefix("is ")


def by_reason(reasons: Mapping[Path, str]) -> list[str]:
    """One line per reason, with the files that it applies to."""
    return [
        f"{', '.join(str(path) for path, other in reasons.items() if other == text)}: {text}"
        for text in dict.fromkeys(reasons.values())
    ]


def probe(path: Path, start: float) -> Song:
    """Read the header of a song; raises ValueError or OSError when it cannot be read or ends before `start` seconds."""
    return _decoded_song(path) if path.suffix.lower() in ffmpeg.ENDINGS else _readable_song(path, start)


def _readable_song(path: Path, start: float) -> Song:
    try:
        header = pcm.read_header(path)
    except pcm.UnknownFormatError:
        if not ffmpeg.is_installed():
            raise
        return _decoded_song(path)  # such as M4A under another ending
    part(path, header.num_samples, header.sample_rate, start, None)
    return Song(path, header.sample_rate, header.num_channels, needs_ffmpeg=False)


def _decoded_song(path: Path) -> Song:
    return Song(path, *ffmpeg.probe(path), needs_ffmpeg=True)


def _is_audio(path: Path) -> bool:
    """Whether the name of a file is that of audio or video; hidden files, such as macOS's `._song.wav`, are not."""
    endings = {f".{name.lower()}" for name in soundfile.available_formats()} - {".raw"} | {".aif", ".mp3", ".opus"}
    return path.suffix.lower() in endings.union(ffmpeg.ENDINGS) and not path.name.startswith(".")


def _named(item: str) -> list[Path]:
    """List the files that an item of `input` names."""
    path = Path(item).expanduser()
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.is_file() and _is_audio(file)]
        if not files:
            raise FileNotFoundError(f"input: no audio file in the folder {path}")
        return files
    files = [file for file in sorted(map(Path, glob.glob(str(path)))) if file.is_file()]  # noqa: PTH207
    if not files:
        allowed = f"a file, a folder, or a pattern that matches any{errors.near(path)}"
        raise FileNotFoundError(f"input: {path} is not {allowed}")
    return files


def _expanded(item: str) -> list[Path]:
    """List the files that an item of `input` names; those of a folder or pattern without the stems written here."""
    path, files = Path(item).expanduser(), _named(item)
    if path.is_file():
        return files
    songs = [file for file in files if not stems.is_stem(file)]
    if not songs:
        raise FileNotFoundError(f"input: {path} holds only stems that separate.py wrote; name a file to separate it")
    if left := len(files) - len(songs):
        stems_left = errors.counted(left, "stem that separate.py wrote is", "stems that separate.py wrote are")
        log.info("%s: %s left out; name a file to separate it", path, stems_left)
    return songs
