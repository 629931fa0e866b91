"""A data set on disk: created or decoded on first use, scanned once, its tracks sorted into splits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unmix.data import layouts
from unmix.data.cache import build_once
from unmix.data.layouts import Entry, Layout
from unmix.data.scan import Scan, scan
from unmix.data.store import to_int16


@dataclass(frozen=True)
class Library:
    """A data set on disk; its files are read when a property first needs them.

    Args:
        root: folder with `train` and `test`.
        layout: arrangement of the tracks there.
        sources: stems of every track beside `mixture`.
        validation_tracks: names of the training tracks to hold out for validation.
        sample_rate: Hz; required of every file.
        cache: folder for files derived from the data set: decoded stems, 16-bit copies, headers.
        prepare: creates the tree at `root` when it does not exist.
    """

    root: Path
    layout: Layout
    sources: tuple[str, ...]
    validation_tracks: tuple[str, ...]
    sample_rate: int
    cache: Path
    prepare: Callable[[Path], object] | None = None

    @cached_property
    def entries(self) -> list[Entry]:
        """Tracks found in the tree.

        Raises:
            ValueError: when there is none, with what was found and a suggestion.
        """
        try:
            entries = self.layout.find(self.root)
            if not entries:
                raise ValueError(layouts.why_empty(self.root, self.layout, self.sources))
        except OSError as error:
            raise OSError(f"data.root: {error.filename} cannot be read: {error.strerror}") from error
        return entries

    @property
    def is_prepared(self) -> bool:
        """Whether the data set can be scanned; if not, call `make` first."""
        if self.prepare is not None and not self.root.exists():
            return False
        return self.layout.is_decoded(self.entries, self.cache)

    @cached_property
    def scan(self) -> Scan:
        """Result of `scan.scan`: the tracks without errors, and the errors of the others."""
        return scan(
            self.root,
            self.layout.decoded(self.entries, self.cache),
            cache=self.cache,
            validation_tracks=self.validation_tracks,
            sample_rate=self.sample_rate,
            sources=self.sources,
        )

    def make(self) -> None:
        """Create the tree and decode its tracks, unless that is done already.

        Raises:
            ValueError, OSError: as `Layout.decode` and `prepare`.
        """
        if self.prepare is not None and not self.root.exists():
            self.prepare(self.root)
        self.layout.decode(self.entries, self.cache)

    def make_ready(self) -> None:
        """Make the data set ready for training: `make`, check for errors, convert files that are not 16-bit WAV.

        Raises:
            ValueError, OSError: as `make`, `Scan.check` and `store.to_int16`.
        """
        self.make()
        self.scan.check()
        to_int16((*self.scan.splits.train, *self.scan.splits.valid), self.cache)


def download_preview(root: Path) -> None:
    """Download MUSDB18's 7-second previews (about 150 MB of `.stem.mp4` files) with musdb, and put them at `root`.

    Raises:
        OSError: when they cannot be downloaded or stored; no incomplete tree is left.
    """
    build_once(Path(root), _download)


def _download(folder: Path) -> None:
    import musdb  # at its import it looks for FFmpeg, which only this function needs

    try:
        musdb.DB(root=str(folder), download=True)
    except (OSError, RuntimeError) as error:
        raise OSError(f"data.root: musdb cannot fetch its sample data set ({error}); fetch it by hand") from error
