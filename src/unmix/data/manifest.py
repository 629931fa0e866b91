"""Manifest of a prepared tree: one JSON line per track, with digests, origins, and what was done to every file."""

import json
import os
import threading
from pathlib import Path
from typing import Any

from unmix.files import replacing

NAME = "manifest.jsonl"
Record = dict[str, Any]  # split, track, key, files, licence, attribution


class Manifest:
    """The manifest of a folder; a track counts as written when it is in the manifest and its folder is there.

    A track is entered before its folder gets its name, so that a folder with a name is always in the manifest.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / NAME
        self._lock = threading.Lock()
        self.records = _read(self.path)

    def is_written(self, split: str, track: str, key: str) -> bool:
        """Whether a track was written from the same files with the same settings."""
        record = self.records.get((split, track))
        return record is not None and record["key"] == key and (self.folder / split / track).is_dir()

    def add(self, record: Record) -> None:
        """Enter a track, on disk when this returns; any thread may call it."""
        with self._lock:
            self.records[record["split"], record["track"]] = record
            with self.path.open("ab") as file:
                file.write(_line(record))
                file.flush()
                os.fsync(file.fileno())

    def rewrite(self) -> None:
        """Write all tracks anew, sorted, each once: without what a killed command left, a part of a line included."""
        lines = [_line(self.records[key]) for key in sorted(self.records)]
        with replacing(self.path, is_durable=True) as partial:
            partial.write_bytes(b"".join(lines))


def _line(record: Record) -> bytes:
    return (json.dumps(record, ensure_ascii=True, sort_keys=True) + "\n").encode()


def _read(path: Path) -> dict[tuple[str, str], Record]:
    """Read the records of a manifest by split and track, the last of each; a line that is not complete is none."""
    records: dict[tuple[str, str], Record] = {}
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
            records[record["split"], record["track"]] = record
        except (ValueError, KeyError, TypeError):  # the command was killed while it wrote the line
            continue
    return records
