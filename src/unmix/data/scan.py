"""Scan a data set: read its headers, sort its tracks into splits, and list what would spoil a training."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from unmix.data import building, built, ffmpeg, pcm
from unmix.data.cache import rebuild
from unmix.data.layouts.entry import SPLITS, Entry, Part
from unmix.data.pcm import Header
from unmix.data.tracks import AudioFile, Splits, Track
from unmix.errors import counted

_THREADS, _CHUNK = 16, 32  # for slow or remote disks, files at a time
_VERSION = 1  # of the JSON file of remembered headers


@dataclass(frozen=True)
class Scan:
    """Result of a scan.

    Args:
        splits: tracks without errors.
        errors: problems that would make training fail or train a wrong model, one line each.
        warnings: findings that do not prevent training, one line each.
    """

    splits: Splits
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def check(self) -> None:
        """Check that the data set has no errors.

        Raises:
            ValueError: with the first error, and the number of others.
        """
        if self.errors:
            more = len(self.errors) - 1
            raise ValueError(self.errors[0] + (f" (and {more} more: python src/check.py lists them)" if more else ""))


def scan(
    entries: Sequence[Entry], *, sources: Sequence[str], sample_rate: int, cache: Path, memory: Path
) -> tuple[Splits, list[str]]:
    """Check all tracks by the headers of their files; return those without errors, and the errors of the others.

    Args:
        entries: tracks; what has to be decoded or built is there.
        sources: names of the sources.
        sample_rate: required of every file, in Hz.
        cache: folder of prepared data.
        memory: see `read_headers`.
    Raises:
        OSError: when `cache` cannot be written.
    """
    usable = [entry for entry in entries if not entry.problem]
    stems = {id(entry): _paths(entry, sources, cache) for entry in usable}
    listed = [path for by_stem in stems.values() for path in by_stem.values()]
    parts = [path for entry in usable for path in entry.paths()]
    files = read_headers(dict.fromkeys((*parts, *listed)), memory)
    problems: list[str] = []
    tracks: dict[str, list[Track]] = {split: [] for split in SPLITS}
    for entry in entries:
        problem = entry.problem or unfit(entry, files, sample_rate) or _unlike(stems[id(entry)], files)
        if problem:
            problems.append(problem)
            continue
        audio = {stem: files[path] for stem, path in stems[id(entry)].items()}
        tracks[entry.split].append(Track(entry.name, audio, entry.weight))  # type: ignore[arg-type]
    splits = Splits(**{split: tuple(same) for split, same in tracks.items()})
    return splits, [*problems, *_other_channels([*splits.train, *splits.valid, *splits.test]), *_copied(splits)]


def _paths(entry: Entry, sources: Sequence[str], cache: Path) -> dict[str, Path]:
    try:
        return built.paths(entry, sources, cache)
    except OSError:  # a file is missing: its header is, too, which is the error
        return {}


def broken(entry: Entry, files: Mapping[Path, AudioFile | str]) -> str | None:
    """Find the first file of a track that cannot be read, or is shorter than a span of it; or None."""
    for part in _parts(entry):
        file = files[part.path]
        if isinstance(file, str):
            return f"data.root: {file}"
        try:
            building.span(part, file.header)
        except ValueError as error:
            return f"data.root: {error}"
    return None


def unfit(entry: Entry, files: Mapping[Path, AudioFile | str], sample_rate: int) -> str | None:
    """Find the first file of a track that is `broken`, or differs in rate or channels; or None."""
    if problem := broken(entry, files):
        return problem
    first: AudioFile | None = None
    for part in _parts(entry):
        file = files[part.path]
        assert isinstance(file, AudioFile)  # not broken
        first = first or file
        ours, reference = file.header, first.header
        if ours.sample_rate != sample_rate:
            return (
                f"data.root: {part.path} has {ours.sample_rate} Hz, data.sample_rate is {sample_rate}: "
                "set data.sample_rate, or resample the files: src/prepare.py does"
            )
        if ours.num_channels != reference.num_channels:
            return (
                f"data.root: {part.path} has {_size(ours)}, {first.path.name} {reference.num_samples} in "
                f"{reference.num_channels}: all files of a track must have the same channels; src/prepare.py "
                "makes them so"
            )
    return None


def _parts(entry: Entry) -> Iterator[Part]:
    return (part for parts in entry.files.values() for part in parts)


def _unlike(stems: Mapping[str, Path], files: Mapping[Path, AudioFile | str]) -> str | None:
    """Find the first stem of a track that differs in length or channels from its first one, the mixture; or None."""
    reference: Header | None = None
    for path in stems.values():
        file = files[path]
        if isinstance(file, str):
            return f"data.root: {file}"
        ours, reference, name = file.header, reference or file.header, next(iter(stems))
        if (ours.num_samples, ours.num_channels) != (reference.num_samples, reference.num_channels):
            return (
                f"data.root: {path} has {_size(ours)}, {name} "
                f"{reference.num_samples} in {reference.num_channels}: all files of a track must be equally long; "
                "src/prepare.py makes them so"
            )
    return None


def _copied(splits: Splits) -> list[str]:
    """List an error for each track that is in two splits, under the same name and equally long."""
    split_of: dict[tuple[str, int], str] = {}
    errors = []
    for split in SPLITS:
        for track in getattr(splits, split):
            other = split_of.setdefault((track.name, track.num_samples), split)
            if other != split and not track.is_partial(["mixture"]):
                errors.append(
                    f"data.root: track {track.name!r} is in {other} and in {split}: remove it from one of them"
                )
    return errors


def _size(header: Header) -> str:
    return f"{counted(header.num_samples, 'sample')} in {counted(header.num_channels, 'channel')}"


def partial_errors(tracks: Sequence[Track], sources: Sequence[str], *, random_mix: bool) -> list[str]:
    """List the errors of training on tracks that lack sources."""
    partial = [track for track in tracks if track.is_partial(sources)]
    lacking = [source for source in sources if all(source not in track.files for track in tracks)]
    if partial and lacking:
        return [f"data.root: no training track has {', '.join(lacking)}: add files, or set data.sources"]
    if partial and not random_mix:
        return [
            f"data.random_mix: got false, but {len(partial)} of {counted(len(tracks), 'training track')} lack sources, "
            f"such as {partial[0].name!r}: set data.random_mix=true"
        ]
    return []


def _other_channels(tracks: list[Track]) -> list[str]:
    """List an error for each track whose number of channels differs from the first track's: a batch cannot mix them."""
    return [
        f"data.root: {track.folder} has {counted(track.num_channels, 'channel')}, {tracks[0].folder} "
        f"{tracks[0].num_channels}: all tracks must have the same number"
        for track in tracks
        if track.num_channels != tracks[0].num_channels
    ]


