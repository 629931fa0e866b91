import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from unmix.evaluation.metrics import METRICS
from unmix.evaluation.passages import Passage
from unmix.evaluation.scores import TrackScore
from unmix.reports import figures

TARGETS = ("vocals", "drums", "bass", "other")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_rows():
    return [
        TrackScore(method, f"track {shift}", target, dict.fromkeys(METRICS, value + shift))
        for method, value in (("ours", 6.0), ("mixture", 1.0))
        for shift in range(3)
        for target in TARGETS
    ]


def test_box_plot_has_a_panel_a_metric_and_no_box_for_artifacts_of_the_mixture():
    figure = figures.box_plot(make_rows(), "ours", "mixture")
    assert [panel.get_title() for panel in figure.axes] == list(METRICS)
    assert [len(panel.patches) for panel in figure.axes] == [8, 8, 8, 4]


def test_spectrograms_show_a_tone_at_its_pitch_and_no_error_of_a_perfect_estimate():
    tone = torch.sin(2 * np.pi * 3000 * torch.arange(16000) / 16000).expand(2, -1)
    figure = figures.spectrograms(Passage(tone, tone, tone, 16000))
    levels = {panel.get_title(): panel.images[0].get_array() for panel in figure.axes[:4]}
    assert list(levels) == ["mixture", "reference", "estimate", "error"]
    edges = np.geomspace(figures.LOWEST_KHZ, 8, figures.ROWS + 1)
    assert levels["estimate"].shape[0] == figures.ROWS
    assert (levels["estimate"][:, 1:-1].argmax(axis=0) == np.searchsorted(edges, 3) - 1).all()
    assert levels["error"].max() < levels["estimate"].max() - figures.RANGE


def test_a_row_of_a_spectrogram_is_the_mean_power_of_its_bins():
    stem = torch.randn(2, 16000, generator=torch.Generator().manual_seed(0))
    power = figures.Stft(figures.FFT_SIZE, figures.HOP, center=True)(stem).abs().square().mean(dim=0)
    edges = torch.tensor([100, 102, 102.2, 300, 2060]) / figures.FFT_SIZE  # two bins, none, 198, and to the end
    rows = [power[100:102], power[102:103], power[102:300], power[300:]]
    expected = torch.stack([10 * row.mean(dim=0).log10() for row in rows])
    torch.testing.assert_close(figures._levels(stem, edges).float(), expected)


def test_a_picture_is_a_file_and_its_figure_is_closed():
    assert figures.png(plt.figure()).startswith(b"\x89PNG")
    assert not plt.get_fignums()
