"""One folder per track: with files of any names, or with MUSDB18-HQ's."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from unmix.data.layouts.entry import MIXTURE, Entry
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder


class Tracks(Layout):
    """One folder of audio files per track, below folders of splits or without; the mixture may be missing."""

    name = "tracks"
    hint = "one folder per track"
    needs_mixture = False

    def shape(self, sources: Sequence[str]) -> str:
        return f"[{{train,valid,test}}/]<track>/{{{','.join(sources)}}}.wav"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        folders = [folder for _, folder in self._folders(tree)]
        if not folders:
            return Fit(0, "folders with audio files")
        if any(name in naming.sources for _, part in tree.splits() for name in part.folders):
            return Fit(0.1, "folders of tracks: they are named as sources")
        return self._fit_names(folders, naming)

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
            naming.entry(split, folder.path.name, folder.path, folder.audio, needs_mixture=self.needs_mixture)
            for split, folder in self._folders(tree)
        ]

    def _folders(self, tree: Folder) -> Iterator[tuple[str, Folder]]:
        """Yield the folders of tracks, with their splits."""
        for split, part in tree.splits():
            for folder in part.folders.values():
                if folder.audio:
                    yield split, folder


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
        folders = [folder for _, folder in self._folders(tree)]
        if any(stems <= {name.rpartition(".")[0] for name in folder.audio} for folder in folders):
            return Fit()
        return Fit(0.2 if folders else 0, f"a track with {', '.join(f'{stem}.wav' for stem in naming.stems)}")

    def _folders(self, tree: Folder) -> Iterator[tuple[str, Folder]]:
        return super()._folders(tree) if tree.has_splits() else iter(())
