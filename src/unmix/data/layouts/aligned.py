"""Pairs of a mixture and one clean source, as in speech enhancement; the second source is the rest."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from unmix.data.layouts.entry import MIXTURE, Entry
from unmix.data.layouts.layout import Fit, Layout
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.tree import Folder

INPUTS = (MIXTURE, "input", "noisy")
OUTPUTS = ("output", "clean")


class Aligned(Layout):
    """Pairs in folders of tracks, `<track>/{noisy,clean}.wav`, or by equal names in two folders, `{noisy,clean}/`."""

    name = "aligned"
    hint = "pairs of input and output"

    def naming(self, naming: Naming) -> Naming:
        first, rest = (*naming.sources, "", "")[:2]
        usual = {MIXTURE: _literal(INPUTS), first: _literal((first, *OUTPUTS)), rest: _literal((rest,))}
        return replace(naming, usual=usual, other="difference")

    def shape(self, sources: Sequence[str]) -> str:
        pair = f"{{input,{sources[0]}}}"
        return f"[{{train,valid,test}}/]<track>/{pair}.wav or {pair}/<track>.wav"

    def fit(self, tree: Folder, naming: Naming) -> Fit:
        if len(naming.sources) != 2:
            return Fit(0, "two data.sources, as [speech,noise]: the output, and the rest of the input")
        present = {stem for pair in _pairs(tree, naming) for name in pair.files for stem, _ in naming.matcher(name)}
        lacking = [stem for stem in naming.stems[:2] if stem not in present]
        names = " and ".join(f"{stem} (named {', '.join(naming.patterns(stem)[::2])})" for stem in lacking)
        return Fit(0.3 * (2 - len(lacking)), f"files for {names}") if lacking else Fit()

    def find(self, tree: Folder, naming: Naming, cache: Path) -> list[Entry]:
        if len(naming.sources) != 2:
            raise ValueError(
                f"data.sources: got {', '.join(naming.sources)}; data.layout=aligned needs two, as [speech,noise]: "
                "the output, and the rest of the input"
            )
        return [
            naming.entry(pair.split, pair.name, pair.folder, pair.files, needs_mixture=True, path=pair.path)
            for pair in _pairs(tree, naming)
        ]


@dataclass(frozen=True)
class _Pair:
    """Files of a track, as paths relative to a folder."""

    split: str
    name: str
    folder: Path
    files: list[str]
    path: Path


def _literal(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(pattern for name in names if name for pattern in (name, f"{name}/*"))


def _pairs(tree: Folder, naming: Naming) -> Iterator[_Pair]:
    for split, part in tree.splits():
        files = [f"{name}/{file}" for name, folder in part.folders.items() for file in folder.audio]
        if all(naming.matcher(file)[:1] and "/" in naming.matcher(file)[0][1] for file in files):  # two folders
            by_name: dict[str, list[str]] = defaultdict(list)
            for file in files:
                by_name[file.partition("/")[2].rpartition(".")[0]].append(file)
            for name in sorted(by_name):
                yield _Pair(split, name, part.path, by_name[name], part.path / by_name[name][0])
            continue
        for name, folder in part.folders.items():
            if folder.audio:
                yield _Pair(split, name, folder.path, folder.audio, folder.path)
