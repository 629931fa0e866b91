"""Writing of stems to audio files, block by block, and recognising them again."""

import logging
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import soundfile

from unmix import errors
from unmix.data import pcm
from unmix.files import replacing

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

# format -> bits -> libsndfile's name of the subtype
FORMATS = {
    "wav": {"16": "PCM_16", "24": "PCM_24", "float": "FLOAT"},
    "flac": {"16": "PCM_16", "24": "PCM_24"},
}

MARK = "stem separated by Unmix"  # comment in the header of every stem


def is_stem(path: Path) -> bool:
    """Whether `StemWriter` wrote a file, whatever its name and folder are now."""
    return path.suffix[1:].lower() in FORMATS and pcm.read_comment(path) == MARK


def subtype_of(format_: str, bits: str) -> str:
    """Look up libsndfile's subtype for a format and bits; raises ValueError when there is none."""
    if format_ not in FORMATS:
        raise ValueError(errors.unknown("format", format_, FORMATS))
    if bits not in FORMATS[format_]:
        raise ValueError(errors.unknown("bits", bits, FORMATS[format_]))
    return FORMATS[format_][bits]


class StemWriter:
    """Context that writes the stems of a song; files appear under their names when all blocks are written.

    Args:
        paths: file of each stem; the ending names the format.
        rate: sample rate in Hz.
        channels: number of channels of each file.
        subtype: see `subtype_of`.
    Raises:
        OSError: when a file cannot be written; no incomplete file is left.
    """

    def __init__(self, paths: dict[str, Path], rate: int, channels: int, subtype: str) -> None:
        self.paths = paths
        self.rate, self.channels, self.subtype = rate, channels, subtype
        self.num_clipped = 0

    def __enter__(self) -> "StemWriter":
        self.files: dict[str, soundfile.SoundFile] = {}
        try:
            with ExitStack() as stack:
                partials = {}
                for name, path in self.paths.items():  # before opening any file: all are closed before any is renamed
                    path.parent.mkdir(parents=True, exist_ok=True)
                    partials[name] = stack.enter_context(replacing(path))
                for name, path in self.paths.items():
                    kind = path.suffix[1:].upper()
                    file = soundfile.SoundFile(
                        str(partials[name]), "w", self.rate, self.channels, self.subtype, format=kind
                    )
                    self.files[name] = stack.enter_context(file)
                    file.comment = MARK
                self.open = stack.pop_all()
        except (OSError, soundfile.LibsndfileError) as error:
            reason = getattr(error, "strerror", None) or error
            raise OSError(f"out: {path} cannot be written ({reason}); name another folder with out=") from error
        return self

    def write(self, blocks: "dict[str, Tensor]") -> None:
        """Write the next samples of every stem, (channels, samples) each."""
        for name, block in blocks.items():
            samples = block.T.contiguous().numpy()
            if self.subtype != "FLOAT":
                self.num_clipped += int((block.abs() > 1).sum())
                samples = pcm.to_integers(samples, self.subtype)
            try:
                self.files[name].write(samples)
            except soundfile.LibsndfileError as error:
                raise OSError(
                    f"out: {self.paths[name]} cannot be written ({error}); make room or name another out="
                ) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.open.__exit__(kind, error, traceback)
        if error is None and self.num_clipped:
            clipped = errors.counted(self.num_clipped, "sample was", "samples were")
            log.warning("%s clipped at full scale; bits=float keeps them", clipped)
