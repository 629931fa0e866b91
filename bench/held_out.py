"""Inject defects that the doctor was not made for, one at a time, and see what `check.py` finds: `make bench-held_out`.

Cases, and what counts as found, are those of `bench/doctor.py`.
"""

import sys
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.signal
import soundfile
from doctor import (
    LEFT,
    NUM_TRACKS,
    RATE,
    RIGHT,
    SECONDS,
    Case,
    alone,
    clicked,
    low_passed,
    print_cases,
    read,
    recased,
    resampled,
    shifted,
    summed,
    write,
    zeroed,
)

from unmix.demo.tree import write_tree


def exchanged_within(folder: Path, _: Path) -> None:
    """Exchange the files of vocals and bass, one of which has another level, so that the sum does not hold."""
    vocals, bass = read(folder / "vocals.wav"), read(folder / "bass.wav")
    write(folder / "vocals.wav", bass), write(folder / "bass.wav", 0.7 * vocals)


def late_bleed(folder: Path, root: Path) -> None:
    added = 10 ** (-25 / 20) * shifted(read(folder / "drums.wav"), round(0.005 * RATE))
    summed("vocals", lambda samples: samples + added)(folder, root)


def on_channel(samples: np.ndarray, channel: slice, factor: float, start: float = 0) -> np.ndarray:
    changed = samples.copy()
    changed[round(start * RATE) :, channel] *= factor
    return changed


def drifted(samples: np.ndarray, drift: float) -> np.ndarray:
    """Samples as of a clock that is fast by a share `drift`."""
    times = np.arange(len(samples)) * (1 + drift)
    return np.stack([np.interp(times, np.arange(len(samples)), channel) for channel in samples.T], axis=1)


def late_start(samples: np.ndarray) -> np.ndarray:
    """Samples whose first 50 ms of sound are missing."""
    first = int((np.abs(samples).max(axis=1) > 200).argmax()) / RATE
    return zeroed(samples, 0, first + 0.05)


def one_channel_low_passed(samples: np.ndarray) -> np.ndarray:
    changed = samples.copy()
    changed[:, LEFT] = low_passed(samples, 14000)[:, LEFT]
    return changed


