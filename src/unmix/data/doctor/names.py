"""Detectors of names and tags: what collides on disks that ignore case, and tags that contradict each other."""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from unmix.data.doctor import files
from unmix.data.doctor.finding import Finding
from unmix.data.layouts.entry import Entry
from unmix.data.tracks import Track


def collisions(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Find tracks, and files of a track, whose names differ only in case or in the encoding of accents."""
    for same in _alike((entry.split, entry.name) for entry in entries):
        names = [name for _, name in same]
        first = next(entry for entry in entries if (entry.split, entry.name) == same[0])
        yield _collision(names, names[-1], str(first.path), "rename one of the tracks")
    for entry in entries:
        if entry.path.is_dir():
            for same in _alike((entry.name, path.name) for path in sorted(entry.path.iterdir())):
                names = [name for _, name in same]
                yield _collision(names, entry.name, str(entry.path / names[-1]), "remove or rename one of the files")
    splits = defaultdict(list)
    for entry in entries:
        splits[folded(entry.name)].append(entry)
    for entries_of_name in splits.values():
        if len(subsets := {entry.split for entry in entries_of_name}) > 1:
            entry = entries_of_name[-1]
            what = f"a track of this name is in {' and '.join(sorted(subsets, reverse=True))}"
            remedy = "rename one of them, or remove it if it is the same song"
            yield Finding("warning", "names", entry.name, str(entry.path), what, remedy)


def tags(tracks: Iterable[Track]) -> Iterator[Finding]:
    """Find titles in the headers of files that differ within a track, or that are the same in two tracks."""
    owners: dict[tuple[str, ...], Track] = {}
    for track in tracks:
        titles = {stem: tuple(map(folded, files.read_tags(file.path))) for stem, file in track.files.items()}
        (usual, count), *_ = Counter(titles.values()).most_common(1)
        for stem, title in titles.items():
            if title != usual and title[1] and usual[1] and count > 1:
                what, remedy = f"{stem} is tagged as another song than the rest", "check that it belongs to the track"
                detail = f"{title[1]!r}, not {usual[1]!r}"
                yield Finding("warning", "tags", track.name, str(track.path(stem)), what, remedy, detail=detail)
        title = titles.get("mixture", ("", ""))
        if title[1] and (owner := owners.setdefault(title, track)) is not track:
            what, remedy = f"mixture has the title tag of {owner.name}", "check whether both are the same song"
            path = str(track.path("mixture"))
            yield Finding("warning", "tags", track.name, path, what, remedy, detail=f"{title[1]!r}")


def folded(name: str) -> str:
    """A name as file systems compare it that ignore case and the encoding of accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold()).rstrip(". ")


def _alike(names: Iterable[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    groups = defaultdict(list)
    for folder, name in names:
        groups[folder, folded(name)].append((folder, name))
    return [same for same in groups.values() if len(same) > 1]


def _collision(names: Sequence[str], track: str, file: str, remedy: str) -> Finding:
    what = f"{' and '.join(map(repr, names))} are one name on disks that ignore case"
    return Finding("warning", "names", track, file, what, remedy)
