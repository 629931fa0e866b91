"""What counts as a data set, how it is split, and everything that is refused."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data.layouts.naming import Naming
from unmix.data.layouts.splits import HoldOut, validation_names
from unmix.data.library import Library
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, SOURCES

VALIDATION = MUSDB_VALIDATION_TRACKS[0]
STEMS = ("mixture", *SOURCES)


def look_at(root, validation_tracks=MUSDB_VALIDATION_TRACKS, sample_rate=44100, layout="musdb"):
    cache = Path(os.environ["UNMIX_DATA"])
    return Library(root, layout, Naming(SOURCES), HoldOut(tuple(validation_tracks)), sample_rate, cache).scan


def scan(*arguments, **options):
    """Splits of a tree without errors; the first error is raised."""
    found = look_at(*arguments, **options)
    found.check()
    return found.splits


def names(tracks):
    return [track.name for track in tracks]


@pytest.fixture
def tree(tmp_path, write_tree):
    """To be spoilt by a test."""
    return write_tree(tmp_path / "tree", ("B", VALIDATION, "A"), ("Y", "X"), num_samples=500)


def test_tracks_named_for_validation_leave_the_training_split(musdb_tree):
    splits = scan(musdb_tree)
    assert names(splits.train) == ["Other Band - Song", "Some Band - Track"]
    assert names(splits.valid) == [VALIDATION]
    assert names(splits.test) == ["Some Test - Track"]


def test_tracks_are_sorted_by_name_whatever_the_order_on_disk(tree):
    splits = scan(tree, validation_tracks=("B", "A"))
    assert (names(splits.train), names(splits.valid), names(splits.test)) == ([VALIDATION], ["A", "B"], ["X", "Y"])


def test_track_knows_rate_length_size_and_where_its_stems_are(tree):
    track = scan(tree).valid[0]
    assert (track.sample_rate, track.num_samples) == (44100, 500 + 441)
    assert track.path("drums") == tree / "train" / VALIDATION / "drums.wav"
    assert track.bytes_on_disk == sum(track.path(stem).stat().st_size for stem in STEMS)


def test_validation_names_do_not_reach_into_the_test_split(tree):
    splits = scan(tree, validation_tracks=("A", "X"))
    assert (names(splits.valid), names(splits.test)) == (["A"], ["X", "Y"])


def test_tree_without_training_tracks_is_for_testing(tree):
    shutil.rmtree(tree / "train")
    splits = scan(tree)
    assert (splits.train, splits.valid, names(splits.test)) == ((), (), ["X", "Y"])


def test_tree_without_test_tracks_is_for_training(tree):
    shutil.rmtree(tree / "test")
    assert names(scan(tree).train) == ["A", "B"]


def test_folders_without_any_wav_file_and_stray_files_are_no_tracks(tree):
    (tree / "train" / "empty").mkdir()
    (tree / "train" / "AAC").mkdir()
    (tree / "train" / "AAC" / "song.stem.mp4").touch()
    (tree / "train" / "stray.wav").touch()
    assert names(scan(tree).train) == ["A", "B"]


def test_fingerprint_does_not_depend_on_where_the_tree_lies(tree, tmp_path):
    elsewhere = shutil.copytree(tree, tmp_path / "else" / "where")
    assert scan(elsewhere).fingerprint() == scan(tree).fingerprint()
    assert len(scan(tree).fingerprint()) == 12


def test_fingerprint_notices_a_file_of_the_same_length_in_another_format(tree):
    before = scan(tree).fingerprint()
    path = tree / "train" / "A" / "bass.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples, rate, subtype="PCM_24")
    assert scan(tree).fingerprint() != before


def test_root_that_is_no_folder_is_refused_with_its_path_and_the_expected_tree(tmp_path):
    with pytest.raises(ValueError, match=r"data.root: .*nowhere is not a folder.*\{train,test\}/<track>/"):
        scan(tmp_path / "nowhere")


def test_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is not a folder"):
        scan(tmp_path / "file")


def test_empty_root_is_refused_as_empty(tmp_path):
    with pytest.raises(ValueError, match="found an empty folder"):
        scan(tmp_path)


@pytest.mark.parametrize("num_entries", [6, 7])
def test_root_of_something_else_is_refused_with_what_was_looked_for_and_found(tmp_path, num_entries):
    for index in range(num_entries):
        (tmp_path / f"album{index}").mkdir()
    with pytest.raises(ValueError, match=r"no track in .*looked for \{train,test\}.*found") as caught:
        scan(tmp_path)
    found = str(caught.value).partition("found ")[2]
    listed = ", ".join(f"album{index}" for index in range(6))
    assert found == (listed if num_entries == 6 else f"{listed}, ... (7 entries)")


def test_root_one_level_too_deep_or_too_high_is_told_the_right_one(tree):
    for root in (tree / "train", tree.parent):
        with pytest.raises(ValueError, match=rf"no track in .*; did you mean data.root={tree}\?"):
            scan(root)


def test_a_tree_nested_twice_is_told_the_right_folder(tree, tmp_path):
    (tmp_path / "data").mkdir()
    nested = (tmp_path / "data" / "musdb18hq").resolve()
    nested.mkdir()
    tree.rename(nested / "musdb18hq")
    for root in (nested, nested.parent):
        with pytest.raises(ValueError, match=rf"did you mean data.root={nested}/musdb18hq\?"):
            scan(root)


def test_a_tree_of_the_other_layout_is_told_which_data_fits(tree, tmp_path):
    with pytest.raises(ValueError, match=r"it holds folders of audio files: data=musdb18hq or data=own fits"):
        scan(tree, layout="stems")
    stems = tmp_path / "stems"
    (stems / "train").mkdir(parents=True)
    (stems / "train" / "A - B.stem.mp4").touch()
    with pytest.raises(ValueError, match=r"it holds .stem.mp4 files: data=musdb18 fits"):
        scan(stems)


@pytest.mark.parametrize("lacking", [("mixture",), ("bass",), ("vocals", "other")])
def test_track_lacking_stems_is_refused_by_name(tree, lacking):
    for stem in lacking:
        (tree / "train" / "A" / f"{stem}.wav").unlink()
    listed = ", ".join(f"{stem}.wav" for stem in lacking)
    with pytest.raises(ValueError, match=rf"track .*A lacks {listed}; a track holds mixture.wav, vocals.wav"):
        scan(tree)


@pytest.mark.parametrize("subset", ["train/A", "test/X"])
def test_file_of_another_sample_rate_is_refused(tree, subset):
    path = tree / subset / "drums.wav"
    samples, _ = soundfile.read(path)
    soundfile.write(path, samples, 48000)
    with pytest.raises(ValueError, match=r"drums.wav has 48000 Hz, data.sample_rate is 44100"):
        scan(tree)


def test_sample_rate_wanted_is_the_one_given(tree):
    with pytest.raises(ValueError, match=r"mixture.wav has 44100 Hz, data.sample_rate is 22050"):
        scan(tree, sample_rate=22050)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((499, 2), "499 samples in 2 channels, mixture 500 in 2"), ((500, 1), "500 samples in 1 channel")],
)
def test_file_of_another_length_or_number_of_channels_is_refused(tmp_path, write_tree, shape, message):
    tree = write_tree(tmp_path / "tree", (VALIDATION,), num_samples=500)
    soundfile.write(tree / "train" / VALIDATION / "other.wav", np.zeros(shape), 44100)
    with pytest.raises(ValueError, match=rf"other.wav has {message}"):
        scan(tree)


@pytest.mark.parametrize("stem", ["mixture", "bass"])
def test_truncated_file_is_refused(tree, stem):
    path = tree / "train" / "A" / f"{stem}.wav"
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=rf"{stem}.wav is truncated, its header promises more than it holds"):
        scan(tree)


def test_track_whose_files_were_all_cut_alike_is_refused(tree):
    for stem in STEMS:
        path = tree / "test" / "X" / f"{stem}.wav"
        path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match="is truncated"):
        scan(tree)


@pytest.mark.parametrize("content", ["<html>404 not found</html>", ""])
def test_text_named_wav_is_refused(tree, content):
    (tree / "train" / "A" / "vocals.wav").write_text(content)
    with pytest.raises(ValueError, match=r"vocals.wav is not a readable audio file"):
        scan(tree)


def test_tree_with_none_of_the_validation_tracks_is_refused(tree):
    shutil.rmtree(tree / "train" / VALIDATION)
    with pytest.raises(
        ValueError,
        match=r"got MUSDB18's 14, the default, none of which is a track of .*train \(which holds 'A', \.\.\.\)",
    ):
        scan(tree)


def test_validation_needs_a_name(tree):
    with pytest.raises(ValueError, match=r"data.validation_tracks: got no name, none of which"):
        scan(tree, validation_tracks=())


def test_names_that_the_user_gave_are_repeated_when_none_is_a_track(tree):
    with pytest.raises(ValueError, match=r"got 'X', 'Y', none of which is a track of .*train \(which holds 'A'"):
        scan(tree, validation_tracks=("X", "Y"))


@pytest.mark.parametrize("renamed", ["Triviul - Angelsaint (1)", "Triviul_Angelsaint", "triviul - angelsaint"])
def test_renamed_validation_folder_is_refused_before_it_is_trained_on(tree, renamed):
    (tree / "train" / "A").rename(tree / "train" / renamed)
    with pytest.raises(ValueError, match=r"'Triviul - Angelsaint' is not a track of .*would be trained on") as caught:
        scan(tree)
    assert repr(renamed) in str(caught.value)


def test_missing_validation_tracks_without_a_near_match_are_accepted_with_one_warning(tree):
    found = look_at(tree)
    assert (found.errors, names(found.splits.valid)) == ((), [VALIDATION])
    (warning,) = found.warnings
    assert "13 of the 14 names are no track of" in warning
    assert warning.endswith("validating on 1")
    (tree / "train" / "A").rename(tree / "train" / "Triviul - Widow")  # a real training track
    assert names(scan(tree).train) == ["B", "Triviul - Widow"]


def test_a_tree_with_all_names_has_no_warning(tree):
    assert look_at(tree, validation_tracks=("A", VALIDATION)).warnings == ()


@pytest.mark.parametrize(("num_tracks", "is_refused"), [(100, True), (99, False)])
def test_a_hundred_training_tracks_are_musdb18s_and_must_hold_every_name(num_tracks, is_refused):
    names_of_tracks = [VALIDATION, *(f"Band {index:03d} - {index * 7919}" for index in range(num_tracks - 1))]
    errors, warnings = validation_names(names_of_tracks, MUSDB_VALIDATION_TRACKS, Path("/data"))
    assert (len(errors), len(warnings)) == ((1, 0) if is_refused else (0, 1))
    assert "though it holds MUSDB18's 100" in errors[0] if is_refused else "validating on 1" in warnings[0]


def test_every_error_is_kept_and_the_first_one_said_with_their_number(tree):
    (tree / "train" / "A" / "bass.wav").unlink()
    (tree / "test" / "X" / "bass.wav").unlink()
    found = look_at(tree)
    assert len(found.errors) == 2
    assert (names(found.splits.train), names(found.splits.test)) == (["B"], ["Y"])
    with pytest.raises(ValueError, match=r"lacks bass.wav.* \(and 1 more: python src/check.py lists them\)"):
        found.check()


def test_a_stem_twice_is_refused(tree):
    samples, rate = soundfile.read(tree / "train" / "A" / "bass.wav")
    soundfile.write(tree / "train" / "A" / "bass.flac", samples, rate)
    with pytest.raises(ValueError, match=r"holds bass.wav and bass.flac: remove one"):
        scan(tree)


def test_mono_and_stereo_tracks_do_not_mix(tree):
    for stem in STEMS:
        soundfile.write(tree / "test" / "X" / f"{stem}.wav", np.zeros((500, 1)), 44100)
    with pytest.raises(ValueError, match=r"X has 1 channel, .* 2: all tracks must have the same number"):
        scan(tree)


def test_a_link_that_leads_to_itself_is_refused(tree):
    path = tree / "train" / "A" / "bass.wav"
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(ValueError, match=r"A lacks bass.wav"):
        scan(tree)
    (tree / "train" / "loop").symlink_to(tree / "train" / "loop")
    with pytest.raises(ValueError, match=r"A lacks bass.wav"):  # no track: nothing can be in it
        scan(tree)


def test_a_file_that_may_not_be_read_is_refused_with_the_systems_reason(tree, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ValueError, match=r"data.root: .*wav cannot be read: Permission denied"):
        scan(tree)


def test_names_may_be_long_and_in_any_script(tmp_path, write_tree):
    long = "Ж" * 100 + " - 音楽 (live) 'x' \"y\" = [z]"
    tree = write_tree(tmp_path / "Müsik", (long, VALIDATION), num_samples=500)
    assert names(scan(tree).train) == [long]
