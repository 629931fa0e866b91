"""A data set on disk: made or decoded when it has to be, looked at once, its tracks sorted into splits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unmix import errors
from unmix.data import conversion, stems, trees
from unmix.data.scan import Scan, scan
from unmix.data.trees import LAYOUTS, Entry


@dataclass(frozen=True)
class Library:
    """Where the tracks are, and how they are meant.

    Args:
        root: folder with `train` and `test`.
        layout: `folders` of audio files as MUSDB18-HQ, or `stems`, MUSDB18's `.stem.mp4`.
        sources: stems of every track beside `mixture`.
        validation_tracks: names of training tracks to hold out.
        sample_rate: Hz, of every file.
        cache: folder for what is made of the files: decoded stems, 16-bit copies, notes of scans.
        prepare: makes the tree at `root` when it is not there.
    Raises:
        ValueError: on an unknown layout.
    """

    root: Path
    layout: str
    sources: tuple[str, ...]
    validation_tracks: tuple[str, ...]
    sample_rate: int
    cache: Path
    prepare: Callable[[Path], object] | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ValueError(errors.unknown("data.layout", self.layout, LAYOUTS))

    @cached_property
    def entries(self) -> list[Entry]:
        """The tracks as they were found.

        Raises:
            ValueError: when there is none, with what is there instead and what may have been meant.
        """
        try:
            entries = trees.find(self.root, self.layout)
            if not entries:
                raise ValueError(trees.why_empty(self.root, self.layout, self.sources))
        except OSError as error:
            raise OSError(f"data.root: {error.filename} cannot be read: {error.strerror}") from error
        return entries

    @property
    def is_prepared(self) -> bool:
        """Whether `scan` can look at audio files, or `make` has something to do first."""
        if self.prepare is not None and not self.root.exists():
            return False
        return self.layout == "folders" or stems.is_decoded(self.entries, self.cache)

    @cached_property
    def scan(self) -> Scan:
        """The tracks that are sound, and all that is wrong with the others."""
        entries = stems.decoded(self.entries, self.cache) if self.layout == "stems" else self.entries
        return scan(
            self.root,
            entries,
            cache=self.cache,
            validation_tracks=self.validation_tracks,
            sample_rate=self.sample_rate,
            sources=self.sources,
        )

    def make(self) -> None:
        """Make the tree, or decode its stems, where that is still to be done.

        Raises:
            ValueError, OSError: as `stems.decode` and `prepare`.
        """
        if self.prepare is not None and not self.root.exists():
            self.prepare(self.root)
        if self.layout == "stems":
            stems.decode(self.entries, self.cache)

    def make_ready(self) -> None:
        """`make`, then refuse what is broken, then write what cannot be read as it lies as 16-bit WAV.

        Raises:
            ValueError, OSError: as `make`, `Scan.check` and `conversion.to_int16`.
        """
        self.make()
        self.scan.check()
        conversion.to_int16((*self.scan.splits.train, *self.scan.splits.valid), self.cache)
