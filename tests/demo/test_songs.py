"""Songs: notes lie within the song, in key, and follow the sections."""

import numpy as np
import pytest

from unmix.demo import songs
from unmix.demo.instruments import SAMPLE_RATE

SEEDS = range(6)
NUM_SAMPLES = 10 * SAMPLE_RATE


def generator(seed):
    return np.random.Generator(np.random.Philox(seed))


def lines_of(song):
    return [*song.drums.values(), song.bass, *song.chords, song.arpeggio, song.vocals]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seconds", [1, 10])
def test_notes_are_ordered_and_start_within_the_song(seed, seconds):
    song = songs.compose(generator(seed), seconds * SAMPLE_RATE)
    assert song.num_samples == seconds * SAMPLE_RATE
    for line in lines_of(song):
        assert len(line.starts) == len(line.stops) == len(line.pitches) == len(line.gains)
        assert (np.diff(line.starts) > 0).all()
        assert (line.starts >= 0).all()
        assert (line.starts < song.num_samples).all()
        assert (line.stops >= line.starts).all()
        assert (line.stops[:-1] <= line.starts[1:]).all()


def test_the_same_generator_composes_the_same_song_and_another_one_does_not():
    first, again, other = (songs.compose(generator(seed), NUM_SAMPLES) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.vocals.pitches, again.vocals.pitches)
    np.testing.assert_array_equal(first.vocals.starts, again.vocals.starts)
    assert first.vocals.starts.tolist() != other.vocals.starts.tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_bass_and_chords_play_seven_tones_of_one_scale(seed):
    song = songs.compose(generator(seed), NUM_SAMPLES)
    pitches = np.concatenate([line.pitches for line in (song.bass, *song.chords, song.arpeggio, song.vocals)])
    classes = set((pitches % 12).tolist())
    scales = [{(key + tone) % 12 for tone in scale} for key in range(12) for scale in (songs._MAJOR, songs._MINOR)]
    assert any(classes <= scale for scale in scales)


@pytest.mark.parametrize("seed", SEEDS)
def test_bass_lies_within_two_octaves_above_e1(seed):
    pitches = songs.compose(generator(seed), NUM_SAMPLES).bass.pitches
    assert 28 <= pitches.min() <= pitches.max() < 40 + 12


@pytest.mark.parametrize(
    ("pattern", "playing", "starts", "stops"),
    [
        ("x-.x", [1, 1, 1, 1], [0, 3], [2, 4]),
        ("x---", [0, 0, 1, 1], [2], [4]),  # a section that enters within a note starts it anew
        ("x---", [1, 1, 0, 0], [0], [2]),
        ("xx", [1, 1, 1, 1], [0, 1, 2, 3], [1, 2, 3, 4]),
        ("....", [1, 1, 1, 1], [], []),
    ],
)
def test_a_pattern_becomes_steps_where_notes_start_and_stop(pattern, playing, starts, stops):
    found = songs._onsets(pattern, np.array(playing, dtype=bool))
    assert [steps.tolist() for steps in found] == [starts, stops]


@pytest.mark.parametrize("form", songs._FORMS)
def test_every_stem_plays_in_seventy_percent_of_a_form_and_some_stem_rests(form):
    sections = songs._sections(form, 1600)
    assert set(sections) == {"drums", "bass", "other", "vocals"}
    assert all(playing.mean() >= 0.69 for playing in sections.values())
    assert any(not playing.all() for playing in sections.values())
