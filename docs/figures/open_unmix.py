"""Draw docs/images/open_unmix.svg: the stages of Open-Unmix, with the shapes that its code gives six seconds of stereo.

python docs/figures/open_unmix.py
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from themed_svg import INK, PAPER, SOFT, STYLE, save
from torch import Tensor, nn

from unmix.dsp.stft import Stft
from unmix.models.open_unmix import OpenUnmix
from unmix.models.open_unmix.separator import Separator

PATH = Path(__file__).parents[1] / "images" / "open_unmix.svg"
TARGETS = ("vocals", "drums", "bass", "other")
SAMPLE_RATE, SECONDS = 44100, 6

MIX, NETWORK, FILTER = "#9fc5e8", "#ffd28a", "#a8dcb5"  # light enough for dark text in either theme
TEXT_IN_BOX = "#15181b"
LEFT, RIGHT, ROW, BOX = 0.5, 7.6, 1.0, 0.56  # of the boxes, in units of the drawing
# Title, the axes of the result, where its shape is recorded, colour.
STAGES = (
    ("mixture", "batch, channels, samples", "mixture", MIX),
    ("STFT: 4096 samples, hop 1024", "batch, channels, bins, frames (complex)", "stft", MIX),
    ("magnitude, cropped to 16 kHz, normalised", "frames x batch, channels x bins", "cropped", NETWORK),
    ("fc1, BatchNorm, tanh", "frames, batch, hidden", "hidden", NETWORK),
    ("LSTM: 3 layers, both directions", "frames, batch, hidden", "lstm", NETWORK),
    ("join with the LSTM's input", "frames x batch, 2 x hidden", "skipped", NETWORK),
    ("fc2, BatchNorm, ReLU", "frames x batch, hidden", "code", NETWORK),
    ("fc3, BatchNorm, scale, mean, ReLU: the mask", "frames x batch, channels x bins", "mask", NETWORK),
    ("mask x magnitude", "batch, channels, bins, frames", "magnitude", NETWORK),
    ("magnitudes of the four networks", "batch, sources, channels, bins, frames", "magnitudes", FILTER),
    ("Wiener filter with the complex mixture", "batch, sources, channels, bins, frames (complex)", "refined", FILTER),
    ("inverse STFT: stems", "batch, sources, channels, samples", "stems", MIX),
)
# Arrows beside the boxes: from stage, to stage, place, what is passed on, colour behind it.
BYPASSES = (
    (3, 5, 8.0, "skip", SOFT),
    (1, 8, 8.45, "magnitude", SOFT),
    (1, 10, 9.75, "complex spectrogram", PAPER),
)
GROUP_LABEL, GROUP_RIGHT, WIDTH = 8.95, 9.25, 10.15


def shapes() -> dict[str, tuple[int, ...]]:
    """Separate six seconds with untrained networks; return the shapes of what the stages compute, by their names."""
    seen: dict[str, tuple[int, ...]] = {}

    def recorded(name: str, *, of_input: bool = False) -> Callable[[nn.Module, Any, Any], None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], result: Tensor | tuple[Tensor, ...]) -> None:
            value = given[0] if of_input else result if isinstance(result, Tensor) else result[0]
            seen[name] = tuple(value.shape)

        return hook

    network = OpenUnmix().eval()
    separator = Separator(dict.fromkeys(TARGETS, network), Stft(center=True), sample_rate=SAMPLE_RATE)
    separator.stft.register_forward_hook(recorded("stft"))
    network.fc1.register_forward_hook(recorded("cropped", of_input=True))
    network.lstm.register_forward_hook(recorded("hidden", of_input=True))
    network.lstm.register_forward_hook(recorded("lstm"))
    network.fc2.register_forward_hook(recorded("skipped", of_input=True))
    network.fc3.register_forward_hook(recorded("code", of_input=True))
    network.fc3.register_forward_hook(recorded("mask"))
    network.register_forward_hook(recorded("magnitude"))
    refine = separator.refine

    def refine_and_record(magnitudes: Tensor, mixture: Tensor) -> Tensor:
        refined = refine(magnitudes, mixture)
        seen.update(magnitudes=tuple(magnitudes.shape), refined=tuple(refined.shape))
        return refined

    separator.refine = refine_and_record
    mixture = torch.zeros(1, 2, SECONDS * SAMPLE_RATE)
    return {"mixture": tuple(mixture.shape), "stems": tuple(separator(mixture).shape), **seen}


def draw() -> Figure:
    """Draw all stages from top to bottom, with the shape of each result below its box."""
    of_stage = shapes()
    figure = Figure(figsize=(4.9, 8.2))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(-len(STAGES) * ROW - 0.05, 0.3))
    axes.axis("off")
    in_network = [row for row, stage in enumerate(STAGES) if stage[3] == NETWORK]
    _group(axes, in_network[0], in_network[-1], "one network per target")
    for row, (title, words, name, colour) in enumerate(STAGES):
        _stage(axes, row, title, f"{words}\n{' x '.join(map(str, of_stage[name]))}", colour)
    for bypass in BYPASSES:
        _bypass(axes, *bypass)
    return figure


def _stage(axes: Axes, row: int, title: str, shape: str, colour: str) -> None:
    """Draw a box, the arrow to the next one, and beside it what passes."""
    top = -row * ROW
    style = {"boxstyle": "round,pad=0,rounding_size=0.14", "facecolor": colour, "edgecolor": INK, "linewidth": 0.8}
    axes.add_patch(FancyBboxPatch((LEFT, top - BOX), RIGHT - LEFT, BOX, zorder=2, **style))
    axes.text((LEFT + RIGHT) / 2, top - BOX / 2, title, color=TEXT_IN_BOX, ha="center", va="center", zorder=3)
    if row < len(STAGES) - 1:
        _arrow(axes, (LEFT + 0.5, top - BOX), (LEFT + 0.5, top - ROW))
    middle = top - (BOX + ROW) / 2
    axes.text(LEFT + 0.8, middle, shape, color=INK, ha="left", va="center", fontsize=7, linespacing=1.15, zorder=3)


def _group(axes: Axes, first: int, last: int, label: str) -> None:
    """Shade the stages of a network."""
    top, bottom = -first * ROW + 0.06, -last * ROW - BOX - 0.06
    style = {"boxstyle": "round,pad=0,rounding_size=0.2", "facecolor": SOFT, "edgecolor": "none"}
    axes.add_patch(FancyBboxPatch((LEFT - 0.3, bottom), GROUP_RIGHT - LEFT + 0.3, top - bottom, zorder=0, **style))
    axes.text(GROUP_LABEL, (top + bottom) / 2, label, color=INK, rotation=270, ha="center", va="center", zorder=1)


def _bypass(axes: Axes, first: int, last: int, x: float, label: str, behind: str) -> None:
    """Draw an arrow that leads past the stages between two others."""
    start, end = -first * ROW - BOX / 2, -last * ROW - BOX / 2
    axes.plot([RIGHT, x, x], [start, start, end], color=INK, linewidth=0.9, zorder=1)
    _arrow(axes, (x, end), (RIGHT, end))
    label_style = {"color": INK, "rotation": 270, "ha": "center", "va": "center", "fontsize": 7, "zorder": 2}
    axes.text(x, (start + end) / 2, label, bbox={"facecolor": behind, "edgecolor": "none", "pad": 1}, **label_style)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": INK, "linewidth": 0.9, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 8}
    axes.annotate("", end, start, arrowprops=style, zorder=1)


if __name__ == "__main__":
    with matplotlib.rc_context(STYLE):
        save(draw(), PATH)
