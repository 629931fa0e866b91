"""A data set on disk: created or decoded on first use, scanned once, its tracks sorted into splits."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from unmix.augmentation_settings import WEIGHTS
from unmix.data import built, download
from unmix.data.layouts import detection
from unmix.data.layouts.entry import Entry
from unmix.data.layouts.layout import Layout
from unmix.data.layouts.listing import Listing, repeated, unused
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.sources import mix_in_order
from unmix.data.layouts.splits import HoldOut
from unmix.data.layouts.tree import Folder, read_tree
from unmix.data.scan import Scan, memory_of, read_headers, scan, unfit
from unmix.data.tracks import AudioFile, Splits


@dataclass(frozen=True)
class Library:
    """A data set on disk; its files are read when a property first needs them.

    Args:
        root: folder of the data set, or a table of its files.
        layout_name: arrangement of the tracks there, one of `settings.LAYOUTS`.
        naming: which files belong to which source.
        hold_out: which training tracks are for validation; None leaves them as they are.
        sample_rate: Hz; required of every file.
        cache: folder for files derived from the data set: decoded and built stems, 16-bit copies, headers.
        prepare: creates the tree at `root` when it does not exist.
        archive: where the data set is published, if it is.
        may_download: whether `archive` is fetched when there is nothing at `root`.
        weights: column of a table of files with the weight of each track; None weighs all alike.
    """

    root: Path
    layout_name: str
    naming: Naming
    hold_out: HoldOut | None
    sample_rate: int
    cache: Path
    prepare: Callable[[Path], object] | None = None
    archive: download.Archive | None = None
    may_download: bool = False
    weights: str | None = None

    @property
    def to_fetch(self) -> download.Archive | None:
        """Archive that `fetch` downloads; None when there is none, it is not wanted, or something is at `root`."""
        return self.archive if self.may_download and download.is_absent(self.root) else None

    @property
    def is_missing(self) -> bool:
        """Whether `make` has to fetch or create the tree first."""
        return self.to_fetch is not None or (self.prepare is not None and not self.root.exists())

    @property
    def sources(self) -> tuple[str, ...]:
        """Stems of every track beside `mixture`."""
        return self.naming.sources

    @cached_property
    def _tree(self) -> Folder:
        with _readable():
            return read_tree(self.root)

    @cached_property
    def layout(self) -> Layout:
        """The layout that is named, or that fits; raises as `detection.choose` and `Layout.with_weights`."""
        layout = detection.choose(self.layout_name, self._tree, self.naming)
        return layout if self.weights is None else layout.with_weights(self.weights)

    @cached_property
    def listing(self) -> Listing:
        """Tracks of the tree, by split, with what is wrong and what should be known about them.

        Raises:
            ValueError: when there is none, with what was found and a suggestion.
        """
        naming = self.layout.naming(replace(self.naming))  # a copy, which has not matched anything yet
        with _readable():
            entries = self.layout.find(self._tree, naming, self.cache)
        naming.check_patterns()
        if not entries:
            offer = f"; {self.archive.offer}" if self.archive and download.is_absent(self.root) else ""
            raise ValueError(detection.why_empty(self._tree, self.layout, self.naming) + offer)
        errors: list[str] = []
        warnings: list[str] = []
        if self.hold_out is not None:
            entries, errors, warnings = self.hold_out.apply(entries, self.root)
        entries, left_over = mix_in_order(entries, self.sources)
        return Listing(entries, [*errors, *repeated(entries)], [*warnings, *left_over, *unused(entries)])

    @property
    def entries(self) -> list[Entry]:
        """Tracks found in the tree; raises as `listing`."""
        return self.listing.entries

    @property
    def is_prepared(self) -> bool:
        """Whether the data set can be scanned; if not, call `make` first."""
        return not self.is_missing and self.layout.is_decoded(self.entries) and not self._unbuilt()[0]

    @cached_property
    def scan(self) -> Scan:
        """Tracks without errors, by split, and the errors of the others."""
        splits, errors = scan(
            self.entries,
            sources=self.sources,
            sample_rate=self.sample_rate,
            cache=self.cache,
            memory=memory_of(self.root, self.cache),
        )
        return Scan(splits, (*errors, *self.listing.errors), tuple(self.listing.warnings))

    def fetch(self) -> None:
        """Download the data set if `to_fetch`; raises as `Archive.fetch` and `Layout.check_tools`."""
        if self.to_fetch is not None:
            self._check_tools()
            self.to_fetch.fetch(self.root)

    def _check_tools(self) -> None:
        if layout := detection.named(self.layout_name):
            layout.check_tools()

    def make(self) -> None:
        """Fetch or create the tree, decode its tracks and build their stems, unless that is done already.

        Raises:
            ValueError, OSError: as `fetch`, `Layout.decode`, `built.build` and `prepare`.
        """
        self.fetch()
        if self.prepare is not None and not self.root.exists():
            self.prepare(self.root)
        self.layout.decode(self.entries)
        unbuilt, files = self._unbuilt()
        if unbuilt:
            headers = {path: file.header for path, file in files.items() if isinstance(file, AudioFile)}
            built.build(unbuilt, self.sources, headers, self.cache)

    def _unbuilt(self) -> tuple[list[Entry], Mapping[Path, AudioFile | str]]:
        """Tracks that have to be built, without those that the scan refuses, and the headers of all their files."""
        unbuilt = built.missing(self.entries, self.sources, self.cache)
        if not unbuilt:
            return [], {}
        files = self.headers()
        return [entry for entry in unbuilt if not unfit(entry, files, self.sample_rate)], files

    def headers(self, entries: Sequence[Entry] | None = None) -> dict[Path, AudioFile | str]:
        """Read the headers of all files that tracks consist of, or the reasons why they cannot be used."""
        listed = self.entries if entries is None else entries
        paths = dict.fromkeys(path for entry in listed for path in entry.paths())
        return read_headers(paths, memory_of(self.root, self.cache))

    def check_files(self) -> None:
        """Check what is known before anything is decoded or built: names, splits, headers, and room for a download.

        Raises:
            ValueError: with the first error, and the number of others.
            OSError: as `Archive.check_room`.
        """
        if self.to_fetch is not None:
            self._check_tools()
            self.to_fetch.check_room(self.root)
        if self.is_missing:
            return
        if not self.layout.is_decoded(self.entries):
            self.layout.check_tools()
        problems = [entry.problem for entry in self.entries if entry.problem]
        if self.layout.is_decoded(self.entries):
            files = self.headers()
            problems += filter(None, (unfit(entry, files, self.sample_rate) for entry in self.entries))
        Scan(Splits(), (*problems, *self.listing.errors)).check()

    def make_ready(self) -> None:
        """Make the data set ready for training: `make`, check for errors, convert files that are not 16-bit WAV.

        Raises:
            ValueError, OSError: as `make`, `Scan.check` and `store.to_int16`.
        """
        from unmix.data.store import to_int16  # imports torch, which those that only list tracks do without

        self.make()
        self.scan.check()
        to_int16((*self.scan.splits.train, *self.scan.splits.valid), self.cache)


def from_settings(data: Mapping[str, Any], cache: Path, prepare: Callable[[Path], object] | None = None) -> Library:
    """Make the library that the settings of `data` describe; keys that are not there have their defaults.

    Raises:
        ValueError: when `root` is None without `download`, or settings contradict each other, naming `data.<key>`.
    """
    name, root, may_download = data.get("name", ""), data["root"], bool(data.get("download"))
    archive = download.published(name) if may_download else download.ARCHIVES.get(name)
    if root is None and not may_download:
        raise ValueError(
            "data.root: not given; set data.root=/path/to/musdb18hq or the environment variable MUSDB_PATH, "
            f"{'' if archive is None else f'{archive.offer}, '}or try data=demo, which makes its own music"
        )
    held_out, weights = data.get("validation_tracks"), data.get("track_weights")
    column = weights if isinstance(weights, str) and weights not in WEIGHTS else None
    if column is not None and (layout := detection.named(data["layout"])):
        layout.with_weights(column)  # refuses a word that is mistyped before the data set is there
    return Library(
        cache / name if root is None else Path(root).expanduser(),
        data["layout"],
        Naming(tuple(data["sources"]), data.get("rename") or {}, data.get("other"), data.get("absent")),
        HoldOut(None if held_out is None else tuple(held_out), data.get("validation_share")),
        data["sample_rate"],
        cache,
        prepare,
        archive,
        may_download,
        column,
    )


@contextmanager
def _readable() -> Iterator[None]:
    """Name the setting in errors of the system."""
    try:
        yield
    except OSError as error:
        raise OSError(f"data.root: {error.filename} cannot be read: {error.strerror}") from error
