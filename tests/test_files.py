"""Files appear under their name when they are complete, and nothing else is left behind."""

import os
import signal
import subprocess
import sys

import pytest

from unmix import files
from unmix.files import replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("options", [{}, {"is_shared": True}, {"is_durable": True}])
def test_a_file_keeps_its_old_content_until_the_new_one_is_complete(tmp_path, options):
    path = tmp_path / "file"
    path.write_text("old")
    with replacing(path, **options) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
        assert partial.parent == tmp_path
    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("is_folder", [False, True])
@pytest.mark.parametrize("is_shared", [False, True])
def test_an_error_leaves_the_old_content_and_no_temporary_file(tmp_path, is_folder, is_shared):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path, is_shared=is_shared) as partial:
        if is_folder:
            partial.mkdir()
            (partial / "half").touch()
        else:
            partial.write_text("half")
        1 / 0  # noqa: B018
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_folder_appears_with_all_its_files(tmp_path):
    with replacing(tmp_path / "folder", is_durable=True) as partial:
        (partial / "deep").mkdir(parents=True)
        (partial / "deep" / "file").write_text("whole")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "deep" / "file").read_text() == "whole"
    assert names(tmp_path) == ["folder"]


def test_what_a_killed_process_left_is_removed_by_the_next_writer(tmp_path):
    script = (
        "import os, sys; from pathlib import Path; from unmix.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as partial:\n    partial.mkdir(); os.kill(os.getpid(), 9)"
    )
    path = tmp_path / "file"
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -signal.SIGKILL
    assert names(tmp_path) == [".file.partial"]
    with replacing(path) as partial:
        partial.write_text("whole")
    assert names(tmp_path) == ["file"]


def test_writers_that_share_a_file_do_not_touch_each_others(tmp_path):
    path = tmp_path / "file"
    with replacing(path, is_shared=True) as first:
        first.write_text("first")
        with replacing(path, is_shared=True) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert names(tmp_path) == ["file"]


def test_the_replaced_file_is_kept_under_another_name(tmp_path):
    path, kept = tmp_path / "last", tmp_path / "previous"
    for text in ("1", "2", "3"):
        with replacing(path, keep_as=kept) as partial:
            partial.write_text(text)
    assert (path.read_text(), kept.read_text()) == ("3", "2")


def test_nothing_is_renamed_when_the_disk_does_not_take_the_content(tmp_path, monkeypatch):
    path, kept = tmp_path / "last", tmp_path / "previous"
    path.write_text("old")

    def fail(descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"), replacing(path, is_durable=True, keep_as=kept) as partial:
        partial.write_text("new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["last"]


def test_only_durable_content_is_flushed(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(files.os, "fsync", flushed.append)
    for is_durable in (False, True):
        with replacing(tmp_path / "file", is_durable=is_durable) as partial:
            partial.write_text("x")
        assert len(flushed) == is_durable


def test_removing_takes_files_and_folders_and_does_nothing_where_there_is_none(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").touch()
    for name in ("folder", "file", "nothing"):
        files.remove(tmp_path / name)
    assert names(tmp_path) == []
