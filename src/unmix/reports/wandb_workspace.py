"""The W&B workspace as code: which charts show the metrics that runs log."""

from typing import Any

from wandb_workspaces import expr, workspaces
from wandb_workspaces.reports.v2 import interface as panels

from unmix.data.tracks import SOURCES
from unmix.evaluation.metrics import METRICS

HYPERPARAMETERS = ("model.hidden_size", "model.bidirectional", "optimizer.lr", "target")
PINNED = ("run:displayName", "config:sweep", "summary:val/loss", "summary:test/sdr")  # columns of the table of runs
STEP = "trainer/global_step"
STEMS = ("mixture", "reference", "estimate")
OVERVIEW = ("val/loss", "val/sdr", "train/loss", "lr", "train/gradient_norm_step")
SYSTEM = ("time/audio_seconds_per_second", "time/waiting_for_data", "time/epoch", "system.gpu.0.gpu")


def build(entity: str, project: str, title: str) -> workspaces.Workspace:
    """Build the workspace: an overview by target, sweeps, test scores, audio clips, and the load of the machine."""
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=title,
        sections=[_overview(), _sweep(), _test_scores(), _listening(), _system()],
        settings=workspaces.WorkspaceSettings(x_axis=STEP, max_runs=40),
        runset_settings=workspaces.RunsetSettings(groupby=[expr.Config("target")], pinned_columns=list(PINNED)),
    )


def _overview() -> workspaces.Section:
    return workspaces.Section(name="Overview by target", panels=[_line(name) for name in OVERVIEW], is_open=True)


def _sweep() -> workspaces.Section:
    columns = [panels.ParallelCoordinatesPlotColumn(panels.Config(name)) for name in HYPERPARAMETERS]
    loss = panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric("val/loss"), inverted=True)
    sdr = panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric("test/sdr"))
    size = panels.Config("model.hidden_size")
    return workspaces.Section(
        name="Sweep",
        panels=[
            panels.ParallelCoordinatesPlot(columns=[*columns, loss], title="Lowest val/loss"),
            panels.ParallelCoordinatesPlot(columns=[*columns, sdr], title="Mean test SDR in dB"),
            panels.ScatterPlot(x=size, y=panels.SummaryMetric("test/sdr"), title="Mean test SDR in dB by hidden size"),
            panels.ParameterImportancePlot(with_respect_to="val/loss"),
        ],
        is_open=True,
    )


def _test_scores() -> workspaces.Section:
    bars = [
        panels.BarPlot(
            title=f"{target}: test {metric} in dB", metrics=[f"test/{target}/{metric.lower()}"], groupby="Group"
        )
        for metric in METRICS
        for target in SOURCES
    ]
    pictures = panels.MediaBrowser(title="Box plots", media_keys=["test/boxplot"])
    return workspaces.Section(name="Test scores", panels=[*bars, pictures])


def _listening() -> workspaces.Section:
    clips: list[Any] = [
        panels.MediaBrowser(title=f"{target}: {which}", media_keys=[f"test/{target}/{which}/{stem}" for stem in STEMS])
        for target in SOURCES
        for which in ("best", "worst")
    ]
    return workspaces.Section(name="Listening", panels=clips)


def _system() -> workspaces.Section:
    return workspaces.Section(name="System", panels=[_line(name) for name in SYSTEM])


def _line(name: str) -> panels.LinePlot:
    return panels.LinePlot(title=name, x=STEP, y=[name])
