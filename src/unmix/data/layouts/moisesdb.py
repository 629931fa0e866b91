"""MoisesDB: folders of tracks with a `data.json`, and below them one folder of recordings per stem."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from unmix.data.layouts.entry import Entry
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder

INDEX = "data.json"


class MoisesDB(Layout):
    """`<track>/<stem>/<recording>.wav`, listed in `<track>/data.json`; the recordings of a stem are summed."""

    name = "moisesdb"
    hint = "MoisesDB's folders: data=moisesdb fits"

    def shape(self, sources: Sequence[str]) -> str:
        return f"[moisesdb_v0.1/]<track>/{{{INDEX},<stem>/<recording>.wav}}"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        return Fit() if any(_folders(tree)) else Fit(0, f"a folder with {INDEX}")

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        """Find the tracks, named `<artist> - <song>`; raises ValueError when a `data.json` is not MoisesDB's."""
        entries = []
        for split, folder in _folders(tree):
            name, files = _read(folder)
            entries.append(naming.entry(split, name, folder.path, files, is_padded=True))
        return sorted(entries, key=lambda entry: (entry.split, entry.name))


def _folders(tree: Folder) -> Iterator[tuple[str, Folder]]:
    """Yield the folders of tracks, also one level down, where the download has them."""
    for split, part in tree.splits():
        for folder in (part, *part.folders.values()):
            for track in folder.folders.values():
                if INDEX in track.files:
                    yield split, track


def _read(folder: Folder) -> tuple[str, list[str]]:
    """Read the name of a track, and the paths of its recordings relative to its folder."""
    path = folder.path / INDEX
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        name = f"{content['artist']} - {content['song']}".replace("/", "_").replace("\0", "")
        files = [
            f"{stem['stemName']}/{track['id']}.{track['extension']}"
            for stem in content["stems"]
            for track in stem["tracks"]
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"data.root: {path} is not a description of MoisesDB ({error}): fetch it again") from error
    return name.lstrip("."), files
