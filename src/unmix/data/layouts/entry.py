"""Tracks as they are found on disk, before any file is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MIXTURE = "mixture"
SPLITS = ("train", "valid", "test")
LONGEST_NAME = 180  # bytes of a track's name: results are files named after it, with endings, and 255 are allowed


@dataclass(frozen=True)
class Part:
    """A file, or a span of it, of which a stem consists.

    Args:
        path: audio file.
        start, stop: span in seconds; None is the end of the file.
        sign: -1 for a part that is subtracted.
    """

    path: Path
    start: float = 0.0
    stop: float | None = None
    sign: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether the part is the file itself."""
        return not self.start and self.stop is None and self.sign == 1


@dataclass(frozen=True)
class Entry:
    """A track found on disk, not yet read.

    Args:
        split: train, valid or test.
        name: name of the track.
        path: folder or file of the track, for messages.
        files: stem -> the parts that are summed for it; a stem without parts is silence.
        is_loose: whether the track lacks sources, so that training mixes those it has with others'.
        is_cut: whether all stems end with the shortest part; otherwise stems that are built end with the longest.
        is_padded: whether all stems are built, and end with the longest part.
        problem: why the track cannot be used; empty when nothing is known against it.
        lacking: problem of a track that lacks sources, unless it is trained on.
        unused: names of its files that belong to no stem.
        weight: how often training draws the track, relative to others; a table of files may give it.
    """

    split: str
    name: str
    path: Path
    files: Mapping[str, tuple[Part, ...]] = field(default_factory=dict)
    is_loose: bool = False
    is_cut: bool = False
    is_padded: bool = False
    problem: str = ""
    lacking: str = ""
    unused: tuple[str, ...] = ()
    weight: float = 1.0

    def paths(self) -> Iterator[Path]:
        """Yield the path of every part of every stem."""
        return (part.path for parts in self.files.values() for part in parts)

    def stems(self, sources: Sequence[str]) -> dict[str, tuple[Part, ...]]:
        """Parts of every stem of the track: without a mixture of its own, that is the sum of the sources."""
        stems = {source: self.files[source] for source in sources if source in self.files}
        if self.is_loose:
            return stems
        mixture = self.files.get(MIXTURE, tuple(part for parts in stems.values() for part in parts))
        return {MIXTURE: mixture, **stems}

    def is_built(self, stem: str, sources: Sequence[str]) -> bool:
        """Whether a stem has to be built, because no file holds just it."""
        parts = self.stems(sources)[stem]
        return self.is_cut or self.is_padded or len(parts) != 1 or not parts[0].is_whole
