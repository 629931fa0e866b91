"""Every layout is found in a tree of its own and in no other; what fits none, or two, is said with the way out."""

import os
import shutil
from pathlib import Path

import pytest

import trees
from unmix import settings
from unmix.data import library, pcm
from unmix.data.layouts.detection import LAYOUTS

SONGS = {"train": ["Song A", "Song B"], "valid": ["Song C"], "test": ["Song D"]}
OPTIONS = {
    "tracks": {"rename": {"vocals": ["*vox*"], "drums": ["Kit"], "bass": ["Bs"]}, "other": "rest"},
    "aligned": {"sources": ["speech", "noise"]},
    "moisesdb": {"other": "rest", "validation_share": 0.5},
}


def make(root, tmp_path, **options):
    given = {"root": root, "layout": "auto", "sources": trees.SOURCES, "sample_rate": 44100}
    return library.from_settings({**given, **options}, tmp_path / "cache")


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """One tree per layout. Read only."""
    folder = tmp_path_factory.mktemp("layouts")
    songs = trees.songs(SONGS, seconds=0.05)
    for name, write in trees.WRITERS.items():
        write(folder / name, songs)
    return folder


def test_the_names_of_the_settings_are_those_of_the_layouts():
    assert set(settings.LAYOUTS) == {*LAYOUTS, "auto", "folders"}
    assert set(trees.WRITERS) == set(LAYOUTS)


@pytest.mark.parametrize("name", trees.WRITERS)
def test_a_tree_is_detected_and_read_as_when_its_layout_is_named(roots, tmp_path, name):
    detected = make(roots / name, tmp_path, **OPTIONS.get(name, {}))
    assert detected.layout.name == name
    named = make(roots / name, tmp_path, layout=name, **OPTIONS.get(name, {}))
    assert detected.entries == named.entries != []
    if name != "moisesdb":  # which has no splits
        assert {entry.split for entry in detected.entries} == set(SONGS)


@pytest.mark.parametrize("name", sorted(set(trees.WRITERS) - {"stems"}))
def test_every_layout_gives_mixtures_that_are_sums_of_their_sources(roots, tmp_path, name):
    data = make(roots / name, tmp_path, **OPTIONS.get(name, {}))
    data.make()
    assert data.is_prepared
    assert data.scan.errors == ()
    tracks = (*data.scan.splits.valid, *data.scan.splits.test)
    assert tracks
    for track in tracks:
        samples = {stem: pcm.read_float(track.path(stem)) for stem in track.files}
        assert set(samples) == {"mixture", *data.sources}
        mixture = samples.pop("mixture")
        assert abs(mixture - sum(samples.values())).max() < 1e-6
        assert abs(mixture).max() > 0.1


def test_folders_is_the_former_name_of_musdb(roots, tmp_path):
    assert make(roots / "musdb", tmp_path, layout="folders").layout.name == "musdb"


def test_an_empty_folder_is_refused_as_empty(tmp_path):
    (tmp_path / "empty" / "inside").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"data.root: .*empty holds no file: inside is there"):
        _ = make(tmp_path / "empty", tmp_path).layout


def test_a_root_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"data.root: .*nowhere is not a folder"):
        _ = make(tmp_path / "nowhere", tmp_path).layout


def test_two_layouts_that_both_fit_are_named_with_the_key_that_chooses(roots, tmp_path):
    both = shutil.copytree(roots / "musdb", tmp_path / "both")
    shutil.copytree(roots / "stems", both, dirs_exist_ok=True)
    message = r"data.layout: .*both can be read as musdb \(.*\) and as stems \(.*\): choose, as data.layout=musdb"
    with pytest.raises(ValueError, match=message):
        _ = make(both, tmp_path).layout
    assert make(both, tmp_path, layout="stems").entries[0].path.name == "Song A.stem.mp4"


def test_a_tree_that_fits_none_is_shown_with_the_nearest_layout_and_what_it_lacks(roots, tmp_path):
    message = (
        r"data.root: .*tracks holds test, train, valid; the nearest layout is tracks .*, which lacks files for vocals, "
        r"drums, bass, other \('Song A' holds '01 Lead Vox.wav', .*\): name them as data.rename.vocals="
    )
    with pytest.raises(ValueError, match=message):
        _ = make(roots / "tracks", tmp_path).layout


def test_one_source_that_no_pattern_names_is_what_is_missing(roots, tmp_path):
    with pytest.raises(ValueError, match=r"which lacks files for other \('Song A'"):
        _ = make(roots / "tracks", tmp_path, rename={"vocals": ["*vox*"], "drums": ["Kit"], "bass": ["Bs"]}).layout


def test_something_else_is_shown_with_the_shapes_of_all_layouts(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "sea.jpg").touch()
    with pytest.raises(
        ValueError, match=r"photos holds sea.jpg, which no layout fits \(musdb: .*; aligned: "
    ) as caught:
        _ = make(tmp_path / "photos", tmp_path).layout
    assert "\n" not in str(caught.value)


def test_a_root_that_is_too_high_is_told_the_right_one(roots, tmp_path):
    shutil.copytree(roots / "musdb", tmp_path / "high" / "data")
    with pytest.raises(ValueError, match=r"no track in .*high \(data\); did you mean data.root=.*high/data\?"):
        _ = make(tmp_path / "high", tmp_path).layout


def test_the_folder_of_a_split_is_told_the_data_set_unless_its_layout_is_named(roots, tmp_path):
    with pytest.raises(ValueError, match=r"train is one split of a data set; did you mean data.root=.*musdb\?"):
        _ = make(roots / "musdb" / "train", tmp_path).layout
    alone = make(roots / "musdb" / "train", tmp_path, layout="tracks", validation_tracks=["Song B"])
    assert [(entry.split, entry.name) for entry in alone.entries] == [("train", "Song A"), ("valid", "Song B")]


@pytest.mark.parametrize(("name", "near"), [("val", "valid"), ("Test", "test"), ("training", "train")])
def test_a_folder_named_almost_as_a_split_is_refused(tmp_path, name, near):
    trees.write_musdb(tmp_path / "tree", trees.songs({"train": ["A"], name: ["B"]}, seconds=0.01))
    (tmp_path / "tree" / "train").mkdir(exist_ok=True)
    with pytest.raises(ValueError, match=rf"{name} would not be read: splits are .*; rename it to {near}"):
        _ = make(tmp_path / "tree", tmp_path).layout


def test_a_folder_that_cannot_be_read_is_named(roots, tmp_path, monkeypatch):
    scan = os.scandir

    def refuse(path):
        if Path(path).name == "Song B":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(OSError, match=r"^data.root: .*musdb/train/Song B cannot be read: Permission denied$"):
        _ = make(roots / "musdb", tmp_path).layout


def test_hidden_files_and_folders_are_not_read(tmp_path):
    trees.write_musdb(tmp_path / "tree", trees.songs({"train": [".A.partial", "B"]}, seconds=0.01))
    (tmp_path / "tree" / "train" / "B" / "._vocals.wav").touch()
    assert [entry.name for entry in make(tmp_path / "tree", tmp_path, validation_tracks=["B"]).entries] == ["B"]
