"""Four synthetic instruments: drums, bass, other (a pad and a plucked string), vocals.

Each turns `Notes` into a stereo waveform, (channels, samples), float64, at `SAMPLE_RATE`. Oscillators run through the
whole track and envelopes are applied last, so that no filter decays into denormal numbers, which are slow.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import signal

Waveform = npt.NDArray[np.float64]
Steps = npt.NDArray[np.int64]

SAMPLE_RATE = 44100

# Formants of a tenor: centres in Hz, levels in dB, bandwidths in Hz (Csound manual, appendix D, "Formant Values").
_VOWELS = (
    ((650, 1080, 2650, 2900), (0, -6, -7, -8), (80, 90, 120, 130)),
    ((400, 1700, 2600, 3200), (0, -14, -12, -14), (70, 80, 100, 120)),
    ((290, 1870, 2800, 3250), (0, -15, -18, -20), (40, 90, 100, 120)),
    ((400, 800, 2600, 2800), (0, -10, -12, -12), (40, 80, 100, 120)),
    ((350, 600, 2700, 2900), (0, -20, -17, -14), (40, 60, 100, 120)),
)


@dataclass(frozen=True)
class Notes:
    """Notes of one line, ordered in time: starts and stops in samples, pitches as MIDI numbers, linear gains."""

    starts: Steps
    stops: Steps
    pitches: Waveform
    gains: Waveform


def level(waveform: Waveform) -> Waveform:
    """Scale a waveform to an RMS of 1."""
    return waveform / np.sqrt(np.mean(waveform**2))


def pan(mono: Waveform, position: float) -> Waveform:
    """Place a mono signal between left, -1, and right, +1, at constant power: (samples,) -> (channels, samples)."""
    angle = (position + 1) * np.pi / 4
    return np.stack([np.cos(angle) * mono, np.sin(angle) * mono])


def room(rng: np.random.Generator, waveform: Waveform, *, decay_seconds: float, wet_db: float) -> Waveform:
    """Add a stereo reverberation of decaying noise, so that no channel is a multiple of the other."""
    channels, samples = waveform.shape
    times = np.arange(int(6 * decay_seconds * SAMPLE_RATE)) / SAMPLE_RATE
    response = rng.standard_normal((channels, times.size)) * np.exp(-times / decay_seconds)
    response *= 10 ** (wet_db / 20) / np.linalg.norm(response, axis=-1, keepdims=True)
    return waveform + signal.oaconvolve(waveform, response, axes=-1)[:, :samples]


def drums(rng: np.random.Generator, parts: dict[str, Notes], *, num_samples: int) -> Waveform:
    """A drum kit playing the parts `kick`, `snare` and `hat`; their pitches are ignored."""
    hat_position = rng.choice([-1, 1]) * rng.uniform(0.25, 0.5)
    kit = np.zeros((2, num_samples))
    for name, hits, gain, position in (
        ("kick", _kick(rng), 1.0, 0.0),
        ("snare", _snare(rng), 0.7, rng.uniform(-0.2, 0.2)),
        ("hat", _hat(rng), 0.35, hat_position),
    ):
        line = np.zeros(num_samples)
        for index, start in enumerate(parts[name].starts):
            _add(line, hits[index % len(hits)] * parts[name].gains[index], start=start)
        kit += pan(gain * line, position)
    kit = np.tanh(level(kit) / 3)  # the strongest peaks are rounded, as by a compressor
    return room(rng, kit, decay_seconds=0.03, wet_db=-14)


def bass(rng: np.random.Generator, notes: Notes, *, num_samples: int) -> Waveform:
    """A synthesiser bass between saw and square whose filter opens with its envelope."""
    frequency = _hertz(_smooth(_hold(notes, notes.pitches, num_samples=num_samples), seconds=0.008))
    wave = _saw(frequency) - rng.uniform(0.2, 1.0) * _saw(frequency, phase=0.5)
    dark = _low_pass(wave, cutoff_hz=rng.uniform(120, 180), order=2)
    bright = _low_pass(wave, cutoff_hz=rng.uniform(280, 420), order=4)
    envelope = _envelope(notes, num_samples=num_samples, attack_seconds=0.006, decay_seconds=0.5)
    mono = envelope * (dark + envelope * (bright - dark))
    return room(rng, pan(mono, rng.uniform(-0.1, 0.1)), decay_seconds=0.02, wet_db=-20)


def other(rng: np.random.Generator, chords: list[Notes], *, arpeggio: Notes, num_samples: int) -> Waveform:
    """A wide pad, one line of notes per chord tone, under a plucked arpeggio."""
    balance = 10 ** (rng.uniform(-4, 2) / 20)
    sound = level(_pad(rng, chords, num_samples=num_samples))
    sound += balance * level(_plucks(rng, arpeggio, num_samples=num_samples))
    return room(rng, sound, decay_seconds=0.06, wet_db=-10)


def vocals(rng: np.random.Generator, notes: Notes, *, num_samples: int) -> Waveform:
    """A singer: a glottal saw with portamento, vibrato and jitter, and breath, through the formants of vowels."""
    frequency = _hertz(_sung_pitch(rng, notes, num_samples=num_samples))
    breath = 10 ** (rng.uniform(-32, -26) / 20) * rng.standard_normal(num_samples)
    source = _saw(frequency) + breath
    vowels = rng.integers(len(_VOWELS), size=notes.starts.size)
    tract_scale = rng.uniform(0.95, 1.2)
    voice = 0.05 * source
    for index, vowel in enumerate(_VOWELS):
        weight = _smooth(_hold(notes, vowels == index, num_samples=num_samples), seconds=0.03)
        voice += weight * _formants(source, vowel, scale=tract_scale)
    voice += 0.5 * breath * _smooth(np.abs(voice), seconds=0.01)
    envelope = _envelope(notes, num_samples=num_samples, attack_seconds=0.05, decay_seconds=4.0, release_seconds=0.09)
    return room(rng, pan(envelope * voice, rng.uniform(-0.15, 0.15)), decay_seconds=0.08, wet_db=-11)


def _hertz(pitch: Waveform) -> Waveform:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _saw(frequency: Waveform, *, phase: float = 0.0) -> Waveform:
    """A saw of the given frequency in Hz, (samples,), its jumps smoothed against aliasing (PolyBLEP)."""
    increment = frequency / SAMPLE_RATE
    position = np.cumsum(increment) + phase
    position -= np.floor(position)
    wave = 2 * position - 1
    after_jump = np.flatnonzero(position < increment)
    wave[after_jump] += (1 - position[after_jump] / increment[after_jump]) ** 2
    before_jump = np.flatnonzero(1 - position < increment)
    wave[before_jump] -= (1 - (1 - position[before_jump]) / increment[before_jump]) ** 2
    return wave


def _low_pass(waveform: Waveform, *, cutoff_hz: float, order: int) -> Waveform:
    return signal.sosfilt(signal.butter(order, cutoff_hz, fs=SAMPLE_RATE, output="sos"), waveform)


def _smooth(values: Waveform, *, seconds: float) -> Waveform:
    """Low-pass values with one pole of this time constant, settled at the first value from the start."""
    pole = np.exp(-1 / (seconds * SAMPLE_RATE))
    smoothed, _ = signal.lfilter([1 - pole], [1, -pole], values, zi=[pole * values[0]])
    return smoothed


def _hold(notes: Notes, values: npt.NDArray[np.generic], *, num_samples: int) -> Waveform:
    """Hold each note's value until the next note starts: one value per note -> (samples,)."""
    edges = np.concatenate(([0], notes.starts[1:], [num_samples]))
    return np.repeat(values, np.diff(edges)).astype(np.float64)


