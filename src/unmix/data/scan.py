"""Scan a data set: read its headers, sort its tracks into splits, and list what would spoil a training."""

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from unmix.data import pcm
from unmix.data.cache import rebuild
from unmix.data.layouts import AUDIO_ENDINGS, SUBSETS, Entry
from unmix.data.pcm import Header
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES, AudioFile, Splits, Track
from unmix.errors import counted

_MUSDB18_TRAINING_TRACKS = 100  # including the 14 for validation
_THREADS = 16  # for slow or remote disks
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
    root: Path,
    entries: Sequence[Entry],
    *,
    cache: Path,
    validation_tracks: Sequence[str],
    sample_rate: int,
    sources: Sequence[str] = SOURCES,
) -> Scan:
    """Check all tracks by the headers of their files, and sort them into splits.

    Args:
        root: folder of the data set.
        entries: its tracks, as folders of audio files.
        cache: folder of prepared data, where headers are remembered.
        validation_tracks: names of training tracks to validate on.
        sample_rate: required of every file, in Hz.
        sources: stems that every track must have.
    Raises:
        OSError: when `cache` cannot be written.
    """
    stems = ("mixture", *sources)
    candidates = {entry: {stem: _candidates(entry.path, stem) for stem in stems} for entry in entries}
    paths = [path for by_stem in candidates.values() for same_stem in by_stem.values() for path in same_stem]
    files = read_headers(paths, _memory_of(root, cache))
    errors: list[str] = []
    tracks: dict[str, list[Track]] = {subset: [] for subset in SUBSETS}
    for entry, by_stem in candidates.items():
        problem = _missing(entry, by_stem) or _broken(by_stem, files, sample_rate)
        if problem:
            errors.append(problem)
            continue
        audio = {stem: files[path] for stem, (path,) in by_stem.items()}
        tracks[entry.subset].append(Track(entry.name, audio))  # type: ignore[arg-type]
    errors += _other_channels([track for subset in tracks.values() for track in subset])
    names = [entry.name for entry in entries if entry.subset == "train"]
    misnamed, warnings = _validation_names(names, validation_tracks, root)
    return Scan(_split(tracks, validation_tracks), (*errors, *misnamed), tuple(warnings))


def _split(tracks: dict[str, list[Track]], validation_tracks: Sequence[str]) -> Splits:
    return Splits(
        train=tuple(track for track in tracks["train"] if track.name not in validation_tracks),
        valid=tuple(track for track in tracks["train"] if track.name in validation_tracks),
        test=tuple(tracks["test"]),
    )


def _candidates(folder: Path, stem: str) -> list[Path]:
    return [path for ending in AUDIO_ENDINGS if (path := folder / f"{stem}{ending}").is_file()]


def _missing(entry: Entry, by_stem: dict[str, list[Path]]) -> str | None:
    missing = [f"{stem}.wav" for stem, paths in by_stem.items() if not paths]
    if missing:
        return (
            f"data.root: track {entry.path} lacks {', '.join(missing)}; a track holds "
            f"{', '.join(f'{stem}.wav' for stem in by_stem)}: add the files or remove the folder"
        )
    for paths in by_stem.values():
        if len(paths) > 1:
            return f"data.root: track {entry.path} holds {' and '.join(path.name for path in paths)}: remove one"
    return None


def _broken(by_stem: dict[str, list[Path]], files: dict[Path, AudioFile | str], sample_rate: int) -> str | None:
    """Find the first error in the files of a track (unreadable, wrong sample rate, unequal length), or None."""
    mixture = files[by_stem["mixture"][0]]
    for (path,) in by_stem.values():
        file = files[path]
        if isinstance(file, str):
            return f"data.root: {file}"
        if file.header.sample_rate != sample_rate:
            return (
                f"data.root: {path} has {file.header.sample_rate} Hz, data.sample_rate is {sample_rate}: "
                "resample the file or set data.sample_rate"
            )
        assert isinstance(mixture, AudioFile)  # checked first
        ours, reference = file.header, mixture.header
        if (ours.num_samples, ours.num_channels) != (reference.num_samples, reference.num_channels):
            return (
                f"data.root: {path} has {ours.num_samples} samples in {counted(ours.num_channels, 'channel')}, mixture "
                f"{reference.num_samples} in {reference.num_channels}: all files of a track must be equally long"
            )
    return None


def _other_channels(tracks: list[Track]) -> list[str]:
    """List an error for each track whose number of channels differs from the first track's: a batch cannot mix them."""
    return [
        f"data.root: {track.folder} has {counted(track.num_channels, 'channel')}, {tracks[0].folder} "
        f"{tracks[0].num_channels}: all tracks must have the same number"
        for track in tracks
        if track.num_channels != tracks[0].num_channels
    ]


def _validation_names(names: list[str], wanted: Iterable[str], root: Path) -> tuple[list[str], list[str]]:
    """Check that the validation tracks exist, as a renamed one would be trained on; return errors and warnings.

    Args:
        names: names of all training tracks found.
        wanted: names of the tracks to hold out.
        root: folder of the data set, for messages.
    """
    wanted = list(wanted)
    missing = [name for name in wanted if name not in names]
    if not names or not (missing or not wanted):
        return [], []
    train = root / "train"
    if len(missing) == len(wanted):
        is_default = wanted == list(MUSDB_VALIDATION_TRACKS)
        given = "MUSDB18's 14, the default" if is_default else ", ".join(map(repr, wanted)) or "no name"
        example = f"'data.validation_tracks=[\"{names[0]}\"]'"
        return [
            f"data.validation_tracks: got {given}, none of which is a track of {train} "
            f"(which holds {names[0]!r}, ...): name some of them, e.g. {example}"
        ], []
    errors = []
    for name in missing:
        if near := difflib.get_close_matches(name, [one for one in names if one not in wanted], n=1, cutoff=0.8):
            errors.append(
                f"data.validation_tracks: {name!r} is not a track of {train}, but {near[0]!r} is, "
                "and would be trained on: rename it, or set data.validation_tracks"
            )
    names_are = counted(len(wanted), "name is", "names are")
    lacking = f"{len(missing)} of the {names_are} no track of {train} ({missing[0]!r}, ...)"
    if len(names) == _MUSDB18_TRAINING_TRACKS and not errors:
        errors.append(
            f"data.validation_tracks: {lacking}, though it holds MUSDB18's {len(names)}: they were renamed and would "
            "be trained on; rename them, or set data.validation_tracks"
        )
    return errors, [] if errors else [f"data.validation_tracks: {lacking}: validating on {len(wanted) - len(missing)}"]


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
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = dict(zip(paths, pool.map(lambda path: _look_up(path, before), paths), strict=True))
    now = {str(path): row for path, row in rows.items() if not isinstance(row, str)}
    if now != before:
        text = json.dumps({"version": _VERSION, "files": now})
        rebuild(memory, lambda partial: partial.write_text(text, encoding="utf-8"))
    return {path: row if isinstance(row, str) else _file(path, row) for path, row in rows.items()}


def _memory_of(root: Path, cache: Path) -> Path:
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
        return str(error)
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
