"""Compose songs: tempo, key, chords, sections, and from them the notes of every line.

Time is counted in steps of a sixteenth note. A pattern is a string of steps that repeats through the song: `x` starts a
note, `-` holds it, `.` rests. A stem left out of a section is silent there, so estimates are also scored on silence.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unmix.demo.instruments import SAMPLE_RATE, Notes, Steps

STEPS_PER_BAR = 16

_KICKS = ("x...x...x...x...", "x.....x.x.......", "x..x..x...x.....", "x.......x.x.....")
_SNARES = ("....x.......x...", "....x.......x..x", "....x..x.x..x...", "........x.......")
_HATS = ("x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx", "x.xxx.x.x.xxx.xx", "..x...x...x...x.")
_BASSES = ("x-------x-----x-", "x--x--x-x--x--x-", "x-x-x-x-x-x-x-x-", "x-----x-..x-x---")
_ARPEGGIOS = ("x-x-x-x-x-x-x-x-", "xxxxxxxxxxxxxxxx", "x-x-xxx-x-x-xxx-", "..x-..x-..x-x-x-")
_MELODIES = (
    "x---x-x-x-----x-x---x---x-----..",
    "x-x-x---x-x-x---x-----x-x---....",
    "..x-x-x---x-x-------x-x-x-----..",
    "x-----x-x-x-x-----..x-x-x-x-x-..",
)
_PAD = "x---------------"
_PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3), (0, 2, 3, 4))
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)

# End of each section, as a fraction of the song, and the stems that play in it. Every stem plays in 70 % or more.
_FORMS = (
    ((0.15, "drums bass other"), (0.45, "all"), (0.6, "bass other vocals"), (0.88, "all"), (1, "other vocals")),
    ((0.12, "other vocals"), (0.42, "all"), (0.6, "drums bass other"), (0.88, "all"), (1, "drums bass")),
    ((0.14, "drums bass"), (0.44, "all"), (0.58, "other vocals"), (0.86, "all"), (1, "drums bass other")),
    ((0.12, "bass other"), (0.48, "all"), (0.62, "drums vocals"), (0.9, "all"), (1, "other vocals")),
)


@dataclass(frozen=True)
class Song:
    """Notes of every line; `drums` has the keys kick, snare and hat, `chords` has one line per chord tone."""

    num_samples: int
    drums: dict[str, Notes]
    bass: Notes
    chords: list[Notes]
    arpeggio: Notes
    vocals: Notes


@dataclass(frozen=True)
class _Frame:
    """Musical properties that all lines of a song share.

    Args:
        step_samples: samples per step.
        key: MIDI pitch.
        scale: semitones above the key.
        progression: degree of the chord of each bar.
        sections: stem -> for each step, whether the stem plays.
    """

    num_samples: int
    step_samples: float
    key: int
    scale: tuple[int, ...]
    progression: tuple[int, ...]
    sections: dict[str, npt.NDArray[np.bool_]]

    def pitches(self, degrees: Steps) -> Steps:
        """MIDI pitches of degrees of the scale; degree 7 is an octave above the key."""
        return self.key + 12 * (degrees // 7) + np.take(self.scale, degrees % 7)

    def chord_degrees(self, steps: Steps) -> Steps:
        """Degree of the chord at each step."""
        return np.take(self.progression, steps // STEPS_PER_BAR % len(self.progression))


def compose(rng: np.random.Generator, num_samples: int) -> Song:
    """Compose a random song of this length."""
    frame = _draw_frame(rng, num_samples)
    chords, arpeggio = _accompaniment(rng, frame)
    return Song(
        num_samples=num_samples,
        drums=_drum_parts(rng, frame),
        bass=_bass_line(rng, frame),
        chords=chords,
        arpeggio=arpeggio,
        vocals=_melody(rng, frame),
    )


def _draw_frame(rng: np.random.Generator, num_samples: int) -> _Frame:
    step_samples = 60 / rng.uniform(80, 150) / 4 * SAMPLE_RATE
    return _Frame(
        num_samples=num_samples,
        step_samples=step_samples,
        key=48 + int(rng.integers(12)),
        scale=(_MAJOR, _MINOR)[rng.integers(2)],
        progression=_PROGRESSIONS[rng.integers(len(_PROGRESSIONS))],
        sections=_sections(_FORMS[rng.integers(len(_FORMS))], int(np.ceil(num_samples / step_samples))),
    )


def _sections(form: tuple[tuple[float, str], ...], num_steps: int) -> dict[str, npt.NDArray[np.bool_]]:
    grid = STEPS_PER_BAR // 2 if num_steps >= 6 * STEPS_PER_BAR else 1  # in steps; sections end on this grid
    playing = {stem: np.zeros(num_steps, dtype=np.bool_) for stem in ("drums", "bass", "other", "vocals")}
    start = 0
    for end, stems in form:
        stop = num_steps if end == 1 else grid * round(end * num_steps / grid)
        for stem in playing if stems == "all" else stems.split():
            playing[stem][start:stop] = True
        start = stop
    return playing


def _onsets(pattern: str, playing: npt.NDArray[np.bool_]) -> tuple[Steps, Steps]:
    """Steps at which notes start and stop; a section that begins in the middle of a note starts it anew."""
    marks = np.resize(np.array(list(pattern)), playing.size)
    sounding = playing & (marks != ".")
    entering = sounding & ~np.concatenate(([False], sounding[:-1]))
    starts = np.flatnonzero(sounding & ((marks == "x") | entering))
    rests = np.append(np.flatnonzero(~sounding), playing.size)
    stops = np.minimum(np.append(starts[1:], playing.size), rests[np.searchsorted(rests, starts)])
    return starts, stops


def _notes(rng: np.random.Generator, frame: _Frame, *, starts: Steps, stops: Steps, pitches: Steps) -> Notes:
    """Notes in samples, each with a random loudness."""
    return Notes(
        starts=np.floor(starts * frame.step_samples).astype(np.int64),
        stops=np.floor(stops * frame.step_samples).astype(np.int64),
        pitches=pitches.astype(np.float64),
        gains=rng.uniform(0.7, 1.0, size=starts.size),
    )


def _drum_parts(rng: np.random.Generator, frame: _Frame) -> dict[str, Notes]:
    parts = {}
    for name, patterns in (("kick", _KICKS), ("snare", _SNARES), ("hat", _HATS)):
        playing = frame.sections["drums"]
        starts, stops = _onsets(patterns[rng.integers(len(patterns))], playing)
        if name == "snare":
            steps = np.arange(playing.size)
            is_fill = playing & (steps % (4 * STEPS_PER_BAR) >= 4 * STEPS_PER_BAR - 4) & (rng.random(steps.size) < 0.7)
            starts = stops = np.union1d(starts, steps[is_fill])
        parts[name] = _notes(rng, frame, starts=starts, stops=stops, pitches=np.zeros_like(starts))
    return parts


def _bass_line(rng: np.random.Generator, frame: _Frame) -> Notes:
    """Chord roots between 41 and 78 Hz; about every sixth note is an octave higher."""
    starts, stops = _onsets(_BASSES[rng.integers(len(_BASSES))], frame.sections["bass"])
    roots = 28 + (frame.pitches(frame.chord_degrees(starts)) - 28) % 12
    return _notes(rng, frame, starts=starts, stops=stops, pitches=roots + 12 * (rng.random(starts.size) < 0.17))


def _accompaniment(rng: np.random.Generator, frame: _Frame) -> tuple[list[Notes], Notes]:
    """Three voices of a pad, one triad per bar, and an arpeggio over the same triads an octave higher."""
    starts, stops = _onsets(_PAD, frame.sections["other"])
    pad = frame.chord_degrees(starts)
    voices = [
        _notes(rng, frame, starts=starts, stops=stops, pitches=55 + (frame.pitches(pad + third) - 55) % 12)
        for third in (0, 2, 4)
    ]
    starts, stops = _onsets(_ARPEGGIOS[rng.integers(len(_ARPEGGIOS))], frame.sections["other"])
    order = np.resize(((0, 2, 4, 7), (0, 4, 2, 4), (7, 4, 2, 0))[rng.integers(3)], starts.size)
    pitches = 12 + frame.pitches(frame.chord_degrees(starts) + order)
    return voices, _notes(rng, frame, starts=starts, stops=stops, pitches=pitches)


def _melody(rng: np.random.Generator, frame: _Frame) -> Notes:
    """Random walk on the scale within nine degrees; notes on strong beats are chord tones."""
    starts, stops = _onsets(_MELODIES[rng.integers(len(_MELODIES))], frame.sections["vocals"])
    walk = np.cumsum(rng.choice([-2, -1, -1, 0, 1, 1, 2], size=starts.size)) + 5
    degrees = np.abs((walk + 8) % 16 - 8)  # mirrored at 0 and at 8
    from_root = (degrees - frame.chord_degrees(starts)) % 7
    degrees -= np.where((starts % 8 == 0) & np.isin(from_root, (1, 3, 5)), 1, 0)
    lowest = int(rng.integers(43, 51))  # G2 to D3: men's and women's voices
    pitches = frame.pitches(degrees) - frame.key + lowest + (frame.key - lowest) % 12
    return _notes(rng, frame, starts=starts, stops=stops, pitches=pitches)
