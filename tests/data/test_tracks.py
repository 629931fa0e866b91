"""Tracks know their rate, length and size; the fingerprint of splits changes with any of them."""

from pathlib import Path

import pytest

from unmix.data.pcm import Header
from unmix.data.tracks import MUSDB_VALIDATION_TRACKS, AudioFile, Splits, Track


def fake_track(name="A", num_samples=500, sample_rate=44100, num_bytes=9000):
    header = Header(sample_rate, 2, num_samples, offset=44)
    return Track(name, {"mixture": AudioFile(Path(f"/data/train/{name}/mixture.wav"), header, num_bytes)})


def test_a_track_has_the_rate_length_and_channels_of_its_mixture_and_the_size_of_all_files():
    bass = AudioFile(Path("/data/train/A/bass.wav"), Header(44100, 2, 500, offset=44), 1000)
    track = Track("A", {**fake_track().files, "bass": bass})
    assert (track.sample_rate, track.num_samples, track.num_channels) == (44100, 500, 2)
    assert track.bytes_on_disk == 10000
    assert track.folder == Path("/data/train/A")
    assert track.path("bass") == bass.path


@pytest.mark.parametrize("change", [{"name": "B"}, {"num_samples": 501}, {"num_bytes": 9001}, {"sample_rate": 48000}])
def test_fingerprint_changes_with_every_property_of_a_track(change):
    before, after = (Splits(train=(track,)) for track in (fake_track(), fake_track(**change)))
    assert before.fingerprint() != after.fingerprint()


def test_fingerprint_changes_when_a_track_moves_to_another_split_or_a_track_is_added():
    track = fake_track()
    splits = [Splits(train=(track,)), Splits(valid=(track,)), Splits(test=(track,)), Splits(train=(track, track))]
    assert len({split.fingerprint() for split in splits}) == 4


def test_musdb_holds_out_fourteen_tracks():
    assert len(set(MUSDB_VALIDATION_TRACKS)) == 14
