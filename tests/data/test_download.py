"""A published data set is fetched once, and there is all of it or nothing, whatever goes wrong."""

import errno
import logging
import os
import shutil
import signal
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from file_server import Answer, FileServer, published_at, zipped
from unmix.data import download, transfer
from unmix.data.datamodule import SeparationDataModule

FILES = {"train/A - B/mixture.wav": 400_000, "train/C/mixture.wav": 300_000, "test/D/mixture.wav": 200_000}
Usage = namedtuple("Usage", "free")


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "PAUSES", (0,))
    monkeypatch.setattr(transfer, "CHUNK", 10_000)
    generator = np.random.default_rng(0)
    for name, size in FILES.items():
        path = tmp_path / "original" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(generator.bytes(size))
    with FileServer(zipped(tmp_path / "original", "musdb18hq/")) as running:
        yield running


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data" / "musdb18hq"


def files(folder):
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def beside(root):
    """What is in the folder of a data set, without the lock file."""
    return sorted(path.name for path in root.parent.iterdir() if not path.name.endswith(".lock"))


def test_a_data_set_is_fetched_and_unpacked_and_its_archive_removed(server, root, caplog, tmp_path):
    archive = published_at(server)
    with caplog.at_level(logging.INFO):
        archive.fetch(root)
    assert files(root) == FILES
    assert (root / "train/C/mixture.wav").read_bytes() == (tmp_path / "original/train/C/mixture.wav").read_bytes()
    assert beside(root) == ["musdb18hq"]
    record = server.url.removesuffix("/files/data.zip")
    line = f"fetching musdb18hq, 901.0 kB from {server.url} (for non-commercial use only, see {record}) to {root}"
    assert line in caplog.messages


def test_what_is_there_is_left_alone(server, root):
    root.mkdir(parents=True)
    (root / "mine").touch()
    published_at(server).fetch(root)
    assert files(root) == {"mine": 0}
    assert server.asked == []


@pytest.mark.parametrize("is_link", [False, True])
def test_an_empty_folder_is_filled(server, root, is_link):
    target = root.with_name("elsewhere") if is_link else root
    target.mkdir(parents=True)
    if is_link:
        root.symlink_to(target)
    published_at(server).fetch(root)
    assert files(root) == FILES
    assert root.is_symlink() is is_link


def test_of_many_at_once_one_fetches(server, root):
    archive = published_at(server)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(archive.fetch, [root] * 4))
    assert server.asked == [None]
    assert files(root) == FILES


def test_a_broken_download_leaves_what_arrived_and_the_next_one_goes_on(server, root):
    server.answers = [Answer(breaks_after=300_000), Answer(status=503)]
    with pytest.raises(OSError, match=r"data.zip cannot be fetched .*; 300.0 kB of 901.0 kB are there"):
        published_at(server).fetch(root)
    assert beside(root) == [".musdb18hq.download"]
    published_at(server).fetch(root)
    assert server.asked[-1] == "bytes=300000-"
    assert beside(root) == ["musdb18hq"]


def test_a_download_that_brings_nothing_leaves_nothing(server, root):
    server.answers = [Answer(status=404)]
    with pytest.raises(OSError, match="404 Not Found"):
        published_at(server).fetch(root)
    assert beside(root) == []


def test_a_wrong_file_is_removed(server, root):
    archive = published_at(server)
    server.content = server.content[::-1]
    with pytest.raises(ValueError, match=r"^data.download: MD5 hash .* expected md5:.* but got .*; removed it"):
        archive.fetch(root)
    assert beside(root) == []


def test_an_archive_that_would_write_elsewhere_is_removed_before_anything_is_unpacked(server, root, tmp_path):
    server.content = zipped(tmp_path / "original", "train/../../")
    with pytest.raises(ValueError, match=r"^data.download: .*musdb18hq.zip: refused, as .* leaves the folder; removed"):
        published_at(server).fetch(root)
    assert beside(root) == []


def test_free_disk_is_checked_for_the_archive_and_its_content_before_anything_is_fetched(server, root, monkeypatch):
    archive = published_at(server, num_bytes=2_000_000_000, num_unpacked_bytes=3_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(4_900_000_000))
    message = rf"data.root: fetching musdb18hq needs 5.0 GB in {root.parent}, which has 4.9 GB free; make room, or set"
    with pytest.raises(OSError, match=message):
        archive.fetch(root)
    assert (server.asked, beside(root)) == ([], [])


def test_what_has_arrived_needs_no_room(server, root, monkeypatch):
    folder = root.with_name(".musdb18hq.download")
    folder.mkdir(parents=True)
    (folder / "musdb18hq.part").write_bytes(server.content[:800_000])
    needed = len(server.content) - 800_000 + 2 * len(server.content)
    for free, is_enough in ((needed - 1, False), (needed, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, free=free: Usage(free))
        if is_enough:
            published_at(server).check_room(root)
        else:
            with pytest.raises(OSError, match=r"needs 1.9 MB"):
                published_at(server).check_room(root)


def test_free_disk_is_checked_again_when_the_size_of_the_content_is_known(server, root, monkeypatch):
    archive = published_at(server, num_unpacked_bytes=0)
    free = [sum(FILES.values()) - 1, len(server.content)]  # from the last check to the first
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(free.pop()))
    with pytest.raises(OSError, match=r"data.root: unpacking musdb18hq needs 900.0 kB"):
        archive.fetch(root)
    assert beside(root) == [".musdb18hq.download"]


