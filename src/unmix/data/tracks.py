"""Tracks of a data set, their files, and the splits they are sorted into."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unmix.data.pcm import Header

# Default order of the axis `sources`, as in musdb.
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


@dataclass(frozen=True)
class AudioFile:
    """An audio file with its header, and its size in bytes."""

    path: Path
    header: Header
    num_bytes: int


@dataclass(frozen=True)
class Track:
    """A song: `mixture` and its sources, all of the same rate, length and number of channels.

    A training track may lack the mixture and some sources, see `is_partial`. `weight` is how often it is drawn,
    relative to others, if `data.track_weights` names a column.
    """

    name: str
    files: Mapping[str, AudioFile]
    weight: float = 1.0

    @property
    def _header(self) -> Header:
        return next(iter(self.files.values())).header

    @property
    def sample_rate(self) -> int:
        return self._header.sample_rate

    @property
    def num_samples(self) -> int:
        return self._header.num_samples

    @property
    def num_channels(self) -> int:
        return self._header.num_channels

    @property
    def bytes_on_disk(self) -> int:
        return sum(file.num_bytes for file in self.files.values())

    @property
    def folder(self) -> Path:
        return next(iter(self.files.values())).path.parent

    def path(self, stem: str) -> Path:
        """Path of `mixture` or of a source."""
        return self.files[stem].path

    def is_partial(self, sources: Iterable[str]) -> bool:
        """Whether the track lacks sources, so that it can only be mixed with others."""
        return any(source not in self.files for source in sources)


@dataclass(frozen=True)
class Splits:
    """The tracks of a data set; `train` holds no track of `valid`."""

    train: tuple[Track, ...] = ()
    valid: tuple[Track, ...] = ()
    test: tuple[Track, ...] = ()

    def fingerprint(self) -> str:
        """Hash of names, sample rates, lengths, file sizes and weights, 12 hex digits: copies have the same."""
        digest = hashlib.sha256()
        for split in ("train", "valid", "test"):
            for track in getattr(self, split):
                weight = () if track.weight == 1 else (track.weight,)
                row = (split, track.name, track.sample_rate, track.num_samples, track.bytes_on_disk, *weight)
                digest.update(repr(row).encode())
        return digest.hexdigest()[:12]
