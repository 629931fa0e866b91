"""Every layout finds its tracks; `.stem.mp4` files are decoded once to the samples that musdb reads."""

import dataclasses
import os
import shutil
import time

import numpy as np
import pytest
import stempeg

from unmix.data import pcm
from unmix.data.datamodule import SeparationDataModule
from unmix.data.layouts import LAYOUTS, Layout

STEMS = LAYOUTS["stems"]
TRAIN, VALID = "The Easton Ellises - Falcon 69", "Leaf - Summerghost"


@pytest.fixture
def root(tmp_path):
    for folder, name in (("train", TRAIN), ("train", VALID), ("test", "Ünïcödé 'n' (more)")):
        path = tmp_path / "musdb18" / folder / f"{name}.stem.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stempeg.example_stem_path(), path)
    return tmp_path / "musdb18"


def make_module(root, tmp_path, **changes):
    settings = {"name": "musdb18", "layout": "stems", "segment_seconds": 1.0}
    return SeparationDataModule(root, cache=tmp_path / "cache", **(settings | changes))


def test_decoded_samples_are_those_that_musdb_reads(root, tmp_path):
    module = make_module(root, tmp_path)
    assert not module.library.is_prepared
    module.prepare_data()
    assert module.library.is_prepared
    (track,) = module.splits.train
    assert (track.name, module.splits.valid[0].name) == (TRAIN, VALID)
    expected, rate = stempeg.read_stems(stempeg.example_stem_path(), ffmpeg_format="s16le", dtype=np.float64)
    assert track.sample_rate == rate
    for stem, samples in zip(STEMS.streams, expected, strict=True):
        np.testing.assert_array_equal(pcm.read_int16(track.path(stem)), np.rint(samples.T * 32768))
    assert next(iter(module.train_dataloader())).stems.shape == (16, 4, 2, 44100)


def test_a_second_look_decodes_only_what_is_new_or_changed(root, tmp_path):
    cache = tmp_path / "cache"
    STEMS.decode(STEMS.find(root), cache)
    before = {path: path.stat().st_mtime_ns for path in cache.glob("stems/*/*.wav")}
    assert len(before) == 15
    os.utime(root / "train" / f"{VALID}.stem.mp4", ns=(1, time.time_ns()))
    STEMS.decode(STEMS.find(root), cache)
    after = {path: path.stat().st_mtime_ns for path in cache.glob("stems/*/*.wav")}
    assert len(after) == 20
    assert {path: after[path] for path in before} == before


def test_a_tree_that_moved_is_not_decoded_again(root, tmp_path):
    STEMS.decode(STEMS.find(root), tmp_path / "cache")
    assert STEMS.is_decoded(STEMS.find(root.rename(tmp_path / "elsewhere")), tmp_path / "cache")


@pytest.mark.parametrize("content", [b"", b"no video", None])
def test_a_file_that_is_broken_is_named_and_leaves_nothing(root, tmp_path, content):
    path = root / "train" / f"{TRAIN}.stem.mp4"
    path.write_bytes(path.read_bytes()[:20000] if content is None else content)
    with pytest.raises(ValueError, match=r"data.root: .*Falcon 69.stem.mp4 cannot be decoded by FFmpeg: .*fetch"):
        make_module(root, tmp_path).prepare_data()
    assert not [one for one in (tmp_path / "cache" / "stems").iterdir() if TRAIN in one.name and one.is_dir()]


def test_a_file_with_one_stream_is_refused(root, tmp_path):
    import subprocess

    path = root / "train" / f"{TRAIN}.stem.mp4"
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", stempeg.example_stem_path(), "-map", "0:a:0", "-c", "copy"]
    subprocess.run([*command, str(path)], check=True)
    with pytest.raises(ValueError, match=r"Falcon 69.stem.mp4 cannot be decoded by FFmpeg"):
        make_module(root, tmp_path).prepare_data()


def test_without_ffmpeg_the_message_says_how_to_get_it(root, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"needs FFmpeg, which is not installed: run `make ffmpeg`"):
        make_module(root, tmp_path).prepare_data()


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_finds_the_tracks_of_a_tree_of_its_shape_and_no_others(tmp_path, name):
    shape = LAYOUTS[name].shape(["vocals", "rest"]).replace("{mixture,vocals,rest}", "mixture")
    for subset, track in (("train", "B"), ("train", "A"), ("test", "C"), ("valid", "D")):
        path = tmp_path / shape.replace("{train,test}", subset).replace("<track>", track)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "train" / "notes.txt").touch()
    (tmp_path / "train" / "empty").mkdir()
    found = LAYOUTS[name].find(tmp_path)
    assert [(entry.subset, entry.name) for entry in found] == [("train", "A"), ("train", "B"), ("test", "C")]
    assert all(other.find(tmp_path) == [] for other in LAYOUTS.values() if other.name != name)


def test_a_new_layout_is_one_class_in_one_list(tmp_path, write_tree, monkeypatch):
    """A layout of loose files that are linked into folders, which training then reads."""

    class Loose(Layout):
        name = "loose"
        hint = "loose files: data=loose fits"

        def shape(self, sources):
            return "{train,test}/<track>@<stem>.wav"

        def track_name(self, path):
            return path.name.removesuffix("@mixture.wav") if path.name.endswith("@mixture.wav") else None

        def decoded(self, entries, cache):
            return [dataclasses.replace(entry, path=cache / entry.name) for entry in entries]

        def decode(self, entries, cache):
            for entry in entries:
                (cache / entry.name).mkdir(parents=True, exist_ok=True)
                for file in entry.path.parent.glob(f"{entry.name}@*.wav"):
                    file.rename(cache / entry.name / file.name.partition("@")[2])

    monkeypatch.setitem(LAYOUTS, "loose", Loose())
    tree, root = write_tree(tmp_path / "tree", (TRAIN, VALID), num_samples=500), tmp_path / "loose"
    (root / "train").mkdir(parents=True)
    for file in tree.glob("train/*/*.wav"):
        file.rename(root / "train" / f"{file.parent.name}@{file.name}")
    with pytest.raises(ValueError, match=r"it holds loose files: data=loose fits"):
        make_module(root, tmp_path, layout="folders").prepare_data()
    module = make_module(root, tmp_path, layout="loose", segment_seconds=0.01)
    module.prepare_data()
    assert next(iter(module.train_dataloader())).stems.shape == (16, 4, 2, 441)
