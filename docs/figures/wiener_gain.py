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
NUM_SAMPLES, SONG = 6 * 44100, 0
ERROR_DB = 3.0  # standard deviation of the error of every magnitude
PASSES = range(4)
BEFORE, AFTER, MONO, EXACT = "#999999", "#3b8fc7", "#d55e00", "#009e73"


def stems() -> dict[str, Tensor]:
    """Make six seconds of a song of the demo: name -> (channels, samples), full scale at 1."""
    rendered = render_stems(NUM_SAMPLES, seed=0, index=SONG)
    return {name: torch.from_numpy(samples) / 32768 for name, samples in rendered.items()}


def sdr_by_passes(sources: Tensor, error_db: float) -> Tensor:
    """Separate the sum of sources, (sources, channels, samples), from wrong magnitudes; SDR, (passes, sources)."""
    stft = Stft(center=True)
    generator = torch.Generator().manual_seed(0)
    spectrograms = stft(sources)
    errors = error_db * torch.randn(spectrograms[:, :1].shape, generator=generator)  # the same in both channels
    magnitudes = spectrograms.abs() * 10 ** (errors / 20)
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
    in_stereo = sdr_by_passes(stereo, ERROR_DB)
    figure = Figure(figsize=(4.6, 5.0), layout="constrained")
    upper, lower = figure.subplots(2, 1)
    _bars(upper, list(by_name), in_stereo)
    for ratios, label, colour, line in (
        (sdr_by_passes(stereo, 0.0), "exact magnitudes", EXACT, "o--"),
        (in_stereo, "wrong by 3 dB", AFTER, "o-"),
        (sdr_by_passes(dual_mono, ERROR_DB), "the same, dual mono", MONO, "o-"),
    ):
        lower.plot(PASSES, ratios.mean(dim=1), line, color=colour, label=label, markersize=4)
    lower.set(title="Several passes", xlabel="separator.niter", ylabel="mean SDR in dB", xticks=list(PASSES))
    lower.legend(frameon=False, fontsize=8)
    return figure


def _bars(axes: Axes, names: list[str], ratios: Tensor) -> None:
    positions = torch.arange(len(names))
    for offset, passes, label, colour in ((-0.2, 0, "niter=0", BEFORE), (0.2, 1, "niter=1", AFTER)):
        bars = axes.bar(positions + offset, ratios[passes], 0.38, color=colour, label=label)
        axes.bar_label(bars, fmt="%.1f", color=INK, fontsize=7)
    axes.set(title="One pass, magnitudes wrong by 3 dB", ylabel="SDR in dB", xticks=positions, xticklabels=names)
    axes.margins(y=0.25)
    axes.legend(frameon=False, ncols=2, loc="upper left", fontsize=8)


if __name__ == "__main__":
    with matplotlib.rc_context(STYLE):
        save(draw(), PATH)