def test_a_disk_that_is_full_while_unpacking_costs_no_second_download(server, root, monkeypatch):
    with monkeypatch.context() as patch:

        def fill(source, target, size):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        patch.setattr(shutil, "copyfileobj", fill)
        message = (
            r"data.root: .*musdb18hq cannot be written \(No space left on device\); make room there, or set data.root"
        )
        with pytest.raises(OSError, match=message):
            published_at(server).fetch(root)
    assert beside(root) == [".musdb18hq.download"]
    published_at(server).fetch(root)
    assert files(root) == FILES
    assert server.asked == [None]


def test_a_mount_point_and_a_folder_that_cannot_be_written_are_refused(server, root, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_mount", lambda path: path == root)
        with pytest.raises(OSError, match=rf"data.root: {root} is a mount point, .* take {root}/musdb18hq"):
            published_at(server).check_room(root)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(OSError, match=rf"data.root: {root} cannot be made, as .* cannot be written; name another"):
        published_at(server).check_room(root)


def start_fetching(archive, root, before=""):
    """A process that fetches an archive."""
    script = (
        "import sys; from pathlib import Path; from unmix.data import download, unzip\n"
        f"{before}\n"
        f"download.Archive(*{astuple(archive)!r}).fetch(Path(sys.argv[1]))"
    )
    return subprocess.Popen([sys.executable, "-c", script, str(root)], stderr=subprocess.DEVNULL)


def test_a_process_killed_while_it_downloads_is_continued(server, root):
    from command_process import wait_until

    server.answers = [Answer(hangs_after=600_000)]
    process = start_fetching(published_at(server), root)
    part = root.with_name(".musdb18hq.download") / "musdb18hq.part"
    wait_until(lambda: part.exists() and part.stat().st_size > 0)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not root.exists()
    arrived = part.stat().st_size
    published_at(server).fetch(root)
    assert server.asked == [None, f"bytes={arrived}-"]
    assert (files(root), beside(root)) == (FILES, ["musdb18hq"])


def test_nothing_is_used_of_what_a_killed_process_has_unpacked(server, root):
    kill = "import os; unzip.shutil.copyfileobj = lambda packed, unpacked, size: os.kill(os.getpid(), 9)"
    process = start_fetching(published_at(server), root, kill)
    assert process.wait() == -signal.SIGKILL
    assert not root.exists()
    assert ".musdb18hq.partial" in beside(root)
    published_at(server).fetch(root)
    assert server.asked == [None]
    assert (files(root), beside(root)) == (FILES, ["musdb18hq"])


@pytest.mark.parametrize("archive", download.ARCHIVES.values(), ids=str)
def test_every_archive_names_a_record_its_size_and_a_checksum(archive):
    algorithm, digits = archive.checksum.split(":")
    assert len(digits) == {"md5": 32, "sha256": 64}[algorithm]
    assert archive.url.startswith("https://zenodo.org/records/")
    assert archive.num_bytes < archive.num_unpacked_bytes
    assert f"for non-commercial use only, see {archive.url.rpartition('/files/')[0]})" in str(archive)


def module(root=None, **options):
    return SeparationDataModule(root, **{"name": "musdb18hq", "download": True, **options})


def test_a_data_set_that_is_fetched_has_a_folder_in_the_cache_unless_one_is_given(tmp_path):
    assert module(cache=tmp_path).root == tmp_path / "musdb18hq"
    assert module(tmp_path / "mine", cache=tmp_path).root == tmp_path / "mine"


def test_a_data_module_fetches_what_is_missing_if_that_is_wanted(server, root, monkeypatch):
    monkeypatch.setitem(download.ARCHIVES, "musdb18hq", published_at(server))
    unwanted, wanted = module(root, download=False).library, module(root).library
    assert unwanted.to_fetch is None
    unwanted.fetch()
    assert server.asked == []
    assert wanted.to_fetch is not None
    assert not wanted.is_prepared
    wanted.fetch()
    assert wanted.to_fetch is None
    assert [entry.name for entry in wanted.entries] == ["A - B", "C", "D"]


def test_a_missing_data_set_is_refused_with_the_way_to_fetch_it(tmp_path):
    offer = r"data=musdb18hq data.download=true fetches it \(22.7 GB\)"
    with pytest.raises(ValueError, match=rf"data.root: .*/nowhere is not a folder; .*; {offer}$"):
        module(tmp_path / "nowhere", download=False).prepare_data()
    with pytest.raises(ValueError, match=rf"data.root: not given; .* {offer}, or try data=demo"):
        module(download=False)
    with pytest.raises(ValueError, match=r"MUSDB_PATH, or try data=demo"):
        module(name="mine", download=False)


def test_a_data_set_that_is_not_published_is_refused():
    with pytest.raises(
        ValueError, match=r"data.download: got true, but data.name=mine cannot be fetched, only musdb18hq"
    ):
        module(name="mine")
