"""Write a data set of any layout as a MUSDB18-HQ tree, in one sample rate and number of channels."""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unmix.data import building, pcm
from unmix.data.building import Target, Written
from unmix.data.cache import cache_key, short_name
from unmix.data.layouts.entry import LONGEST_NAME, MIXTURE, SPLITS, Entry, Part
from unmix.data.manifest import Manifest, Record
from unmix.data.pcm import Header
from unmix.files import remove, replacing

KEPT = (".wav", ".flac")  # endings of files that are copied as they are
_CHUNK = 2**20  # bytes
_VERSION = "prepared 1"


@dataclass(frozen=True)
class Preparation:
    """Tracks to write, and how.

    Args:
        out: folder of the new tree.
        entries: tracks without problems.
        sources: names of the sources.
        headers: headers of all files.
        sample_rate: of the new files, Hz.
        num_channels: of the new files.
        about: entries of each record of the manifest: licence and attribution.
        origins: the file that each decoded one comes from.
    """

    out: Path
    entries: Sequence[Entry]
    sources: tuple[str, ...]
    headers: Mapping[Path, Header]
    sample_rate: int
    num_channels: int
    about: Mapping[str, Any]
    origins: Mapping[Path, Path]

    def unwritten(self, manifest: Manifest) -> list[Entry]:
        """Tracks that are not in the tree as they are asked for."""
        return [
            entry
            for entry in self.entries
            if not manifest.is_written(entry.split, folder_name(entry), self._key(entry))
        ]

    def foreign(self, manifest: Manifest) -> list[Path]:
        """Folders of tracks in `out` that are not in the manifest: somebody else's."""
        there = [path for split in SPLITS for path in sorted((self.out / split).glob("[!.]*"))]
        return [path for path in there if (path.parent.name, path.name) not in manifest.records]

    def num_bytes(self, entries: Sequence[Entry]) -> int:
        """Estimate of the bytes that tracks will take, at 16 bits."""
        return sum(
            len(entry.stems(self.sources)) * building.length(entry, self.headers, self.sample_rate) for entry in entries
        ) * (2 * self.num_channels)

    def write(self, entries: Sequence[Entry], manifest: Manifest) -> Iterator[Entry]:
        """Write tracks, several at a time, and yield each when it is complete.

        Raises:
            ValueError: when a file is damaged, or its channels cannot be converted.
            OSError: when a file cannot be read or written.
        """
        pool = ThreadPoolExecutor(os.cpu_count())
        try:
            jobs = {pool.submit(self._write, entry, manifest): entry for entry in entries}
            for job in as_completed(jobs):
                job.result()
                yield jobs[job]
        finally:
            pool.shutdown(cancel_futures=True)

    def _key(self, entry: Entry) -> str:
        stems = entry.stems(self.sources)
        rules = [(stem, [(part.start, part.stop, part.sign) for part in parts]) for stem, parts in stems.items()]
        files = [self.origins.get(part.path, part.path) for parts in stems.values() for part in parts]
        about = (_VERSION, rules, entry.is_cut, self.sample_rate, self.num_channels, sorted(self.about.items()))
        return cache_key(files, *about)

    def _write(self, entry: Entry, manifest: Manifest) -> None:
        folder = self.out / entry.split / folder_name(entry)
        remove(folder)  # of other files or settings
        with replacing(folder, is_durable=True) as partial:
            partial.mkdir(parents=True)
            num_samples = building.length(entry, self.headers, self.sample_rate)
            stems = entry.stems(self.sources)
            is_sum = MIXTURE in stems and MIXTURE not in entry.files
            given = {stem: parts for stem, parts in stems.items() if not is_sum or stem != MIXTURE}
            files = [self._write_stem(partial, stem, parts, num_samples) for stem, parts in given.items()]
            files += [self._write_sum([partial / file["file"] for file in files], num_samples)] if is_sum else []
            key = self._key(entry)
            record: Record = {"split": entry.split, "track": folder.name, "key": key, "files": files, **self.about}
            manifest.add(record if entry.name == folder.name else {**record, "name": entry.name})

    def _write_stem(self, folder: Path, stem: str, parts: Sequence[Part], num_samples: int) -> Record:
        """Write a stem; return its entry in the manifest."""
        steps = self._steps(parts, num_samples)
        if not steps and parts[0].path.suffix.lower() in KEPT:
            path = folder / f"{stem}{parts[0].path.suffix.lower()}"
            sha256, subtype = _copy(parts[0].path, path), building.subtype([parts[0].path])
        else:
            path = folder / f"{stem}.wav"
            kind = building.subtype(part.path for part in parts)
            target = Target(self.sample_rate, self.num_channels, num_samples, kind)
            written = building.write_stem(path, parts, self.headers, target)
            sha256, subtype = written.sha256, written.subtype
            steps += _as_float(written, kind)
        origin = [_origin(part, self.origins.get(part.path, part.path)) for part in parts]
        return {"file": path.name, "sha256": sha256, "format": subtype, "done": steps or ["copied"], "origin": origin}

    def _write_sum(self, sources: Sequence[Path], num_samples: int) -> Record:
        """Write the mixture as the exact sum of the sources that were written; return its entry in the manifest."""
        headers = {path: pcm.read_header(path) for path in sources}
        target = Target(self.sample_rate, self.num_channels, num_samples, building.subtype(sources))
        path = sources[0].with_name(f"{MIXTURE}.wav")
        written = building.write_stem(path, [Part(source) for source in sources], headers, target)
        steps = ["sum of the sources", *_as_float(written, target.subtype)]
        return {"file": path.name, "sha256": written.sha256, "format": written.subtype, "done": steps, "origin": []}

    def _steps(self, parts: Sequence[Part], num_samples: int) -> list[str]:
        """List what has to be done to files to make a stem; empty when a file is the stem."""
        headers = [self.headers[part.path] for part in parts]
        rates = sorted({header.sample_rate for header in headers} - {self.sample_rate})
        channels = sorted({header.num_channels for header in headers} - {self.num_channels})
        steps = ["decoded by FFmpeg"] if any(part.path in self.origins for part in parts) else []
        steps += [f"resampled from {rate} to {self.sample_rate} Hz" for rate in rates]
        steps += [f"{count} to {self.num_channels} channels" for count in channels]
        if not parts:
            return ["silence"]
        if any(part.sign < 0 for part in parts):
            steps.append("difference of files")
        elif len(parts) > 1:
            steps.append(f"sum of {len(parts)} files")
        if any(part.start or part.stop is not None for part in parts):
            steps.append("excerpt")
        length = max(self._length(part) for part in parts)
        if length != num_samples:
            steps.append(f"{'cut' if length > num_samples else 'padded'} from {length} to {num_samples} samples")
        return steps

    def _length(self, part: Part) -> int:
        start, stop = building.span(part, self.headers[part.path])
        return -(-(stop - start) * self.sample_rate // self.headers[part.path].sample_rate)


def folder_name(entry: Entry) -> str:
    """Name of the folder of a track: its name, or the beginning with a hash where results need shorter names."""
    name = f"{next(iter(entry.files))} {entry.name}" if entry.is_loose else entry.name
    encoded = name.encode(errors="surrogateescape")
    if len(encoded) <= LONGEST_NAME:
        return name
    return f"{short_name(name)}-{hashlib.sha256(encoded).hexdigest()[:12]}"


def _as_float(written: Written, subtype: str) -> list[str]:
    """Say that a file became float because it exceeds full scale, as a list; empty when it does not."""
    is_as_asked = written.subtype == subtype
    return [] if is_as_asked else [f"kept as float, as the peak is {written.peak:.3f} of full scale"]


def _origin(part: Part, path: Path) -> Record:
    origin: Record = {"path": str(path.resolve()), "bytes": path.stat().st_size}
    if part.start or part.stop is not None:
        origin |= {"start": part.start, "end": part.stop}
    return origin | ({"subtracted": True} if part.sign < 0 else {})


def _copy(path: Path, out: Path) -> str:
    """Copy a file; return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("rb") as source, out.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
    return digest.hexdigest()
