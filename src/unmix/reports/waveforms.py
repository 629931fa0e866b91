"""Charts of a passage: the whole file, a few milliseconds of it, and its spectrum."""

import re
from collections.abc import Iterable, Mapping
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
import scipy.signal
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unmix.data.doctor.excerpt import Samples
from unmix.data.doctor.finding import clock
from unmix.data.pcm import INT16_FULL_SCALE
from unmix.reports.charts import COLORS, GREY

COLUMNS = 600  # of the envelope of a whole file
ZOOM_SECONDS = 0.02
WIDTH, HEIGHT = 11.0, 2.4  # inches
LOWEST_HZ = 30.0
POINTS = 200  # of a spectrum, at equal distances on the logarithmic axis
_FFT_SIZE = 4096
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titley": 1.02,
    "svg.fonttype": "none",  # keep text as text, not as outlines
    "svg.hashsalt": "unmix",  # fixed ids, so that equal charts give equal files
}


def svg(figure: Figure) -> Markup:
    """Convert a figure to an SVG element for a page, whose black is the colour of the page's text."""
    text = StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    # Without ids on groups, which would clash between the charts of a page.
    element = re.sub(r'<g id="[^"]*">', "<g>", text.getvalue()).replace("#000000", "currentColor")
    return Markup(element[element.index("<svg") :])


def figure(
    blocks: Iterable[Samples], passage: Mapping[str, Samples], start: int, position: float, sample_rate: int
) -> Figure:
    """Draw three panels: envelope of a file, waveforms around a position, spectra of the passage.

    Args:
        blocks: the file from its start, each (channels, samples).
        passage: name -> samples of the passage, the file itself first, (channels, samples).
        start: first sample of the passage.
        position: of the defect, in seconds.
        sample_rate: Hz.
    """
    with matplotlib.rc_context(STYLE):
        drawn = Figure(figsize=(WIDTH, HEIGHT))
        drawn.subplots_adjust(0.045, 0.2, 0.99, 0.87, wspace=0.2)
        whole, zoom, spectrum = (drawn.add_subplot(1, 3, i + 1) for i in range(3))
        _envelope(whole, blocks, position, sample_rate)
        _zoom(zoom, passage, start, position, sample_rate)
        _spectra(spectrum, passage, sample_rate)
    return drawn


def _envelope(axes: Axes, blocks: Iterable[Samples], position: float, sample_rate: int) -> None:
    """Draw lowest and highest samples of a file over time."""
    step = 4096
    lows, highs, total = [], [], 0
    for block in blocks:
        mono = np.pad(block, ((0, 0), (0, -block.shape[-1] % step)))
        lows.append(mono.min(axis=0).reshape(-1, step).min(axis=1))
        highs.append(mono.max(axis=0).reshape(-1, step).max(axis=1))
        total += block.shape[-1]
    low, high = np.concatenate(lows) / INT16_FULL_SCALE, np.concatenate(highs) / INT16_FULL_SCALE
    every = max(1, len(low) // COLUMNS)
    low = np.minimum.reduceat(low, np.arange(0, len(low), every))
    high = np.maximum.reduceat(high, np.arange(0, len(high), every))
    seconds = np.arange(len(low)) * step * every / sample_rate
    axes.fill_between(seconds, low, high, color=COLORS[0], linewidth=0.3)
    axes.axvline(position, color=COLORS[1], linewidth=1)
    axes.set(title="Where in the file is it?", xlabel="seconds", xlim=(0, max(total / sample_rate, 1e-3)))


def _zoom(axes: Axes, passage: Mapping[str, Samples], start: int, position: float, sample_rate: int) -> None:
    """Draw the left channels around the position; the file itself last, on top."""
    width = round(ZOOM_SECONDS * sample_rate)
    length = next(iter(passage.values())).shape[-1]
    first = max(0, min(round(position * sample_rate) - start - width // 2, length - width))
    milliseconds = 1000 * ((start + first + np.arange(width)) / sample_rate - position)
    for (name, samples), color in reversed(list(zip(passage.items(), (COLORS[0], GREY), strict=True))):
        piece = samples[0, first : first + width] / INT16_FULL_SCALE
        axes.plot(milliseconds[: len(piece)], piece, color=color, linewidth=1, label=name)
    axes.axvline(0, color=COLORS[1], linewidth=0.8)
    axes.set(title=f"What happens at {clock(position)}?")
    axes.set_xlabel("milliseconds", loc="left")
    # beside the label, where it covers no curve
    small = {"fontsize": 8, "frameon": False, "handlelength": 1, "columnspacing": 1}
    axes.legend(ncols=2, loc="upper right", bbox_to_anchor=(1.02, -0.12), borderaxespad=0, **small)


def _spectra(axes: Axes, passage: Mapping[str, Samples], sample_rate: int) -> None:
    """Draw the mean power spectra of the passage, in dB below full scale."""
    edges = np.geomspace(LOWEST_HZ, sample_rate / 2, POINTS + 1)
    for (name, samples), color in reversed(list(zip(passage.items(), (COLORS[0], GREY), strict=True))):
        size = min(_FFT_SIZE, samples.shape[-1])
        frequencies, power = scipy.signal.welch(samples.mean(axis=0) / INT16_FULL_SCALE, sample_rate, nperseg=size)
        levels = 10 * np.log10(np.interp(edges, frequencies, power) + 1e-16)
        axes.semilogx(edges / 1000, levels, color=color, linewidth=1, label=name)
    axes.set(title="At which frequencies?", xlabel="kHz", ylabel="dB", xlim=(LOWEST_HZ / 1000, sample_rate / 2000))
    axes.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    axes.grid(alpha=0.3)
