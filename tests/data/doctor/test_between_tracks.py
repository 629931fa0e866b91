"""Duplicates, exchanged sources, and headers and names that contradict each other."""

import shutil

import numpy as np
import pytest
import scipy.signal
import soundfile

from unmix.data import pcm
from unmix.data.datamodule import SeparationDataModule
from unmix.data.doctor import examination, headers, names
from unmix.data.tracks import AudioFile, Splits, Track

pytestmark = pytest.mark.slow

RATE = 44100
STEMS = ("mixture", "vocals", "drums", "bass", "other")


def changed(song, change):
    return {name: change(samples) for name, samples in song.items()}


@pytest.mark.parametrize(
    ("change", "offset", "note"),
    [
        (lambda samples: samples * 0.4, 0, ""),
        (lambda samples: np.pad(samples, ((7777, 0), (0, 0)))[: len(samples)], 7777, ""),
        (lambda samples: scipy.signal.resample_poly(scipy.signal.resample_poly(samples, 1, 2), 2, 1), 0, ""),
        (lambda samples: scipy.signal.resample_poly(samples, 160, 147), None, "at 0.9187 times its speed"),
    ],
)
def test_a_copy_in_another_split_is_an_error(compared, music, change, offset, note):
    found = compared(
        {
            "train/A - B": (music[0], None),
            "train/C - D": (music[1], None),
            "test/E - F": (changed(music[0], change), None),
        }
    )
    (finding,) = [finding for finding in found if finding.defect == "duplicate"]
    assert (finding.severity, finding.track) == ("error", "E - F")
    assert finding.what == "the recording is that of A - B (train)"
    assert note in finding.detail
    assert offset is None or finding.values["samples"] == offset


def test_a_source_in_two_songs_is_a_warning(compared, music):
    mixed = {**music[1], "vocals": music[0]["vocals"]}
    found = compared({"train/A - B": (music[0], None), "train/C - D": (mixed, None)})
    assert [(finding.severity, finding.what) for finding in found] == [
        ("warning", "vocals is the recording of A - B (train)")
    ]


def test_exchanged_sources_are_named_in_both_tracks(compared, music):
    first, second = music
    swapped = {**first, "bass": second["bass"]}, {**second, "bass": first["bass"]}
    songs = {"train/A - B": (swapped[0], sum(first.values())), "train/C - D": (swapped[1], sum(second.values()))}
    assert [(finding.track, finding.what) for finding in compared(songs)] == [
        ("A - B", "bass belongs to another track: the mixture holds that of C - D"),
        ("C - D", "bass belongs to another track: the mixture holds that of A - B"),
    ]


@pytest.fixture
def library(musdb_tree, tmp_path):
    """The library of a copy of the small tree, changed by a function of the folder of its first track."""

    def run(change):
        root = shutil.copytree(musdb_tree, tmp_path / "tree")
        change(root / "train" / "Some Band - Track")
        return SeparationDataModule(root, name="t", cache=tmp_path).library

    return run


def test_a_header_with_a_wrong_rate_is_told_from_a_file_of_another_rate(library):
    def declare(folder):
        samples, _ = soundfile.read(folder / "bass.wav", dtype="int16")
        soundfile.write(folder / "bass.wav", samples, 48000, subtype="PCM_16")

    data = library(declare)
    (finding,) = headers.refused(data.entries, data.scan.errors, STEMS)
    assert (finding.defect, finding.severity, finding.file[-8:]) == ("rate", "error", "bass.wav")
    assert finding.what == "bass declares 48000 Hz, but has as many samples as the files at 44100 Hz"


def test_names_that_differ_in_case_collide(library):
    data = library(lambda folder: shutil.copytree(folder, folder.with_name(folder.name.upper())))
    (finding,) = names.collisions(data.entries)
    assert finding.what == "'SOME BAND - TRACK' and 'Some Band - Track' are one name on disks that ignore case"


def test_a_name_in_both_splits_is_a_warning(library):
    data = library(lambda folder: shutil.copytree(folder, folder.parents[1] / "test" / folder.name))
    assert [finding.what for finding in names.collisions(data.entries)] == ["a track of this name is in train and test"]


def test_a_file_that_is_tagged_as_another_song_is_named(library):
    def tag(folder):
        for stem in STEMS:
            samples, rate = soundfile.read(folder / f"{stem}.wav", dtype="int16")
            with soundfile.SoundFile(folder / f"{stem}.wav", "w", rate, 2, "PCM_16") as file:
                file.title = "Other" if stem == "drums" else "Song"
                file.write(samples)

    (finding,) = names.tags(library(tag).scan.splits.train)
    assert (finding.what, finding.detail) == ("drums is tagged as another song than the rest", "'other', not 'song'")


def test_a_second_examination_reads_the_first(library, monkeypatch):
    data = library(lambda folder: None)
    first = examination.examine(data.scan.splits, data.cache)[0]
    monkeypatch.setattr(examination, "_examine", None)
    assert examination.examine(data.scan.splits, data.cache)[0] == first


def test_a_track_without_a_mixture_is_examined_file_by_file(tmp_path, music):
    for index, song in enumerate(music):
        folder = tmp_path / "tree" / f"{index}"
        folder.mkdir(parents=True)
        for stem in ("vocals", "drums"):
            samples = np.zeros_like(song[stem]) if (index, stem) == (1, "drums") else song[stem]
            soundfile.write(folder / f"{stem}.wav", np.rint(samples).astype(np.int16), RATE, subtype="PCM_16")
    tracks = [
        Track(path.name, {file.stem: AudioFile(file, pcm.read_header(file), 0) for file in sorted(path.iterdir())})
        for path in sorted((tmp_path / "tree").iterdir())
    ]
    found, examined = examination.examine(Splits(train=tuple(tracks)), tmp_path / "cache")
    assert [finding.what for finding in found] == ["drums is silent"]
    assert [one.examination.residual_db for one in examined] == [-np.inf, -np.inf]
