"""The layouts by name, and the choice of the one that fits a tree."""

from collections.abc import Sequence
from pathlib import Path

from unmix.data.layouts.aligned import Aligned
from unmix.data.layouts.entry import SPLITS
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.moisesdb import MoisesDB
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.sources import Sources
from unmix.data.layouts.stem_files import StemFiles
from unmix.data.layouts.table import Table
from unmix.data.layouts.tracks import Musdb, Tracks
from unmix.data.layouts.tree import Folder, read_tree

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (Musdb(), StemFiles(), MoisesDB(), Table(), Sources(), Tracks(), Aligned())
}
AUTO = "auto"
ALIASES = {"folders": "musdb"}
# A layout counts only where none of these fits, of which it is the general case: all read the same there.
_UNLESS = {"tracks": ("musdb",), "aligned": ("musdb", "tracks")}


def named(name: str) -> Layout | None:
    """Return the layout with a name; None for `auto`."""
    return None if name == AUTO else LAYOUTS[ALIASES.get(name, name)]


def choose(name: str, tree: Folder, naming: Naming) -> Layout:
    """Return the layout with a name, or for `auto` the one that fits a tree.

    Raises:
        ValueError: when none fits, with the nearest and what it lacks, or when several do.
    """
    if layout := named(name):
        return layout
    fits = {layout.name: layout.fit(tree, layout.naming(naming)) for layout in LAYOUTS.values()}
    complete = [name for name, fit in fits.items() if fit.is_complete]
    complete = [name for name in complete if not set(_UNLESS.get(name, ())) & set(complete)]
    if complete and (whole := _whole(tree, naming)):
        raise ValueError(
            f"data.root: {tree.path} is one split of a data set; did you mean data.root={whole}? "
            f"data.layout={complete[0]} reads this folder alone"
        )
    if len(complete) == 1:
        return LAYOUTS[complete[0]]
    if complete:
        shapes = " and as ".join(f"{name} ({LAYOUTS[name].shape(naming.sources)})" for name in complete)
        raise ValueError(f"data.layout: {tree.path} can be read as {shapes}: choose, as data.layout={complete[0]}")
    raise ValueError(_no_fit(tree, fits, naming))


def _no_fit(tree: Folder, fits: dict[str, Fit], naming: Naming) -> str:
    if not tree.path.exists():
        return f"data.root: {tree.path} is not a folder"
    if not tree.path.is_dir():
        return f"data.root: {tree.path} is a file; a folder is needed, or a table of files ending in .csv or .parquet"
    if not any(folder.files for folder in tree.walk()):
        return f"data.root: {tree.path} holds no file: {tree.describe()} is there"
    if elsewhere := _elsewhere(tree, [LAYOUTS[name] for name in fits], naming):
        return f"data.root: no track in {tree.path} ({tree.describe()}); did you mean data.root={elsewhere}?"
    nearest = max(fits, key=lambda name: fits[name].score)
    if not fits[nearest].score:
        shapes = "; ".join(f"{name}: {LAYOUTS[name].shape(naming.sources)}" for name in fits)
        return f"data.root: {tree.path} holds {tree.describe()}, which no layout fits ({shapes})"
    return (
        f"data.root: {tree.path} holds {tree.describe()}; the nearest layout is {nearest} "
        f"({LAYOUTS[nearest].shape(naming.sources)}), which lacks {fits[nearest].missing}"
    )


def why_empty(tree: Folder, layout: Layout, naming: Naming) -> str:
    """Format the error for a tree without tracks: what was expected, what is there, and a suggestion."""
    expected = layout.shape(naming.sources)
    if not tree.path.is_dir():
        return f"data.root: {tree.path} is not a folder; a tree of this shape is needed: {expected}"
    suggestion = ""
    others = [other for other in LAYOUTS.values() if other is not layout and _fits(other, tree, naming)]
    if elsewhere := _elsewhere(tree, [layout], naming):
        suggestion = f"; did you mean data.root={elsewhere}?"
    elif others:
        suggestion = f"; it holds {others[0].hint}: data.layout={others[0].name} reads it"
    return f"data.root: no track in {tree.path}: looked for {expected}, found {tree.describe()}{suggestion}"


def _elsewhere(tree: Folder, layouts: Sequence[Layout], naming: Naming) -> Path | None:
    """Find a folder near a tree that one of the layouts fits."""
    inside = list(tree.folders.values())
    deeper = [below for folder in inside for below in folder.folders.values()]
    for folder in (*_above(tree), *inside, *deeper):
        if any(_fits(layout, folder, naming) for layout in layouts):
            return folder.path
    return None


def _whole(tree: Folder, naming: Naming) -> Path | None:
    """Find the data set of which a tree is only the folder of a split."""
    return next(
        (above.path for above in _above(tree) if any(_fits(layout, above, naming) for layout in LAYOUTS.values())), None
    )


def _above(tree: Folder) -> list[Folder]:
    """Folder above one of a split, as a list; empty for other folders."""
    return [read_tree(tree.path.parent)] if tree.path.name in SPLITS else []


def _fits(layout: Layout, tree: Folder, naming: Naming) -> bool:
    try:
        return layout.fit(tree, layout.naming(naming)).is_complete
    except ValueError:  # a folder that is almost one of a split; the result is only used for a suggestion
        return False
