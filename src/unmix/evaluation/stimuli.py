"""Stimuli of a listening test: anchors, and clips of equal loudness.

ITU-R BS.1534-3, section 5: a trial has a hidden reference, a low anchor (reference low-passed at 3.5 kHz) and a middle
anchor (7 kHz). In tests of source separation the mixture shows what no separation at all is worth.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import signal

from unmix.dsp import loudness

Waveform = npt.NDArray[np.floating]
ANCHORS = {"anchor35": 3500.0, "anchor70": 7000.0}  # pass bands in Hz; names as in webMUSHRA
STOP_BAND_DB = 60.0  # BS.1534-3 asks for 50 dB one seventh and more above the pass band
PEAK = 10 ** (-1 / 20)  # dBFS -1


def anchor(reference: Waveform, cutoff: float, sample_rate: int) -> Waveform:
    """Low-pass a reference with linear phase: 0.1 dB up to `cutoff`, 60 dB from `cutoff` * 8 / 7 on.

    Args:
        reference: (channels, samples).
        cutoff: end of the pass band, Hz.
        sample_rate: Hz.
    Returns:
        The anchor, as long as the reference; a copy of the reference when its rate has nothing to take away.
    """
    stop = cutoff * 8 / 7
    if stop >= sample_rate / 2:
        return reference.copy()
    taps, beta = signal.kaiserord(STOP_BAND_DB, (stop - cutoff) / (sample_rate / 2))
    kernel = signal.firwin(taps | 1, (cutoff + stop) / 2, window=("kaiser", beta), fs=sample_rate)
    return signal.oaconvolve(reference, kernel[None], mode="same", axes=-1)


def level(stimuli: Mapping[str, Waveform], sample_rate: int, target: float) -> dict[str, Waveform]:
    """Bring all stimuli of a trial to one loudness, and lower all of them together where a peak would exceed -1 dBFS.

    Args:
        stimuli: name -> (channels, samples); silence stays silence.
        sample_rate: Hz.
        target: integrated loudness, LUFS (ITU-R BS.1770).
    """
    matched = {name: waveform * loudness.gain_to(target, waveform, sample_rate) for name, waveform in stimuli.items()}
    peak = max(float(np.abs(waveform).max()) for waveform in matched.values())
    return {name: waveform * min(1.0, PEAK / max(peak, 1e-9)) for name, waveform in matched.items()}