def _envelope(
    notes: Notes, *, num_samples: int, attack_seconds: float, decay_seconds: float, release_seconds: float = 0.03
) -> Waveform:
    """Loudness of a line, (samples,): cosine attack, exponential decay, and a cosine release after each stop."""
    attack, release = int(attack_seconds * SAMPLE_RATE), int(release_seconds * SAMPLE_RATE)
    rise = 0.5 - 0.5 * np.cos(np.pi * np.arange(attack) / attack)
    fall = 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)
    envelope = np.zeros(num_samples)
    for start, stop, gain in zip(notes.starts, notes.stops, notes.gains, strict=True):
        held = max(stop - start, attack)
        shape = gain * np.exp(-np.arange(held + release) / (decay_seconds * SAMPLE_RATE))
        shape[:attack] *= rise
        shape[held:] *= fall
        target = envelope[start : start + shape.size]
        np.maximum(target, shape[: target.size], out=target)  # a release may reach into the next note
    return envelope


def _add(line: Waveform, hit: Waveform, *, start: int) -> None:
    """Add a hit to a line in place; what lies beyond the end of the line is dropped."""
    target = line[..., start : start + hit.shape[-1]]
    target += hit[..., : target.shape[-1]]


def _kick(rng: np.random.Generator) -> list[Waveform]:
    times = np.arange(int(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    lowest, highest = rng.uniform(45, 60), rng.uniform(160, 300)
    phase = np.cumsum(lowest + (highest - lowest) * np.exp(-times / 0.025)) / SAMPLE_RATE
    return [np.sin(2 * np.pi * phase) * np.exp(-times / rng.uniform(0.07, 0.11)) * (1 - times / 0.3)]


def _snare(rng: np.random.Generator) -> list[Waveform]:
    """Six hits of one snare drum, which differ in their noise."""
    times = np.arange(int(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    tone = np.sin(2 * np.pi * rng.uniform(170, 240) * times) * np.exp(-times / 0.04)
    band = signal.butter(2, [rng.uniform(700, 1500), 9000], btype="bandpass", fs=SAMPLE_RATE, output="sos")
    noise = signal.sosfilt(band, rng.standard_normal((6, times.size))) * np.exp(-times / rng.uniform(0.04, 0.07))
    return list((0.6 * tone + noise) * (1 - times / 0.25))


def _hat(rng: np.random.Generator) -> list[Waveform]:
    """Eight hits of one hi-hat, which differ in their noise."""
    times = np.arange(int(0.12 * SAMPLE_RATE)) / SAMPLE_RATE
    band = signal.butter(4, rng.uniform(6500, 9000), btype="highpass", fs=SAMPLE_RATE, output="sos")
    noise = signal.sosfilt(band, rng.standard_normal((8, times.size)))
    return list(noise * np.exp(-times / rng.uniform(0.015, 0.035)) * (1 - times / 0.12))


def _pad(rng: np.random.Generator, chords: list[Notes], *, num_samples: int) -> Waveform:
    """Pad of two detuned saws (12 cents at most) per chord tone and channel, under a filter that opens and closes."""
    sweep_hz, bright_hz = rng.uniform(0.1, 0.3), rng.uniform(1800, 3500)
    opening = 0.5 - 0.5 * np.cos(2 * np.pi * sweep_hz * np.arange(num_samples) / SAMPLE_RATE)
    envelope = _envelope(
        chords[0], num_samples=num_samples, attack_seconds=0.06, decay_seconds=6.0, release_seconds=0.2
    )
    channels = []
    for _ in range(2):
        wave = np.zeros(num_samples)
        for tone in chords:
            frequency = _hold(tone, _hertz(tone.pitches), num_samples=num_samples)
            for detune in rng.uniform(-0.12, 0.12, size=2):
                wave += _saw(frequency * 2 ** (detune / 12), phase=rng.random())
        dark, bright = (_low_pass(wave, cutoff_hz=cutoff_hz, order=2) for cutoff_hz in (700.0, bright_hz))
        channels.append(envelope * (dark + opening * (bright - dark)))
    return np.stack(channels)


def _plucks(rng: np.random.Generator, notes: Notes, *, num_samples: int) -> Waveform:
    """Plucked strings, alternately left and right, of eight harmonics of which the upper ones decay first."""
    times = np.arange(int(0.7 * SAMPLE_RATE)) / SAMPLE_RATE
    order = np.arange(1, 9)[:, None]
    damping, brightness = rng.uniform(3, 6), rng.uniform(0.8, 1.4)
    fade = np.minimum(times / 0.002, 1) * (1 - times / 0.7)
    partials = fade * np.exp(-damping * (0.5 + 0.5 * order) * times) / order**brightness
    strings = {
        pitch: np.sum(partials * np.sin(2 * np.pi * _hertz(pitch) * order * times), axis=0)
        for pitch in np.unique(notes.pitches)
    }
    line, width = np.zeros((2, num_samples)), rng.uniform(0.3, 0.7)
    for index, (start, pitch) in enumerate(zip(notes.starts, notes.pitches, strict=True)):
        side = width if index % 2 else -width
        _add(line, pan(notes.gains[index] * strings[pitch], side), start=start)
    return line


def _sung_pitch(rng: np.random.Generator, notes: Notes, *, num_samples: int) -> Waveform:
    """MIDI pitch of a sung line, (samples,), with slides between notes, vibrato on long notes, and jitter."""
    slide = _smooth(_hold(notes, notes.pitches, num_samples=num_samples), seconds=rng.uniform(0.02, 0.05))
    seconds = np.arange(num_samples) / SAMPLE_RATE
    held_seconds = seconds - _hold(notes, notes.starts, num_samples=num_samples) / SAMPLE_RATE
    depth = rng.uniform(0.2, 0.5) * np.clip((held_seconds - 0.1) / 0.3, 0, 1)
    jitter = level(_smooth(rng.standard_normal(num_samples), seconds=0.02))
    return slide + depth * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * seconds) + 0.06 * jitter


def _formants(source: Waveform, vowel: tuple[tuple[int, ...], ...], *, scale: float) -> Waveform:
    """Filter a source by the resonances of a vowel, in parallel; alternating signs keep neighbours from cancelling."""
    voice = np.zeros_like(source)
    for index, (centre_hz, level_db, bandwidth_hz) in enumerate(zip(*vowel, strict=True)):
        numerator, denominator = signal.iirpeak(scale * centre_hz, centre_hz / bandwidth_hz, fs=SAMPLE_RATE)
        voice += (-1) ** index * 10 ** (level_db / 20) * signal.lfilter(numerator, denominator, source)
    return voice
