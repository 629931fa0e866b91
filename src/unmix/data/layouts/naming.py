"""Which files of a track belong to which source, decided by their names."""

import fnmatch
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from unmix import errors
from unmix.data.layouts.entry import MIXTURE, Entry, Part

_LISTED = 4  # names of files in a message


@dataclass(frozen=True)
class Naming:
    """Rules that map the names of files to stems.

    Args:
        sources: names of the sources.
        rename: stem -> patterns of the names of its files, which are summed; others are named as the stem.
        other: `rest` makes the last source the sum of all files that no other has, or without any the mixture minus
            the other sources; `difference` is always the latter.
        absent: `silence` takes silence for a source that a track lacks, `skip` trains on the sources that are there.
        usual: stem -> patterns that a layout has in place of the stem's name.
    """

    sources: tuple[str, ...]
    rename: Mapping[str, Sequence[str]] = field(default_factory=dict)
    other: str | None = None
    absent: str | None = None
    usual: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.rename:
            if key not in self.stems:
                raise ValueError(errors.unknown(f"data.rename.{key}", key, self.stems))

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the mixture and the sources."""
        return (MIXTURE, *self.sources)

    @cached_property
    def matcher(self) -> "Matcher":
        """Matcher of all stems."""
        names = {stem: _literally(stem) for stem in self.stems}
        return Matcher({**names, **self.usual, **self.rename})

    def patterns(self, stem: str) -> Sequence[str]:
        """Patterns of a stem as they are shown to a user."""
        return self.rename.get(stem) or self.usual.get(stem) or (stem,)

    def check_patterns(self) -> None:
        """Refuse patterns of `rename` that have matched no file so far.

        Raises:
            ValueError: naming the pattern, and some of the files.
        """
        for stem, patterns in self.rename.items():
            for pattern in patterns:
                if (stem, pattern) not in self.matcher.used and self.matcher.seen:
                    raise ValueError(
                        f"data.rename.{stem}: {pattern!r} matches none of the files, {_listed(self.matcher.seen)}"
                    )

    def entry(self, split: str, name: str, folder: Path, names: Sequence[str], **options: Any) -> Entry:
        """Make the entry of a track of the files `names`, paths relative to `folder`.

        Args:
            split, name, folder: see `Entry`.
            names: paths of audio files.
            options: see `completed`; `path` is the place to name in messages, if not the folder.
        """
        by_stem, unused, problem = self._sorted(names)
        files = {stem: tuple(Part(folder / name) for name in same) for stem, same in by_stem.items() if same}
        path = options.pop("path", folder)
        entry = self.completed(split, name, path, files, names, **options)
        if problem:
            problem = f"data.root: track {path} {problem}"
        return replace(entry, problem=problem or entry.problem, unused=tuple(unused))

    def completed(
        self,
        split: str,
        name: str,
        path: Path,
        files: Mapping[str, tuple[Part, ...]],
        names: Sequence[str],
        *,
        needs_mixture: bool = False,
        is_padded: bool = False,
    ) -> Entry:
        """Make the entry of a track whose files are sorted into stems: add the rest, and silence, as configured.

        Args:
            split, name, path, is_padded: see `Entry`.
            files: parts of the stems that have any.
            names: names of all files, for messages.
            needs_mixture: whether a track without a mixture is refused.
        """
        files = dict(files)
        if self.other and self.sources[-1] not in files and MIXTURE in files:
            others = [part for source in self.sources for part in files.get(source, ())]
            files[self.sources[-1]] = (*files[MIXTURE], *(replace(part, sign=-1) for part in others))
        missing = [source for source in self.sources if source not in files]
        if self.absent == "silence" and len(missing) < len(self.sources):
            files |= dict.fromkeys(missing, ())
            missing = []
        is_partial = self.absent == "skip" and split == "train" and 0 < len(missing) < len(self.sources)
        if not is_partial and needs_mixture and MIXTURE not in files:
            missing.insert(0, MIXTURE)
        problem = f"data.root: track {path} {self._lacking(missing, names)}" if missing else ""
        if is_partial:
            return Entry(split, name, path, files, is_loose=True, is_padded=is_padded, lacking=problem)
        return Entry(split, name, path, files, is_padded=is_padded, problem=problem)

    def _sorted(self, names: Sequence[str]) -> tuple[dict[str, list[str]], list[str], str]:
        """Sort files into stems; return them with those that fit no stem, and the first problem."""
        by_stem: dict[str, list[str]] = {stem: [] for stem in self.stems}
        unused, problem = [], ""
        for name in names:
            matches = self.matcher(name)
            if len({stem for stem, _ in matches}) > 1:
                pairs = " and ".join(f"{stem} ({pattern!r})" for stem, pattern in dict(matches).items())
                problem = problem or f"holds {name}, which is {pairs}: make data.rename distinct"
            elif matches:
                by_stem[matches[0][0]].append(name)
            else:
                unused.append(name)
        if self.other == "rest":
            by_stem[self.sources[-1]] += unused
            unused = []
        for stem, same in by_stem.items():
            problem = problem or _twice(same)
            if stem == MIXTURE and len(same) > 1 and not problem:
                problem = f"holds {' and '.join(same)}, both the mixture: remove one, or set data.rename.mixture"
        return by_stem, unused, problem

    def _lacking(self, missing: Sequence[str], names: Sequence[str]) -> str:
        files = f"lacks {', '.join(f'{stem}.wav' for stem in missing)}"
        if not self.rename and any(self.matcher(name) for name in names):
            return (
                f"{files}; a track holds {', '.join(f'{stem}.wav' for stem in self.stems)}: "
                "add the files, remove the folder, or set data.absent"
            )
        return (
            f"lacks {', '.join(missing)} ({_listed(names)}): name the files, as data.rename.{missing[0]}=[...], "
            "or set data.absent=silence"
        )


class Matcher:
    """Matches relative paths to stems; remembers the answers, as most tracks hold the same names.

    Attributes:
        used: pairs of stem and pattern that have matched.
        seen: first names that were asked for.
    """

    def __init__(self, patterns: Mapping[str, Sequence[str]]) -> None:
        self._rules = [
            (stem, pattern, re.compile(fnmatch.translate(_plain(pattern))), "/" in pattern)
            for stem, some in patterns.items()
            for pattern in some
        ]
        self._answers: dict[str, list[tuple[str, str]]] = {}
        self.used: set[tuple[str, str]] = set()

    @property
    def seen(self) -> list[str]:
        return list(self._answers)

    def __call__(self, name: str) -> list[tuple[str, str]]:
        """Return the stems that a path matches, each with the pattern."""
        if name not in self._answers:
            path = _plain(name)
            last = path.rpartition("/")[2]
            whole, short = (path, last), (str(PurePosixPath(path).with_suffix("")), PurePosixPath(last).stem)
            self._answers[name] = [
                (stem, pattern)
                for stem, pattern, rule, is_path in self._rules
                if rule.match(whole[not is_path]) or rule.match(short[not is_path])
            ]
            self.used.update(self._answers[name])
        return self._answers[name]


def _plain(text: str) -> str:
    """Text without differences of case, and of composed and decomposed accents, which macOS writes."""
    return unicodedata.normalize("NFC", text).casefold()


def _literally(stem: str) -> tuple[str, str]:
    """Patterns of a stem's own name: a file, or all files in a folder."""
    escaped = re.sub(r"([*?[])", r"[\1]", stem)
    return (escaped, f"{escaped}/*")


def _twice(names: Sequence[str]) -> str:
    """Say that a recording is there in two formats; empty when none is."""
    by_stem: dict[str, str] = {}
    for name in names:
        bare = name.rpartition(".")[0]
        if bare in by_stem:
            return f"holds {' and '.join(sorted((by_stem[bare], name), reverse=True))}: remove one"
        by_stem[bare] = name
    return ""


def _listed(names: Sequence[str]) -> str:
    more = ", ..." if len(names) > _LISTED else ""
    return f"such as {', '.join(map(repr, names[:_LISTED]))}{more}" if names else "of which there are none"
