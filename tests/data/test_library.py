"""A library creates its data set once, scans it once, and says what is missing."""

from pathlib import Path

import pytest

from unmix.data import library
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.splits import HoldOut
from unmix.data.layouts.tracks import Musdb
from unmix.data.library import Library
from unmix.data.tracks import SOURCES

VALIDATION = "Actions - One Minute Smile"


def make_library(root, tmp_path, layout="musdb", prepare=None):
    return Library(Path(root), layout, Naming(SOURCES), HoldOut((VALIDATION,)), 44100, tmp_path / "cache", prepare)


def test_a_data_set_is_created_before_it_is_scanned_and_only_once(tmp_path, write_tree):
    calls = []

    def prepare(root):
        calls.append(root)
        write_tree(root, ("A - B", VALIDATION), num_samples=500)

    for is_first in (True, False):
        data = make_library(tmp_path / "tree", tmp_path, prepare=prepare)
        assert data.is_prepared is not is_first
        data.make_ready()
        assert data.is_prepared
        assert [track.name for track in data.scan.splits.train] == ["A - B"]
    assert calls == [tmp_path / "tree"]


def test_files_are_scanned_once(tmp_path, musdb_tree, monkeypatch):
    calls, scan = [], library.scan
    monkeypatch.setattr(library, "scan", lambda *args, **options: (calls.append(args), scan(*args, **options))[1])
    data = make_library(musdb_tree, tmp_path)
    data.make_ready()
    assert data.scan is data.scan
    assert len(calls) == 1


def test_a_broken_data_set_is_not_made_ready(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ("A - B", VALIDATION), num_samples=500)
    (root / "train" / "A - B" / "bass.wav").unlink()
    with pytest.raises(ValueError, match=r"A - B lacks bass.wav"):
        make_library(root, tmp_path).make_ready()


def test_a_folder_that_cannot_be_read_is_named(tmp_path, musdb_tree, monkeypatch):
    def refuse(layout, tree, naming, cache):
        raise PermissionError(13, "Permission denied", str(tree.path))

    monkeypatch.setattr(Musdb, "find", refuse)
    with pytest.raises(OSError, match=r"data.root: .*musdb18hq cannot be read: Permission denied"):
        _ = make_library(musdb_tree, tmp_path).entries
