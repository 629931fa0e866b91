"""Loudness of programmes after ITU-R BS.1770, and the gains that match it."""

import math

import numpy as np
import numpy.typing as npt

Waveform = npt.NDArray[np.floating]
BLOCK_SECONDS = 0.4  # BS.1770-4 measures blocks of this length, so nothing shorter has a loudness


def integrated(waveform: Waveform, sample_rate: int) -> float:
    """Measure the integrated loudness of a waveform, LUFS, after ITU-R BS.1770-4, by pyloudnorm.

    Args:
        waveform: (channels, samples), one to five channels, full scale at 1.
        sample_rate: Hz.
    Returns:
        Loudness; minus infinity when every block is below the absolute gate of -70 LUFS.
    Raises:
        ValueError: when the waveform is shorter than `BLOCK_SECONDS`.
    """
    import pyloudnorm

    if waveform.shape[-1] < BLOCK_SECONDS * sample_rate:
        seconds = waveform.shape[-1] / sample_rate
        raise ValueError(f"loudness: got {seconds:.2g} s of audio, BS.1770 needs {BLOCK_SECONDS} s or more")
    meter = pyloudnorm.Meter(sample_rate, "DeMan", BLOCK_SECONDS)  # its default filters are 0.04 dB off at 1 kHz
    with np.errstate(divide="ignore"):  # log of silence
        return float(meter.integrated_loudness(waveform.T))


def gain_to(target: float, waveform: Waveform, sample_rate: int) -> float:
    """Compute the factor that brings a waveform to a loudness of `target` LUFS; 1 for silence."""
    loudness = integrated(waveform, sample_rate)
    return 1.0 if math.isinf(loudness) else 10 ** ((target - loudness) / 20)
