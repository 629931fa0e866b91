"""What every layout can do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from unmix import errors
from unmix.augmentation_settings import ALLOWED_WEIGHTS
from unmix.data.layouts.entry import Entry
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder


@dataclass(frozen=True)
class Fit:
    """How well a layout fits a tree.

    Args:
        score: from 0, nothing fits, to 1, the layout fits.
        missing: what is missing, for messages.
    """

    score: float = 1.0
    missing: str = ""

    @property
    def is_complete(self) -> bool:
        return self.score >= 1


class Layout(ABC):
    """Arrangement of tracks on disk.

    Attributes:
        name: value of `data.layout`.
        hint: what a tree of this layout holds, for error messages.
    """

    name: str
    hint: str

    def naming(self, naming: Naming) -> Naming:
        """Rules for names, with the usual names of this layout."""
        return naming

    @abstractmethod
    def shape(self, sources: Sequence[str]) -> str:
        """Pattern of the paths in a tree of this layout, for error messages."""

    @abstractmethod
    def fit(self, tree: Folder, naming: Naming) -> Fit:
        """Tell whether a tree is of this layout, by the names in it."""

    @abstractmethod
    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        """Find the tracks of a tree, sorted by name in each split.

        Args:
            tree: listing of `data.root`.
            naming: which files belong to which source.
            cache: folder of decoded files.
        Raises:
            ValueError: when the tree is not of this layout in a way that no single track shows.
        """

    def with_weights(self, column: str) -> Self:
        """Copy that reads the weight of each track from a column; only a table of files has columns.

        Raises:
            ValueError: in every other layout.
        """
        raise ValueError(errors.unknown("data.track_weights", column, ALLOWED_WEIGHTS))

    def check_tools(self) -> None:  # noqa: B027 - most layouts need no program
        """Check that the programs that `decode` runs are installed."""

    def is_decoded(self, entries: Sequence[Entry]) -> bool:
        """Whether all tracks are decoded in the cache, or need no decoding."""
        return True

    def decode(self, entries: Sequence[Entry]) -> None:  # noqa: B027 - most layouts have nothing to decode
        """Decode those tracks into the cache that are not there yet."""
