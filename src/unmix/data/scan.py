"""Look at a data set before anything is trained on it: what is there, and all that would train a wrong model."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.data import headers, trees
from unmix.data.tracks import SOURCES, AudioFile, Splits, Track
from unmix.data.trees import AUDIO_ENDINGS, Entry

_MUSDB18_TRAINING_TRACKS = 100  # with the 14 of validation


@dataclass(frozen=True)
class Scan:
    """The tracks that are sound, and what is wrong with the others.

    Args:
        errors: each would train a wrong model, or none.
        warnings: each is worth knowing.
    """

    splits: Splits
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse a data set with errors.

        Raises:
            ValueError: with the first one, and how many more there are.
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
    """Read the headers of all files of all tracks.

    Args:
        root: the folder the user named.
        entries: its tracks, as folders of audio files.
        cache: prepared data; what the files hold is remembered there.
        validation_tracks: names of training tracks to validate on.
        sample_rate: what every file must have, in Hz.
        sources: stems that every track must have.
    Raises:
        OSError: when `cache` cannot be written.
    """
    stems = ("mixture", *sources)
    candidates = {entry: {stem: _candidates(entry.path, stem) for stem in stems} for entry in entries}
    paths = [path for found in candidates.values() for some in found.values() for path in some]
    files = headers.read(paths, headers.memory_of(root, cache))
    errors: list[str] = []
    tracks: dict[str, list[Track]] = {subset: [] for subset in trees.SUBSETS}
    for entry, found in candidates.items():
        problem = _missing(entry, found) or _broken(found, files, sample_rate)
        if problem:
            errors.append(problem)
            continue
        whole = {stem: files[path] for stem, (path,) in found.items()}
        tracks[entry.subset].append(Track(entry.name, whole))  # type: ignore[arg-type]
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


def _missing(entry: Entry, found: dict[str, list[Path]]) -> str | None:
    missing = [f"{stem}.wav" for stem, paths in found.items() if not paths]
    if missing:
        return (
            f"data.root: track {entry.path} lacks {', '.join(missing)}; a track holds "
            f"{', '.join(f'{stem}.wav' for stem in found)}: add the files or remove the folder"
        )
    for paths in found.values():
        if len(paths) > 1:
            return f"data.root: track {entry.path} holds {' and '.join(path.name for path in paths)}: remove one"
    return None


def _broken(found: dict[str, list[Path]], files: dict[Path, AudioFile | str], sample_rate: int) -> str | None:
    """The first thing wrong with the files of a track."""
    mixture = files[found["mixture"][0]]
    for (path,) in found.values():
        file = files[path]
        if isinstance(file, str):
            return f"data.root: {file}"
        if file.header.sample_rate != sample_rate:
            return (
                f"data.root: {path} has {file.header.sample_rate} Hz, data.sample_rate is {sample_rate}: "
                "resample the file or set data.sample_rate"
            )
        assert isinstance(mixture, AudioFile)  # it comes first
        ours, whole = file.header, mixture.header
        if (ours.num_samples, ours.num_channels) != (whole.num_samples, whole.num_channels):
            return (
                f"data.root: {path} has {ours.num_samples} samples in {ours.num_channels} channels, mixture "
                f"{whole.num_samples} in {whole.num_channels}: all files of a track must be equally long"
            )
    return None


def _other_channels(tracks: list[Track]) -> list[str]:
    """A batch cannot hold mono and stereo."""
    return [
        f"data.root: {track.folder} has {track.num_channels} channels, {tracks[0].folder} "
        f"{tracks[0].num_channels}: all tracks must have the same number"
        for track in tracks
        if track.num_channels != tracks[0].num_channels
    ]


def _validation_names(names: list[str], wanted: Iterable[str], root: Path) -> tuple[list[str], list[str]]:
    """Errors and warnings. A renamed validation folder would silently join training."""
    wanted = list(wanted)
    missing = [name for name in wanted if name not in names]
    if not names or not (missing or not wanted):
        return [], []
    train = root / "train"
    if len(missing) == len(wanted):
        example = f"'data.validation_tracks=[\"{names[0]}\"]'"
        return [
            f"data.validation_tracks: none of the {len(wanted)} names is a track of {train} "
            f"(which holds {names[0]!r}, ...): name some of them, e.g. {example}"
        ], []
    errors = []
    for name in missing:
        if near := difflib.get_close_matches(name, [one for one in names if one not in wanted], n=1, cutoff=0.8):
            errors.append(
                f"data.validation_tracks: {name!r} is not a track of {train}, but {near[0]!r} is, "
                "and would be trained on: rename it, or set data.validation_tracks"
            )
    lacking = f"{len(missing)} of the {len(wanted)} names are no track of {train} ({missing[0]!r}, ...)"
    if len(names) == _MUSDB18_TRAINING_TRACKS and not errors:
        errors.append(
            f"data.validation_tracks: {lacking}, though it holds MUSDB18's {len(names)}: they were renamed and would "
            "be trained on; rename them, or set data.validation_tracks"
        )
    return errors, [] if errors else [f"data.validation_tracks: {lacking}: validating on {len(wanted) - len(missing)}"]
