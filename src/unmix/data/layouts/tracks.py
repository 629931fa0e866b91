"""One folder per track: with files of any names, or with MUSDB18-HQ's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.data.layouts.entry import MIXTURE, Entry
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder


class Tracks(Layout):
    """One folder of audio files per track, below folders of splits or without; the mixture may be missing.

    Tracks may lie in folders of artists and albums. They are then named after these, too, as two albums may hold songs
    of the same name.
    """

    name = "tracks"
    hint = "one folder per track"
    needs_mixture = False

    def shape(self, sources: Sequence[str]) -> str:
        return f"[{{train,valid,test}}/]<track>/{{{','.join(sources)}}}.wav"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        tracks = list(self._tracks(tree))
        if not tracks:
            return Fit(0, "folders with audio files")
        if any(name in naming.sources for track in tracks for name in track.path_below):
            return Fit(0.1, "folders of tracks: they are named as sources")
        return self._fit_names([track.folder for track in tracks], naming)

    def _fit_names(self, folders: Sequence[Folder], naming: Naming) -> Fit:
        """Tell whether some track has files of every source; what is absent from all is missing."""
        named = {stem for folder in folders for name in folder.audio for stem, _ in naming.matcher(name)}
        optional = {naming.sources[-1]} if naming.other else set()
        missing = [source for source in naming.sources if source not in named | optional]
        if not missing:
            return Fit()
        example = max(folders, key=lambda folder: len(folder.audio))
        files = ", ".join(map(repr, example.audio[:4]))
        names = ", ".join(missing)
        return Fit(
            0.3 + 0.5 * (1 - len(missing) / len(naming.sources)),
            f"files for {names} ({example.path.name!r} holds {files}): name them as data.rename.{missing[0]}=[...]",
        )

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        return [
            naming.entry(
                track.split, track.name, track.folder.path, track.folder.audio, needs_mixture=self.needs_mixture
            )
            for track in self._tracks(tree)
        ]

    def _tracks(self, tree: Folder) -> Iterator["_Track"]:
        """Yield the folders of tracks."""
        is_too_high = not tree.has_splits() and len(tree.folders) == 1  # data.root holds just the data set
        for split, part in tree.splits():
            yield from _below(split, part, (), is_deep=not is_too_high)


@dataclass(frozen=True)
class _Track:
    """Folder of a track, with the names of the folders that lead to it from that of the split."""

    split: str
    path_below: tuple[str, ...]
    folder: Folder

    @property
    def name(self) -> str:
        return " - ".join(self.path_below)


def _below(split: str, folder: Folder, above: tuple[str, ...], *, is_deep: bool) -> Iterator[_Track]:
    """Yield the tracks in a folder: folders with audio files, also deeper ones in those that hold none themselves."""
    for name, inside in folder.folders.items():
        if inside.audio:
            yield _Track(split, (*above, name), inside)
        elif is_deep and not inside.has_splits():  # which belong to another data set
            yield from _below(split, inside, (*above, name), is_deep=True)


class Musdb(Tracks):
    """Folders of MUSDB18-HQ's shape: splits, and files of fixed names with a mixture."""

    name = "musdb"
    hint = "folders of audio files: data=musdb18hq or data=own fits"
    needs_mixture = True

    def shape(self, sources: Sequence[str]) -> str:
        return f"{{train,test}}/<track>/{{{','.join((MIXTURE, *sources))}}}.wav"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        if not tree.has_splits():
            return Fit(0, "folders train and test")
        stems = set(naming.stems)
        folders = [track.folder for track in self._tracks(tree)]
        if any(stems <= {name.rpartition(".")[0] for name in folder.audio} for folder in folders):
            return Fit()
        return Fit(0.2 if folders else 0, f"a track with {', '.join(f'{stem}.wav' for stem in naming.stems)}")

    def _tracks(self, tree: Folder) -> Iterator[_Track]:
        return super()._tracks(tree) if tree.has_splits() else iter(())
