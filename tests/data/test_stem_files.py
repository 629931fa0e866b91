"""`.stem.mp4` files are decoded once to the samples that musdb reads."""

import os
import shutil
import time

import numpy as np
import pytest
import stempeg

from unmix.data import pcm
from unmix.data.datamodule import SeparationDataModule
from unmix.data.layouts.naming import Naming
from unmix.data.layouts.stem_files import StemFiles
from unmix.data.layouts.tree import read_tree
from unmix.data.tracks import SOURCES

STEMS = StemFiles()
TRAIN, VALID = "The Easton Ellises - Falcon 69", "Leaf - Summerghost"


@pytest.fixture
def root(tmp_path):
    for folder, name in (("train", TRAIN), ("train", VALID), ("test", "Ünïcödé 'n' (more)")):
        path = tmp_path / "musdb18" / folder / f"{name}.stem.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(stempeg.example_stem_path(), path)
    return tmp_path / "musdb18"


def find(root, cache):
    return STEMS.find(read_tree(root), Naming(SOURCES), cache)


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
    STEMS.decode(find(root, cache))
    before = {path: path.stat().st_mtime_ns for path in cache.glob("stems/*/*.wav")}
    assert len(before) == 15
    os.utime(root / "train" / f"{VALID}.stem.mp4", ns=(1, time.time_ns()))
    STEMS.decode(find(root, cache))
    after = {path: path.stat().st_mtime_ns for path in cache.glob("stems/*/*.wav")}
    assert len(after) == 20
    assert {path: after[path] for path in before} == before


def test_a_tree_that_moved_is_not_decoded_again(root, tmp_path):
    STEMS.decode(find(root, tmp_path / "cache"))
    assert STEMS.is_decoded(find(root.rename(tmp_path / "elsewhere"), tmp_path / "cache"))


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
    message = r"^data.root: .stem.mp4 files need FFmpeg, which is not installed: run `make ffmpeg`$"
    with pytest.raises(ValueError, match=message):
        make_module(root, tmp_path).prepare_data()
    for folder in (root, tmp_path / "nothing yet"):  # before anything is downloaded, or a run begins
        with pytest.raises(ValueError, match=message):
            make_module(folder, tmp_path, download=True).library.check_files()
    with pytest.raises(ValueError, match=message):
        make_module(tmp_path / "nothing yet", tmp_path, download=True).library.fetch()
