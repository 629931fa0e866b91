"""Acoustic fingerprints: codes of a recording that survive gain, resampling, coding and a shift.

After J. Haitsma and T. Kalker, "A highly robust audio fingerprinting system", ISMIR 2002: each bit is the sign of a
difference of band energies along both time and frequency. Sixteen bits every 46 ms are enough to compare two complete
tracks at every lag; among many tracks, `lookup` finds the pairs that are worth it.
"""

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.signal

Floats = npt.NDArray[np.float32]

RATE = 44100  # Hz, to which the next three refer; for other rates all are stretched
DECIMATION = 8
HOP = 2048  # samples from one code to the next
SIZE = 8192  # samples of a spectrum: long beside the hop, so that a shift by half a hop changes few bits
NUM_BITS = 16
LOWEST, HIGHEST = 60 / RATE, 2400 / RATE  # limits of the bands, relative to the sample rate
SILENT = -1  # code of a frame that is silent
_FLOOR = 1e-7  # of a band's power relative to that of a full-scale sine: what lies below is noise of rounding


class Printer:
    """Computes the codes of files, block by block.

    Args:
        num_files: number of files.
        stretch: sample rate over `RATE`, times the factor by which a copy is too slow: its codes are the original's.
    """

    def __init__(self, num_files: int, stretch: float) -> None:
        size = round(SIZE * stretch / DECIMATION)
        self.hop = HOP * stretch / DECIMATION
        self.window = scipy.signal.get_window("hann", size).astype(np.float32)
        self.floor = np.float32(_FLOOR * (32768 * self.window.sum() / 2) ** 2)
        edges = np.geomspace(LOWEST, HIGHEST, NUM_BITS + 2) * SIZE  # a spectrum that is stretched has the same bins
        self.edges = np.maximum.accumulate(np.round(edges).astype(int))
        self.buffer = np.zeros((num_files, 0), dtype=np.float32)
        self.dropped = 0  # decimated samples before the buffer
        self.num_codes = 0
        self.last: Floats | None = None

    def codes(self, mono: Floats) -> npt.NDArray[np.int32]:
        """Codes that the next block completes, (files, codes), each of `NUM_BITS` bits or `SILENT`.

        Args:
            mono: a multiple of `DECIMATION` samples of each file, (files, samples).
        """
        self.buffer = np.concatenate([self.buffer, _decimate(mono)], axis=1)
        size, stop = len(self.window), self.dropped + self.buffer.shape[1]
        starts = self._starts(stop - size)
        if not starts.size:
            return np.zeros((len(mono), 0), dtype=np.int32)
        frames = self.buffer[:, (starts - self.dropped)[:, None] + np.arange(size)] * self.window
        power = np.square(np.abs(scipy.fft.rfft(frames)))
        self.num_codes += len(starts)
        following = round(self.num_codes * self.hop) - self.dropped
        self.buffer, self.dropped = self.buffer[:, following:], self.dropped + min(following, self.buffer.shape[1])
        return self._bits(np.add.reduceat(power, self.edges, axis=-1)[..., :-1])

    def _starts(self, last: int) -> npt.NDArray[np.int64]:
        """First decimated sample of each spectrum that begins at `last` or before, from the next one on."""
        numbers = np.arange(self.num_codes, max(self.num_codes, int(last / self.hop) + 2))
        starts = np.round(numbers * self.hop).astype(np.int64)
        return starts[starts <= last]

    def _bits(self, bands: Floats) -> npt.NDArray[np.int32]:
        is_silent = bands.max(axis=-1) < self.floor
        levels = np.log(bands + self.floor)
        slopes = levels[..., 1:] - levels[..., :-1]
        changes = np.diff(slopes, axis=1, prepend=slopes[:, :1] if self.last is None else self.last)
        self.last = slopes[:, -1:]
        values = (changes > 0) @ (1 << np.arange(NUM_BITS))
        return np.where(is_silent, SILENT, values).astype(np.int32)


def _decimate(mono: Floats) -> Floats:
    """Keep every eighth sample, averaged over its neighbours: aliases are the same in every copy of a recording."""
    mean = np.full(DECIMATION, 1 / DECIMATION, dtype=np.float32)
    return mono.reshape(len(mono), -1, DECIMATION) @ mean