def read_headers(paths: Iterable[Path], memory: Path) -> dict[Path, AudioFile | str]:
    """Read the headers of files, using remembered ones where a file is unchanged.

    Args:
        paths: files, which need not exist.
        memory: JSON file of the headers that were read before; it is updated.
    Returns:
        For each path the file with its header, or the reason why it cannot be used.
    Raises:
        OSError: naming `paths.data` when `memory` cannot be written.
    """
    before = _load(memory)
    listed = list(paths)
    with ThreadPoolExecutor(_THREADS) as pool:
        chunks = [listed[first : first + _CHUNK] for first in range(0, len(listed), _CHUNK)]
        looked_up = pool.map(lambda chunk: [_look_up(path, before) for path in chunk], chunks)
        rows = dict(zip(listed, chain.from_iterable(looked_up), strict=True))
    now = {str(path): row for path, row in rows.items() if not isinstance(row, str)}
    if now != before:
        text = json.dumps({"version": _VERSION, "files": now})
        rebuild(memory, lambda partial: partial.write_text(text, encoding="utf-8"))
    return {path: row if isinstance(row, str) else _file(path, row) for path, row in rows.items()}


def memory_of(root: Path, cache: Path) -> Path:
    """Path of the JSON file that remembers the headers of a tree."""
    return cache / "scans" / f"{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:12]}.json"


def _look_up(path: Path, before: dict[str, list[Any]]) -> list[Any] | str:
    """Size, modification time and header of a file as a list, remembered or read; the reason if it is unusable."""
    try:
        stat = path.stat()
        known = before.get(str(path))
        if known is not None and known[:2] == [stat.st_size, stat.st_mtime_ns]:
            return known
        return [stat.st_size, stat.st_mtime_ns, *astuple(pcm.read_header(path))]
    except ValueError as error:
        is_unknown = isinstance(error, pcm.UnknownFormatError) and ffmpeg.is_needed(path)
        return f"{error}: src/prepare.py decodes it by FFmpeg" if is_unknown else str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def _file(path: Path, row: list[Any]) -> AudioFile:
    size, _, *header = row
    return AudioFile(path, Header(*header), size)


def _load(memory: Path) -> dict[str, list[Any]]:
    """Read the remembered headers: path -> row of `_look_up`; empty when the file is missing or damaged."""
    try:
        content = json.loads(memory.read_text(encoding="utf-8"))
        return content["files"] if content["version"] == _VERSION else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
