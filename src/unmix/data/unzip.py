"""Unpack zip files: every entry is checked before the first byte is written."""

import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from unmix.settings import SUBSETS

JUNK = ("__MACOSX", ".DS_Store")  # which macOS adds to zip files and folders


@dataclass(frozen=True)
class Content:
    """Files of a zip file whose entries have been checked.

    Args:
        file: the zip file.
        entries: path below the folder to unpack to -> entry of the zip file.
    """

    file: Path
    entries: dict[PurePosixPath, ZipInfo]

    @property
    def num_bytes(self) -> int:
        """Size of the unpacked files."""
        return sum(entry.file_size for entry in self.entries.values())

    def unpack(self, folder: Path, on_size: Callable[[int], object]) -> None:
        """Write all files below a new folder.

        Args:
            folder: folder, which must not exist.
            on_size: called after every file, with the number of bytes that are written.
        Raises:
            ValueError: when an entry is damaged.
            OSError: when a file cannot be written.
        """
        folder.mkdir()
        num_bytes = 0
        with ZipFile(self.file) as archive:
            for path, entry in self.entries.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with archive.open(entry) as packed, target.open("xb") as unpacked:
                        shutil.copyfileobj(packed, unpacked, 2**20)
                except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
                    raise ValueError(f"{self.file}: {entry.filename!r} cannot be unpacked: {error}") from error
                num_bytes += entry.file_size
                on_size(num_bytes)


def read(file: Path) -> Content:
    """Read and check the list of entries of a zip file; a folder that holds all of them is left out of their paths.

    Raises:
        ValueError: when it is not a zip file, or has an entry that is absolute, leaves the folder, is a link or
            encrypted, or has the path of another one.
    """
    try:
        with ZipFile(file) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        raise ValueError(f"{file}: not a zip file: {error}") from error
    for entry in entries:
        if problem := _problem(entry):
            raise ValueError(f"{file}: refused, as its entry {entry.filename!r} {problem}")
    files = {entry: PurePosixPath(entry.filename) for entry in entries if not entry.is_dir()}
    files = {entry: path for entry, path in files.items() if not set(path.parts) & set(JUNK)}
    _check_distinct(file, list(files.values()))
    first = {path.parts[0] for path in files.values()}
    is_nested = len(first) == 1 and not first & set(SUBSETS) and all(len(path.parts) > 1 for path in files.values())
    return Content(file, {PurePosixPath(*path.parts[is_nested:]): entry for entry, path in files.items()})


def _problem(entry: ZipInfo) -> str | None:
    """Say why an entry must not be unpacked; None when it may."""
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if name.startswith("/") or name[1:2] == ":":
        return "is absolute"
    if ".." in name.split("/"):
        return "leaves the folder"
    if "\\" in name or "\0" in name or not PurePosixPath(name).parts:
        return "has a name that is not a path"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is neither a file nor a folder"
    return "is encrypted" if entry.flag_bits & 1 else None


def _check_distinct(file: Path, paths: Sequence[PurePosixPath]) -> None:
    """Check that no path is twice there, also where upper case does not count, or is the folder of another one."""
    seen: dict[str, PurePosixPath] = {}
    for path in paths:
        if (key := _key(path)) in seen:
            raise ValueError(f"{file}: refused, as two of its entries are {str(path)!r}")
        seen[key] = path
    for path in paths:
        if any(_key(parent) in seen for parent in path.parents):
            raise ValueError(f"{file}: refused, as a file is the folder of its entry {str(path)!r}")


def _key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFC", str(path)).casefold()
