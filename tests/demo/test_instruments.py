"""Instruments: their pitch, level, place between left and right, and silence outside their notes."""

import numpy as np
import pytest

from unmix.demo import instruments
from unmix.demo.instruments import SAMPLE_RATE, Notes

NUM_SAMPLES = SAMPLE_RATE


def generator(seed=0):
    return np.random.Generator(np.random.Philox(seed))


def note(pitch=40.0, start=0, stop=NUM_SAMPLES // 2):
    return Notes(np.array([start]), np.array([stop]), np.array([pitch]), np.array([1.0]))


def nothing():
    return Notes(*(np.zeros(0, dtype=kind) for kind in (np.int64, np.int64, np.float64, np.float64)))


PLAYERS = {
    "drums": lambda notes: instruments.drums(
        generator(), {"kick": notes, "snare": nothing(), "hat": nothing()}, num_samples=NUM_SAMPLES
    ),
    "bass": lambda notes: instruments.bass(generator(), notes, num_samples=NUM_SAMPLES),
    "other": lambda notes: instruments.other(generator(), [notes], arpeggio=notes, num_samples=NUM_SAMPLES),
    "vocals": lambda notes: instruments.vocals(generator(), notes, num_samples=NUM_SAMPLES),
}


@pytest.mark.parametrize("name", PLAYERS)
def test_an_instrument_is_stereo_finite_and_the_same_for_the_same_generator(name):
    first, again = PLAYERS[name](note()), PLAYERS[name](note())
    assert first.shape == (2, NUM_SAMPLES)
    assert np.isfinite(first).all()
    assert np.abs(first).max() > 0
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("name", PLAYERS)
def test_an_instrument_is_silent_before_its_first_note(name):
    start = NUM_SAMPLES // 4
    sound = np.abs(PLAYERS[name](note(start=start, stop=2 * start)))
    assert sound[:, start:].max() > 0
    assert sound[:, :start].max() < 1e-9 * sound.max()


@pytest.mark.parametrize("pitch", [33, 45])
def test_the_bass_sounds_at_the_pitch_of_its_note(pitch):
    sound = instruments.bass(generator(), note(float(pitch), stop=NUM_SAMPLES), num_samples=NUM_SAMPLES)
    spectrum = np.abs(np.fft.rfft(sound[0]))  # one second: bins of 1 Hz
    assert np.argmax(spectrum[20:200]) + 20 == pytest.approx(440 * 2 ** ((pitch - 69) / 12), abs=1)


def test_level_gives_an_rms_of_one():
    waveform = instruments.level(generator().standard_normal((2, 1000)) * 7)
    assert np.sqrt(np.mean(waveform**2)) == pytest.approx(1)


@pytest.mark.parametrize(("position", "left", "right"), [(-1, 1, 0), (1, 0, 1), (0, 0.5**0.5, 0.5**0.5)])
def test_panning_keeps_the_power(position, left, right):
    placed = instruments.pan(np.array([1.0, -2.0]), position)
    np.testing.assert_allclose(placed, [[left, -2 * left], [right, -2 * right]], atol=1e-12)


def test_a_room_adds_reverberation_of_the_given_level_after_the_sound():
    click = np.zeros((2, NUM_SAMPLES))
    click[:, 100] = 1
    tail = instruments.room(generator(), click, decay_seconds=0.03, wet_db=-20) - click
    np.testing.assert_allclose(tail[:, :100], 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(tail, axis=1), 0.1, rtol=1e-9)


def test_a_held_value_lasts_until_the_next_note():
    notes = Notes(np.array([2, 5]), np.array([3, 6]), np.array([60.0, 62.0]), np.ones(2))
    np.testing.assert_array_equal(instruments._hold(notes, notes.pitches, num_samples=8), [60] * 5 + [62] * 3)
