"""Find the tracks of a data set, sort them into splits, and refuse what would train a wrong model."""

import difflib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmix.data import pcm

# Names are keys; where they must stand in a row (an axis `sources`), they stand in musdb's order.
SOURCES = ("vocals", "drums", "bass", "other")

# The 14 training tracks that musdb 0.4 holds out (musdb/configs/mus.yaml).
MUSDB_VALIDATION_TRACKS = (
    "Actions - One Minute Smile",
    "Clara Berry And Wooldog - Waltz For My Victims",
    "Johnny Lokke - Promises & Lies",
    "Patrick Talbot - A Reason To Leave",
    "Triviul - Angelsaint",
    "Alexander Ross - Goodbye Bolero",
    "Fergessen - Nos Palpitants",
    "Leaf - Summerghost",
    "Skelpolu - Human Mistakes",
    "Young Griffo - Pennies",
    "ANiMAL - Rockshow",
    "James May - On The Line",
    "Meaxic - Take A Step",
    "Traffic Experiment - Sirens",
)


def expected_tree(sources: Sequence[str]) -> str:
    """The shape of a tree, as messages say it."""
    return f"{{train,test}}/<track>/{{{','.join(('mixture', *sources))}}}.wav"


@dataclass(frozen=True)
class Track:
    """One song: a folder of equally long WAV files."""

    folder: Path
    sample_rate: int
    num_samples: int
    bytes_on_disk: int
    num_channels: int = 2

    @property
    def name(self) -> str:
        return self.folder.name

    def path(self, stem: str) -> Path:
        """File of `mixture` or of a source."""
        return self.folder / f"{stem}.wav"


@dataclass(frozen=True)
class Splits:
    """The tracks of a data set; `train` holds no track of `valid`."""

    train: tuple[Track, ...]
    valid: tuple[Track, ...]
    test: tuple[Track, ...]

    def fingerprint(self) -> str:
        """Twelve hex digits over names, rates, lengths and sizes: other data, other digits."""
        digest = hashlib.sha256()
        for split in ("train", "valid", "test"):
            for track in getattr(self, split):
                row = (split, track.name, track.sample_rate, track.num_samples, track.bytes_on_disk)
                digest.update(repr(row).encode())
        return digest.hexdigest()[:12]


def scan_musdb18hq(
    root: Path, *, validation_tracks: Sequence[str], sample_rate: int, sources: Sequence[str] = SOURCES
) -> Splits:
    """Find the tracks of a MUSDB18-HQ tree and read the headers of their files.

    Args:
        root: folder that holds `train` and `test`.
        validation_tracks: names of folders in `train` to validate on.
        sample_rate: what every file must have, in Hz.
        sources: stems that every track must have.
    Raises:
        FileNotFoundError: when `root` is no such tree, or a track lacks a stem.
        ValueError: on a wrong sample rate, unequal lengths, a truncated or unreadable file, or no validation track.
    """
    folders = {subset: _track_folders(root / subset) for subset in ("train", "test")}
    if not any(folders.values()):
        raise FileNotFoundError(_not_a_tree(root, sources))
    train, test = (
        [_read_track(folder, sample_rate, sources) for folder in folders[subset]] for subset in ("train", "test")
    )
    _check_channels([*train, *test])
    _check_validation_names([track.name for track in train], validation_tracks, root)
    return Splits(
        train=tuple(track for track in train if track.name not in validation_tracks),
        valid=tuple(track for track in train if track.name in validation_tracks),
        test=tuple(test),
    )


def _track_folders(subset: Path) -> list[Path]:
    """Folders with any WAV file in them, sorted by name: the order of a directory differs between machines."""
    return sorted(folder for folder in subset.glob("*/") if any(folder.glob("*.wav")))


def _read_track(folder: Path, sample_rate: int, sources: Sequence[str]) -> Track:
    paths = [folder / f"{stem}.wav" for stem in ("mixture", *sources)]
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise FileNotFoundError(
            f"data.root: track {folder} lacks {', '.join(missing)}; a track holds mixture.wav, "
            f"{', '.join(f'{source}.wav' for source in sources)}: add the files or remove the folder"
        )
    headers = [pcm.read_header(path) for path in paths]
    for path, header in zip(paths, headers, strict=True):
        if header.sample_rate != sample_rate:
            raise ValueError(
                f"data.root: {path} has {header.sample_rate} Hz, data.sample_rate is {sample_rate}: "
                "resample the file or set data.sample_rate"
            )
        if header.num_samples != headers[0].num_samples or header.num_channels != headers[0].num_channels:
            raise ValueError(
                f"data.root: {path} has {header.num_samples} samples in {header.num_channels} channels, mixture.wav "
                f"{headers[0].num_samples} in {headers[0].num_channels}: all files of a track must be equally long"
            )
    size = sum(path.stat().st_size for path in paths)
    return Track(folder, sample_rate, headers[0].num_samples, size, headers[0].num_channels)


def _check_channels(tracks: list[Track]) -> None:
    """A batch cannot hold mono and stereo."""
    for track in tracks:
        if track.num_channels != tracks[0].num_channels:
            raise ValueError(
                f"data.root: {track.folder} has {track.num_channels} channels, {tracks[0].folder} "
                f"{tracks[0].num_channels}: all tracks must have the same number"
            )


def _check_validation_names(names: list[str], wanted: Iterable[str], root: Path) -> None:
    """A renamed validation folder would silently join training: refuse any that has a near match, or if all lack."""
    if not names:
        return
    missing = [name for name in wanted if name not in names]
    if len(missing) == len(list(wanted)):
        raise ValueError(
            f"data.validation_tracks: none of the {len(missing)} names is a folder of {root / 'train'} "
            f"(which holds {names[0]!r}, ...): name some of them, e.g. 'data.validation_tracks=[\"{names[0]}\"]'"
        )
    for name in missing:
        if near := difflib.get_close_matches(name, names, n=1, cutoff=0.8):
            raise ValueError(
                f"data.validation_tracks: {name!r} is not a folder of {root / 'train'}, but {near[0]!r} is, "
                "and would be trained on: rename the folder, or set data.validation_tracks"
            )


def _not_a_tree(root: Path, sources: Sequence[str]) -> str:
    """What was looked for, and what lies there instead."""
    if not root.is_dir():
        return f"data.root: {root} is not a folder; a MUSDB18-HQ tree is needed: {expected_tree(sources)}"
    entries = sorted(entry.name for entry in root.iterdir())
    found = ", ".join(entries[:6]) + (f", ... ({len(entries)} entries)" if len(entries) > 6 else "")
    looked_for = expected_tree(sources)
    return f"data.root: no MUSDB18-HQ tree in {root}: looked for {looked_for}, found {found or 'an empty folder'}"
