"""One folder per source with loose files, which belong to no track."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from unmix.data.layouts.entry import MIXTURE, Entry, Part
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder


class Sources(Layout):
    """Layout with one folder of loose files per source.

    Training mixes files of different sources at random. For validation and test, the n-th files of all folders are
    mixed.
    """

    name = "sources"
    hint = "one folder per source"

    def shape(self, sources: Sequence[str]) -> str:
        return f"[{{train,valid,test}}/]{{{','.join(sources)}}}/*.wav"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        parts = [part for _, part in tree.splits()]
        present = {source for part in parts for source, folder in _folders(part, naming) if folder.audio}
        missing = [source for source in naming.sources if source not in present]
        if not missing:
            return Fit()
        return Fit(0.8 * (1 - len(missing) / len(naming.sources)), f"folders of audio files for {', '.join(missing)}")

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        return [
            loose(split, source, folder.path / file, Part(folder.path / file))
            for split, part in tree.splits()
            for source, folder in _folders(part, naming)
            for file in folder.audio
        ]


def loose(split: str, source: str, path: Path, part: Part) -> Entry:
    """Make the entry of a file that belongs to no track."""
    return Entry(split, path.stem, path, {source: (part,)}, is_loose=True)


def _folders(part: Folder, naming: Naming) -> Iterator[tuple[str, Folder]]:
    """Yield the folders named as a source, or as one of its patterns in `rename`."""
    for name, folder in part.folders.items():
        for source in dict.fromkeys(stem for stem, _ in naming.matcher(name)):
            if source != MIXTURE:
                yield source, folder


def mix_in_order(entries: Sequence[Entry], sources: Sequence[str]) -> tuple[list[Entry], list[str]]:
    """Join the loose files of `valid` and `test` to tracks: the first of every source, the second, and so on.

    Returns:
        All entries, and a warning for each split in which files are left over, or a source has none.
    """
    kept, rest, warnings = [], [], []
    for entry in entries:
        if entry.split == "train" or not entry.is_loose:
            kept.append(entry)
        elif entry.lacking:  # a track that was held out for validation
            kept.append(replace(entry, problem=entry.problem or entry.lacking))
        else:
            rest.append(entry)
    for split, group in groupby(sorted(rest, key=lambda entry: entry.split), key=lambda entry: entry.split):
        by_source: dict[str, list[Entry]] = {source: [] for source in sources}
        for entry in group:
            by_source[next(iter(entry.files))].append(entry)
        counts = {source: len(files) for source, files in by_source.items()}
        if len(set(counts.values())) > 1:
            numbers = ", ".join(f"{count} of {source}" for source, count in counts.items())
            warnings.append(f"data.root: {split} has {numbers}: files without partners are left out")
        for number, files in enumerate(zip(*by_source.values(), strict=False), start=1):
            joined = {source: parts for entry in files for source, parts in entry.files.items()}
            kept.append(Entry(split, f"{split} mix {number:04d}", files[0].path.parent.parent, joined, is_cut=True))
    return kept, warnings
