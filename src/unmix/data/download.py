"""Published data sets: fetched from Zenodo, checked, unpacked, and under their name only when they are complete."""

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from unmix.data import unzip
from unmix.data.byte_progress import shown
from unmix.data.cache import locked
from unmix.errors import human_size
from unmix.files import remove, replacing

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """Zip file that holds a data set.

    Args:
        name: name of the data set, `data.name`.
        url: address of the file.
        num_bytes: size of the file.
        num_unpacked_bytes: about the size of its content; the exact one is known when it is there.
        checksum: `<algorithm>:<hex digits>`.
    """

    name: str
    url: str
    num_bytes: int
    num_unpacked_bytes: int
    checksum: str

    def __str__(self) -> str:
        licence = f"for non-commercial use only, see {self.url.partition('/files/')[0]}"
        return f"{self.name}, {human_size(self.num_bytes)} from {self.url} ({licence})"

    @property
    def offer(self) -> str:
        """What to type to fetch the data set."""
        return f"data={self.name} data.download=true fetches it ({human_size(self.num_bytes)})"

    def fetch(self, root: Path) -> None:
        """Download and unpack the data set to `root`, unless something is there.

        What has arrived stays beside `root` until the data set is complete; the next call goes on from there. Of
        several processes, one fetches and the others wait.

        Raises:
            OSError: when the file cannot be fetched, or a disk has no room for it.
            ValueError: when the file is not the published one, or holds what must not be unpacked.
        """
        root = root.resolve()
        folder = _folder_of_parts(root)
        waiting = f"another process is fetching {self.name} to {root}: waiting for it"
        with locked(root, key="data.root", instead="data.root", when_waiting=waiting):
            if not is_absent(root):
                return
            try:
                with replacing(root, is_durable=True) as partial:  # removes what a killed process has unpacked
                    self.check_room(root)
                    log.info("fetching %s to %s", self, root)
                    self._unpack(self._download(folder), partial)
                remove(folder)
            finally:
                if folder.exists() and not any(folder.iterdir()):
                    folder.rmdir()

    def check_room(self, root: Path) -> None:
        """Check that the data set can be fetched to `root`.

        Raises:
            OSError: when its folder cannot be written, is a mount point, or has too little room for the archive and
                its content, which are there together for a while.
        """
        root = root.resolve()
        if root.is_mount():
            raise OSError(f"data.root: {root} is a mount point, which cannot be replaced; take {root / self.name}")
        arrived = sum(file.stat().st_size for file in _folder_of_parts(root).glob("*"))
        _check_free(root, self.num_bytes - arrived + self.num_unpacked_bytes, f"fetching {self.name}")

    def _download(self, folder: Path) -> Path:
        """Download the archive, or the rest of it, to a folder; returns its path."""
        from unmix.data import transfer  # its libraries take a third of a second to import

        folder.mkdir(exist_ok=True)
        with shown("fetching", self.num_bytes) as progress:
            return transfer.download(self.url, folder / f"{self.name}.zip", self.num_bytes, self.checksum, progress)

    def _unpack(self, archive: Path, folder: Path) -> None:
        """Unpack the archive to a new folder; one that must not be unpacked, or cannot, is removed."""
        try:
            content = unzip.read(archive)
            _check_free(folder, content.num_bytes, f"unpacking {self.name}")
            with shown("unpacking", content.num_bytes) as progress:
                content.unpack(folder, progress.update)
        except ValueError as error:
            remove(archive)
            raise ValueError(f"data.download: {error}; removed it") from error


# Sizes and MD5 are those of Zenodo's records, SHA-256 is torchaudio's. 10 hours of five stereo stems in 16 bits at
# 44.1 kHz are 32 GB.
ARCHIVES = {
    archive.name: archive
    for archive in (
        Archive(
            "musdb18hq",
            "https://zenodo.org/records/3338373/files/musdb18hq.zip",
            22_656_664_047,
            32_000_000_000,
            "sha256:baac80d0483c61d74b2e5f3be75fa557eec52898339e6aa45c1fa48833c5d21d",
        ),
        Archive(
            "musdb18",
            "https://zenodo.org/records/1117372/files/musdb18.zip",
            4_684_228_845,
            4_700_000_000,
            "md5:af06762477334799bfc5abf237648207",
        ),
        Archive(
            "musdb18_preview",
            "https://zenodo.org/records/3270814/files/MUSDB18-7-STEMS.zip",
            147_209_385,
            150_000_000,
            "md5:dc2bdfac5b46ce742bd60009866758a5",
        ),
    )
}


def published(name: str) -> Archive:
    """Return the archive of a data set; raises ValueError when there is none, naming those that there are."""
    if name not in ARCHIVES:
        raise ValueError(f"data.download: got true, but data.name={name} cannot be fetched, only {', '.join(ARCHIVES)}")
    return ARCHIVES[name]


def is_absent(root: Path) -> bool:
    """Whether there is nothing at `root`, or an empty folder."""
    return not root.exists() or (root.is_dir() and not any(root.iterdir()))


def _folder_of_parts(root: Path) -> Path:
    """Folder beside `root`, thus on the same disk, for the archive."""
    return root.with_name(f".{root.name}.download")


def _check_free(root: Path, needed: int, purpose: str) -> None:
    nearest = next(folder for folder in root.parents if folder.exists())
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OSError(f"data.root: {root} cannot be made, as {nearest} cannot be written; name another folder")
    free = shutil.disk_usage(nearest).free
    if free < needed:
        raise OSError(
            f"data.root: {purpose} needs {human_size(needed)} in {nearest}, which has {human_size(free)} free; make "
            "room, or set data.root to a folder on another disk"
        )
