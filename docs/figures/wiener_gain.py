"""Draw docs/images/wiener_gain.svg: what passes of the Wiener filter gain on six seconds of the demo's music.

python docs/figures/wiener_gain.py
"""

from pathlib import Path

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from themed_svg import INK, STYLE, save
from torch import Tensor

from unmix import wiener
from unmix.demo.tree import render_stems
from unmix.dsp.stft import Stft

PATH = Path(__file__).parents[1] / "images" / "wiener_gain.svg"
NUM_SAMPLES, SONG = 6 * 44100, 1
ERROR_DB = 6.0  # standard deviation of the error of every magnitude
PASSES = range(5)
BEFORE, AFTER, MONO = "#999999", "#0072b2", "#d55e00"


def stems() -> dict[str, Tensor]:
    """Make six seconds of a song of the demo: name -> (channels, samples), full scale at 1."""
    rendered = render_stems(NUM_SAMPLES, seed=0, index=SONG)
    return {name: torch.from_numpy(samples) / 32768 for name, samples in rendered.items()}


def sdr_by_passes(sources: Tensor) -> Tensor:
    """Separate the sum of sources, (sources, channels, samples), from wrong magnitudes: SDR, (passes, sources)."""
    stft = Stft(center=True)
    generator = torch.Generator().manual_seed(0)
    spectrograms = stft(sources)
    error_db = ERROR_DB * torch.randn(spectrograms[:, 0].shape, generator=generator)
    magnitudes = spectrograms.abs() * 10 ** (error_db / 20).unsqueeze(1)
    mixture = stft(sources.sum(dim=0))
    ratios = []
    for passes in PASSES:
        refined = wiener(magnitudes[None], mixture[None], iterations=passes)[0]
        error = stft.inverse(refined, num_samples=NUM_SAMPLES) - sources
        ratios.append(10 * torch.log10(sources.square().sum(dim=(1, 2)) / error.square().sum(dim=(1, 2))))
    return torch.stack(ratios)


def draw() -> Figure:
    """Draw SDR by source without and with one pass, and mean SDR by the number of passes."""
    by_name = stems()
    stereo = torch.stack(list(by_name.values()))
    dual_mono = stereo.mean(dim=1, keepdim=True).expand_as(stereo)
    in_stereo, in_mono = sdr_by_passes(stereo), sdr_by_passes(dual_mono)
    figure = Figure(figsize=(5.4, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bars(left, list(by_name), in_stereo)
    for ratios, label, colour in ((in_stereo, "stereo", AFTER), (in_mono, "dual mono", MONO)):
        right.plot(PASSES, ratios.mean(dim=1), "o-", color=colour, label=label, markersize=4)
    right.set(title="Passes", xlabel="separator.niter", ylabel="mean SDR in dB", xticks=list(PASSES))
    right.legend(frameon=False)
    return figure


def _bars(axes: Axes, names: list[str], ratios: Tensor) -> None:
    positions = torch.arange(len(names))
    for offset, passes, label, colour in ((-0.2, 0, "niter=0", BEFORE), (0.2, 1, "niter=1", AFTER)):
        bars = axes.bar(positions + offset, ratios[passes], 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", color=INK, fontsize=7)
    axes.set(title="One pass, stereo", ylabel="SDR in dB", xticks=positions, xticklabels=names)
    axes.margins(y=0.25)
    axes.legend(frameon=False, ncols=2, loc="upper left", fontsize=8)


if __name__ == "__main__":
    with matplotlib.rc_context(STYLE):
        save(draw(), PATH)