def click_in_silence(samples: np.ndarray) -> np.ndarray:
    """A click in the middle of the passage of 0.2 s that is quietest."""
    levels = np.convolve(np.abs(samples).max(axis=1), np.ones(RATE // 5), mode="same")
    levels[: RATE // 2], levels[-RATE // 2 :] = np.inf, np.inf
    return clicked(zeroed(samples, levels.argmin() / RATE - 0.1, levels.argmin() / RATE + 0.1), levels.argmin() / RATE)


def repeated(samples: np.ndarray) -> np.ndarray:
    """A buffer of 1024 samples at 0:09 is played twice, in place of the next one."""
    changed, start = samples.copy(), 9 * RATE
    changed[start + 1024 : start + 2048] = changed[start : start + 1024]
    return changed


def limited(samples: np.ndarray) -> np.ndarray:
    """A limiter of 6 dB, with a release of 50 ms."""
    peak = 0.5 * np.abs(samples).max()
    need = np.minimum(1, peak / np.maximum(np.abs(samples).max(axis=1), 1))
    held = scipy.ndimage.minimum_filter1d(need, round(0.05 * RATE))
    return samples * scipy.ndimage.uniform_filter1d(held, round(0.05 * RATE))[:, None]


def hum(samples: np.ndarray) -> np.ndarray:
    return samples + 330 * np.sin(2 * np.pi * 50 * np.arange(len(samples)) / RATE)[:, None]


def stepped(samples: np.ndarray) -> np.ndarray:
    changed = samples.copy()
    changed[10 * RATE :] += 400
    return changed


def as_mono(folder: Path, _: Path) -> None:
    samples = read(folder / "drums.wav").mean(axis=1).astype(np.int16)
    soundfile.write(folder / "drums.wav", samples, RATE, subtype="PCM_16")


def at_48_khz(folder: Path, _: Path) -> None:
    write(folder / "bass.wav", scipy.signal.resample_poly(read(folder / "bass.wav"), 160, 147, axis=0), 48000)


def accents(folder: Path, root: Path) -> None:
    """Two tracks whose names differ only in the encoding of an accent."""
    recased(folder, root)
    named = folder.parent / unicodedata.normalize("NFC", "Ánna - Song")
    (folder.parent / folder.name.upper()).rename(folder.parent / unicodedata.normalize("NFD", "Ánna - Song"))
    folder.rename(named)


def same_tags(folder: Path, root: Path) -> None:
    """Two tracks with the same title, in two encodings of an accent."""
    other = next(path for path in sorted((root / "train").iterdir()) if path.name != folder.name)
    for path, form in ((folder, "NFC"), (other, "NFD")):
        samples = read(path / "mixture.wav").astype(np.int16)
        (path / "mixture.wav").unlink()
        with soundfile.SoundFile(path / "mixture.wav", "w", RATE, 2, "PCM_16") as file:
            file.title = unicodedata.normalize(form, "Ánna")
            file.write(samples)


def cases() -> Iterator[Case]:
    """Yield all defects."""
    yield Case("vocals and bass exchanged, one at -3 dB", exchanged_within, "bass", ("gain",), {"gain_db": 3.1}, 0.1)
    yield Case("drums in vocals at -25 dB, 5 ms late, summed", late_bleed, "vocals", ("bleed",), {"gain_db": -25}, 1.5)
    yield Case("left channel -3 dB", alone("drums", lambda x: on_channel(x, LEFT, 0.708)), "drums", ("channels",))
    yield Case("clock drift 0.05 %", alone("vocals", lambda x: drifted(x, 5e-4)), "vocals", ("resampled", "shifted"))
    yield Case("resampled 44100/44056", alone("drums", lambda x: resampled(x, 11025, 11014)), "drums", ("resampled",))
    starts = ("dropout", "truncated", "extra", "not_a_sum", "missing")
    yield Case("first 50 ms of sound missing", alone("bass", late_start), "bass", starts)
    flipped = alone("other", lambda x: on_channel(x, RIGHT, -1, 10))
    yield Case("right channel inverted from 0:10 on", flipped, "other", ("channels", "inverted"), position=10)
    yield Case("low-pass 14 kHz, left, summed", summed("drums", one_channel_low_passed), "drums", ("low_pass",))
    short = summed("vocals", lambda x: zeroed(x, 9.5, 9.503))
    yield Case("dropout 3 ms, summed", short, "vocals", ("dropout",), position=9.5)
    yield Case("click in silence, summed", summed("vocals", click_in_silence), "vocals", ("click",), also=("dropout",))
    kinds = ("click", "extra", "repeated", "dropout")
    yield Case("buffer repeated", alone("bass", repeated), "bass", kinds, position=9 + 1024 / RATE)
    yield Case("buffer repeated, summed", summed("other", repeated), "other", kinds, position=9 + 1024 / RATE)
    inverted = alone("vocals", lambda x: on_channel(x, slice(None), -1, 10))
    yield Case("inverted from 0:10 on", inverted, "vocals", ("inverted",), position=10, also=("click",))
    yield Case("mixture limited by 6 dB", alone("mixture", limited), "mixture", ("not_a_sum", "gain"))
    yield Case("DC step at 0:10", alone("vocals", stepped), "vocals", ("dc_offset",), position=10)
    yield Case("DC step at 0:10, summed", summed("vocals", stepped), "vocals", ("dc_offset",), position=10)
    yield Case("hum of 50 Hz at -40 dBFS", alone("vocals", hum), "vocals", ("extra", "hum"))
    yield Case("hum of 50 Hz at -40 dBFS, summed", summed("vocals", hum), "vocals", ("hum",))
    centre = alone("mixture", lambda x: np.repeat(x.mean(axis=1, keepdims=True), 2, axis=1))
    yield Case("mono mixture of stereo stems", centre, "mixture", ("not_a_sum", "dual_mono"))
    yield Case("one channel in the file", as_mono, "drums", ("unreadable",))
    yield Case("resampled to 48 kHz", at_48_khz, "bass", ("rate", "unreadable"))
    yield Case("empty file", lambda folder, _: (folder / "other.wav").write_bytes(b""), "other", ("unreadable",))
    yield Case("names that differ in the encoding of accents", accents, "", ("names",))
    yield Case("one title in two encodings of accents", same_tags, "", ("tags",))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_tree(folder / "clean", num_tracks=NUM_TRACKS, seconds=SECONDS)
        print_cases(cases(), folder / "clean", folder, sys.argv[1:])


if __name__ == "__main__":
    main()
