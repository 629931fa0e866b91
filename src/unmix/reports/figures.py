"""Figures of a report: box plots of scores, spectrograms of separated passages."""

import math
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from unmix.dsp.stft import Stft
from unmix.errors import counted
from unmix.evaluation.metrics import BSS_EVAL, Definition
from unmix.evaluation.passages import Passage
from unmix.evaluation.scores import TrackScore

# Okabe and Ito's palette, safe for colour-blind readers; one colour per target.
COLORS = {"vocals": "#0072B2", "drums": "#D55E00", "bass": "#009E73", "other": "#CC79A7"}
GREY = "#999999"

MOST_PANELS = 5  # beside each other in a box plot
ARTIFACTS = ("SAR", "SI-SAR")  # the mixture has no artifacts: its SAR is some 160 dB
RANGE = 80.0  # dB from the brightest to the darkest colour
LOWEST_KHZ, HIGHEST_KHZ = 0.04, 16  # UMX estimates nothing above
FFT_SIZE, HOP = 4096, 1024
ROWS = 256  # of a spectrogram; a panel is about as many pixels high


def png(figure: Figure, dpi: int = 110) -> bytes:
    """Encode a figure as PNG and close it."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    plt.close(figure)
    return buffer.getvalue()


def box_plot(
    rows: Sequence[TrackScore], method: str, baseline: str, definitions: Sequence[Definition] = BSS_EVAL
) -> Figure:
    """Draw a box plot: one panel per metric, a pair of boxes per target, a dot per track; the baseline is grey."""
    targets = list(dict.fromkeys(row.target for row in rows))
    num_rows = math.ceil(len(definitions) / MOST_PANELS)
    num_columns = math.ceil(len(definitions) / num_rows)
    size = (13, 4.2 * num_rows)
    figure, panels = plt.subplots(num_rows, num_columns, figsize=size, layout="constrained", squeeze=False)
    for panel in panels.flat[len(definitions) :]:
        panel.remove()
    for panel, definition in zip(panels.flat, definitions, strict=False):
        for i, target in enumerate(targets):
            for name, offset, color in ((method, -0.19, COLORS.get(target, "black")), (baseline, 0.19, GREY)):
                if name != baseline or definition.name not in ARTIFACTS:
                    values = _values(rows, name, target, definition.name)
                    _box(panel, values, i + offset, color)
                    panel.plot([i + offset] * len(values), values, "o", color=color, markersize=3, alpha=0.8)
        panel.set_title(definition.name)
        panel.set_xticks(range(len(targets)), targets)
        panel.set_xlim(-0.5, len(targets) - 0.5)
        panel.set_ylabel(_axis(definition))
        _clean(panel)
    num_tracks = counted(len({row.track for row in rows}), "track")
    figure.suptitle(f"{method} (colour) and the {baseline} (grey), {num_tracks}")
    return figure


def _axis(definition: Definition) -> str:
    """Label of an axis: the unit, and what a track's value is."""
    of_track = "whole track" if definition.window_seconds is None else f"median over {definition.window_seconds:g} s"
    return ", ".join(filter(None, (definition.unit, of_track)))


def spectrograms(passage: Passage) -> Figure:
    """Draw spectrograms of mixture, reference, estimate and error, side by side on one scale."""
    stems = {**passage.stems, "error": passage.estimate - passage.reference}
    # margins as numbers: measuring every label for them takes as long as drawing
    figure = plt.figure(figsize=(13, 2.8))
    grid = figure.add_gridspec(
        1,
        len(stems) + 1,
        width_ratios=[*[1.0] * len(stems), 0.03],
        left=0.05,
        right=0.955,
        bottom=0.17,
        top=0.9,
        wspace=0.08,
    )
    panels = [figure.add_subplot(grid[0, i]) for i in range(len(stems))]
    edges = torch.logspace(math.log10(LOWEST_KHZ), math.log10(min(passage.sample_rate / 2000, HIGHEST_KHZ)), ROWS + 1)
    levels = {name: _levels(stem, edges * 1000 / passage.sample_rate) for name, stem in stems.items()}
    loudest = max(float(level.max()) for level in levels.values())
    ticks = [khz for khz in (0.1, 1, 10) if edges[0] <= khz <= edges[-1]]
    for panel, (name, level) in zip(panels, levels.items(), strict=True):
        extent = (0, level.shape[1] * HOP / passage.sample_rate, math.log10(edges[0]), math.log10(edges[-1]))
        image = panel.imshow(
            level, extent=extent, aspect="auto", origin="lower", cmap="magma", vmin=loudest - RANGE, vmax=loudest
        )
        panel.set(title=name, xlabel="seconds")
        panel.set_yticks(
            [math.log10(khz) for khz in ticks], [f"{khz:g}" for khz in ticks] if panel is panels[0] else []
        )
    panels[0].set_ylabel("kHz")
    figure.colorbar(image, cax=figure.add_subplot(grid[0, -1]), label="dB")
    return figure


def _levels(stem: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Compute a spectrogram with one row per frequency band: mean power in dB over bins and channels, (rows, frames).

    Drawing one row per pixel instead of one per bin takes a tenth of the time.

    Args:
        stem: (channels, samples).
        edges: limits of the bands, ascending, as shares of the sample rate, (rows + 1,); a band has at least one bin.
    """
    power = Stft(FFT_SIZE, HOP, center=True)(stem).abs().square().mean(dim=0)
    first = (edges[:-1] * FFT_SIZE).round().long().clamp(0, power.shape[0] - 1)
    last = (edges[1:] * FFT_SIZE).round().long().clamp(max=power.shape[0]).maximum(first + 1)
    sums = torch.nn.functional.pad(power.double().cumsum(dim=0), (0, 0, 1, 0))
    mean = (sums[last] - sums[first]) / (last - first)[:, None]
    return 10 * mean.clamp_min(1e-12).log10()


def _box(panel: Any, values: list[float], position: float, color: str) -> None:
    panel.boxplot(
        values,
        positions=[position],
        widths=0.32,
        manage_ticks=False,
        showfliers=False,
        patch_artist=True,
        boxprops={"facecolor": color, "alpha": 0.35, "edgecolor": color},
        whiskerprops={"color": color},
        capprops={"color": color},
        medianprops={"color": color, "linewidth": 2},
    )


def _clean(panel: Any) -> None:
    panel.grid(axis="y", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)


def _values(rows: Sequence[TrackScore], method: str, target: str, metric: str) -> list[float]:
    values = [row.metrics[metric] for row in rows if (row.method, row.target) == (method, target)]
    return [value for value in values if value == value]  # without NaN, which matplotlib would show as no box
