"""Measurements of a track, made in one pass over its files: all that most detectors need, in bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

from unmix.data import pcm
from unmix.data.doctor import files, fingerprint
from unmix.data.tracks import Track

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]

BLOCK = 2**15  # samples read at a time: all rows of a track stay in the cache of a core
FRAME = 1024  # samples of an entry of `energy`
STILL = 64  # samples of an entry of `still`
JOLT = 256  # samples of an entry of `jolts`
FFT_SIZE = 2048
TILE = 4  # spectra of an entry of `tiles`
# Bins at which the bands of `tiles` start, an octave wide; what lies below carries no coherence, only rumble.
BAND_BINS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
# A peak is cut off when it begins or ends with a step like this, int16 steps, and is flat for three samples; the peak
# of a low note is flat as well, but rounded.
CORNER = 16
SLOWER = Fraction(48000, 44100)  # the usual wrong rate


@dataclass(frozen=True)
class Measurement:
    """Measurements of a track; samples are int16 steps, rows are the channels of all files, mixture first.

    Args:
        stems: names of the files, mixture first.
        num_channels: channels of every file.
        sample_rate: Hz.
        num_samples: length of the track.
        peaks: largest and lowest sample of each row, (2, rows).
        num_cut: peaks that are cut off at these two, (2, rows).
        num_full: samples at full scale of each row.
        bits: bitwise or of all samples of each file: low bits that are never set were lost.
        sums: sum of samples per block, (blocks, rows).
        gram: inner products of the rows per block, (blocks, rows, rows).
        energy: sum of squares per `FRAME`, (rows, frames).
        residual: the same of mixture minus sources, (channels, frames).
        still: windows of `STILL` samples that are all equal, (rows, windows).
        jolts: largest second difference per window of `JOLT`, of each file and of the residual, (files + 1, windows).
        spectrum: mean power spectrum, (files, bins).
        tiles: real inner products of the files per `TILE` spectra and octave, (tiles, bands, files, files).
        prints: acoustic fingerprints, see `fingerprint`, (files, codes).
        slow_print: that of the mixture, if it is a copy that is too slow by `SLOWER`, (1, codes).
    """

    stems: tuple[str, ...]
    num_channels: int
    sample_rate: int
    num_samples: int
    peaks: Floats
    num_cut: npt.NDArray[np.int64]
    num_full: npt.NDArray[np.int64]
    bits: npt.NDArray[np.int16]
    sums: Floats
    gram: Floats
    energy: Floats
    residual: Floats
    still: Flags
    jolts: Floats
    spectrum: npt.NDArray[np.float64]
    tiles: Floats
    prints: npt.NDArray[np.int32]
    slow_print: npt.NDArray[np.int32]

    @property
    def sources(self) -> tuple[str, ...]:
        return tuple(stem for stem in self.stems if stem != "mixture")

    def rows(self, stem: str) -> slice:
        """Rows of a file."""
        first = self.stems.index(stem) * self.num_channels
        return slice(first, first + self.num_channels)


def measure(track: Track, stems: Sequence[str]) -> Measurement:
    """Measure a track in one pass.

    Args:
        track: the track.
        stems: names of its files, mixture first.
    Raises:
        ValueError: when a file is shorter than its header says, or holds samples that are NaN or infinite.
    """
    gauge = _Gauge(len(stems), track.num_channels, track.sample_rate, has_mixture="mixture" in stems)
    for block in _blocks(track, stems, gauge.bits):
        gauge.add(block)
    return Measurement(tuple(stems), track.num_channels, track.sample_rate, track.num_samples, **gauge.result())


def downmix(num_channels: int) -> Floats:
    """Weights of the channels in a mono signal: unequal, so that an inverted channel does not cancel another."""
    weights = np.arange(num_channels + 2, 2, -1, dtype=np.float32)
    return weights / weights.sum()


def _blocks(track: Track, stems: Sequence[str], bits: npt.NDArray[np.int16]) -> Iterator[Floats]:
    """Yield blocks of all rows, (rows, BLOCK), the last one filled with zeros; note in `bits` which bits are used."""
    channels = track.num_channels
    readers = [files.Int16Reader(track.path(stem)) for stem in stems]
    try:
        rows = np.zeros((len(stems) * channels, BLOCK), dtype=np.float32)
        for start in range(0, track.num_samples, BLOCK):
            length = min(BLOCK, track.num_samples - start)
            for index, reader in enumerate(readers):
                samples = reader(length)
                rows[index * channels : (index + 1) * channels, :length] = samples.T
                bits[index] |= np.bitwise_or.reduce(samples.reshape(-1))
            rows[:, length:] = 0
            yield rows
    finally:
        for reader in readers:
            reader.close()


class _Gauge:
    """Accumulates the measurements of a track, block by block."""

    def __init__(self, num_files: int, num_channels: int, sample_rate: int, *, has_mixture: bool = True) -> None:
        self.files, self.channels, self.has_mixture = num_files, num_channels, has_mixture
        rows = num_files * num_channels
        self.peaks = np.full((2, rows), -np.inf, dtype=np.float32)
        self.num_cut = np.zeros((2, rows), dtype=np.int64)
        self.num_full = np.zeros(rows, dtype=np.int64)
        self.bits = np.zeros(num_files, dtype=np.int16)
        self.spectrum = np.zeros((num_files, FFT_SIZE // 2 + 1))
        self.num_spectra = 0
        self.window = scipy.signal.get_window("hann", FFT_SIZE).astype(np.float32)
        self.before = np.zeros((num_files + 1, 2), dtype=np.float32)
        stretch = sample_rate / fingerprint.RATE
        self.printer = fingerprint.Printer(num_files, stretch)
        self.slow_printer = fingerprint.Printer(1, stretch * float(SLOWER))
        names = ("sums", "gram", "energy", "residual", "still", "jolts", "tiles", "prints", "slow_print")
        self.parts: dict[str, list[npt.NDArray]] = {name: [] for name in names}

    def add(self, rows: Floats) -> None:
        """Measure a block of all rows, (rows, BLOCK)."""
        channels = self.channels
        residual = np.zeros((channels, BLOCK), dtype=np.float32)
        if self.has_mixture:
            residual = rows[:channels] - rows[channels:].reshape(-1, channels, BLOCK).sum(axis=0)
        self._keep("sums", rows.sum(axis=1)[None])
        self._keep("gram", (rows @ rows.T)[None])
        self._keep("energy", _energy(rows))
        self._keep("residual", _energy(residual))
        self._add_peaks(rows)
        weights = downmix(channels)
        mono = np.empty((self.files + 1, BLOCK), dtype=np.float32)
        np.matmul(weights, rows.reshape(-1, channels, BLOCK), out=mono[:-1])
        np.matmul(weights, residual, out=mono[-1])
        self._keep("jolts", self._jolts(mono))
        self._add_spectra(mono[:-1])
        self._keep("prints", self.printer.codes(mono[:-1]))
        self._keep("slow_print", self.slow_printer.codes(mono[:1]))

    def result(self) -> dict[str, npt.NDArray]:
        """All measurements, by the names of `Measurement`."""
        axis = {"sums": 0, "gram": 0, "tiles": 0}
        joined = {name: np.concatenate(parts, axis=axis.get(name, -1)) for name, parts in self.parts.items()}
        own = {name: getattr(self, name) for name in ("peaks", "num_cut", "num_full", "bits")}
        return {**joined, **own, "spectrum": self.spectrum / max(1, self.num_spectra)}

    def _keep(self, name: str, part: npt.NDArray) -> None:
        self.parts[name].append(part)

    def _add_peaks(self, rows: Floats) -> None:
        windows = rows.reshape(len(rows), -1, STILL)
        across = np.ascontiguousarray(windows.transpose(0, 2, 1))  # three times as fast as along the last axis
        highest, lowest = across.max(axis=1), across.min(axis=1)
        self._keep("still", highest == lowest)
        for side, extremes in enumerate((highest, -lowest)):
            sign = 1 - 2 * side
            for row, peak in enumerate(extremes.max(axis=1)):
                if peak > self.peaks[side, row]:
                    self.peaks[side, row], self.num_cut[side, row] = peak, 0
                if peak == self.peaks[side, row] > 0:
                    touched = windows[row, extremes[row] == peak]
                    self.num_cut[side, row] += _cut_peaks(touched, sign * peak)
                    if peak >= pcm.INT16_FULL_SCALE - 1:
                        self.num_full[row] += int((touched == sign * peak).sum())

    def _jolts(self, mono: Floats) -> Floats:
        """Largest absolute second difference per window; that of a click ends at its window or the next."""
        extended = np.concatenate([self.before, mono], axis=1)
        self.before = mono[:, -2:].copy()
        slope = extended[:, 1:] - extended[:, :-1]
        bend = np.abs(slope[:, 1:] - slope[:, :-1], out=slope[:, 1:])
        return bend.reshape(len(mono), -1, JOLT).max(axis=-1)

    def _add_spectra(self, mono: Floats) -> None:
        frames = mono.reshape(self.files, -1, FFT_SIZE) * self.window
        spectra = scipy.fft.rfft(frames)
        parts = spectra.view(np.float32)  # real and imaginary parts side by side
        for file in range(self.files):
            flat = np.square(parts[file]).sum(axis=0)
            self.spectrum[file] += flat[::2] + flat[1::2]
        self.num_spectra += frames.shape[1]
        tiles = parts.reshape(self.files, -1, TILE, parts.shape[-1]).transpose(1, 0, 2, 3)
        grams = []
        for first, stop in pairwise(BAND_BINS):
            band = np.ascontiguousarray(tiles[..., 2 * first : 2 * stop]).reshape(len(tiles), self.files, -1)
            grams.append(band @ band.transpose(0, 2, 1))
        self._keep("tiles", np.stack(grams, axis=1))


def _energy(rows: Floats) -> Floats:
    frames = rows.reshape(len(rows), -1, FRAME)
    return np.einsum("rft,rft->rf", frames, frames)


def _cut_peaks(windows: Floats, peak: float) -> int:
    """Count flat runs at the peak that begin, or else end, at a corner; windows are (windows, samples)."""
    is_flat = windows == peak
    edge, inside = ~is_flat[:, :-3], is_flat[:, 1:-2] & is_flat[:, 2:-1]
    begins = edge & inside & is_flat[:, 3:] & (np.abs(windows[:, :-3] - peak) >= CORNER)
    inside = is_flat[:, :-3] & is_flat[:, 1:-2] & is_flat[:, 2:-1]
    ends = inside & ~is_flat[:, 3:] & (np.abs(windows[:, 3:] - peak) >= CORNER)
    return int(np.maximum(begins.sum(axis=1), ends.sum(axis=1)).sum())
