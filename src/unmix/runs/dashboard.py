"""python src/dashboard.py: the W&B workspace as code; what is logged under which name is in `training/loggers.py`."""

import json
import logging
from dataclasses import dataclass
from typing import Any

import wandb
from omegaconf import DictConfig
from wandb.errors import CommError, UsageError
from wandb_workspaces import expr, workspaces
from wandb_workspaces.reports.v2 import interface as panels

from unmix.data.tracks import SOURCES
from unmix.evaluation.metrics import METRICS

log = logging.getLogger(__name__)

HYPERPARAMETERS = ("model.hidden_size", "model.bidirectional", "optimizer.lr", "target")
STEP = "trainer/global_step"
STEMS = ("mixture", "reference", "estimate")


@dataclass(frozen=True)
class DashboardJob:
    """A workspace to print or save."""

    cfg: DictConfig

    def run(self) -> None:
        """Print the specification, or save the workspace and print its address.

        Raises:
            ValueError: when W&B does not take it.
        """
        cfg = self.cfg
        workspace = build(cfg.entity or "entity", cfg.project, cfg.title)
        if not cfg.save:
            print(json.dumps(workspace._spec, indent=2))  # noqa: T201
            return
        try:
            workspace.save()
        except (CommError, UsageError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise ValueError(f"save: W&B does not take it ({reason}); is entity={cfg.entity} right?") from error
        print(workspace.url)  # noqa: T201


def prepare(cfg: DictConfig) -> DashboardJob:
    """Refuse to save a workspace without an entity, or when nobody is logged in."""
    if cfg.save and cfg.entity is None:
        raise ValueError("entity: not given; save=true needs your W&B user or team: entity=me")
    if cfg.save and not wandb.login(prompt=False):
        raise ValueError("save: got true, but nobody is logged in to W&B; run `wandb login`, or leave save=true away")
    return DashboardJob(cfg)


def build(entity: str, project: str, title: str) -> workspaces.Workspace:
    """The workspace: an overview by target, sweeps, test scores, listening, and what the machine does."""
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=title,
        sections=[_overview(), _sweep(), _test_scores(), _listening(), _system()],
        settings=workspaces.WorkspaceSettings(x_axis=STEP, max_runs=40),
        runset_settings=workspaces.RunsetSettings(groupby=[expr.Config("target")]),
    )


def _overview() -> workspaces.Section:
    names = ("val/loss", "val/sdr", "train/loss", "lr", "train/gradient_norm_step")
    return workspaces.Section(name="Overview by target", panels=[_line(name) for name in names], is_open=True)


def _sweep() -> workspaces.Section:
    columns = [panels.ParallelCoordinatesPlotColumn(panels.Config(name)) for name in HYPERPARAMETERS]
    loss = panels.ParallelCoordinatesPlotColumn(panels.SummaryMetric("val/loss"), inverted=True)
    return workspaces.Section(
        name="Sweep",
        panels=[
            panels.ParallelCoordinatesPlot(columns=[*columns, loss], title="Lowest val/loss"),
            panels.ParameterImportancePlot(with_respect_to="val/loss"),
        ],
        is_open=True,
    )


def _test_scores() -> workspaces.Section:
    bars = [
        panels.BarPlot(
            title=f"{target}: test {metric} in dB", metrics=[f"test/{target}/{metric.lower()}"], groupby="group"
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
    names = ("time/audio_seconds_per_second", "time/waiting_for_data", "time/epoch", "system.gpu.0.gpu")
    return workspaces.Section(name="System", panels=[_line(name) for name in names])


def _line(name: str) -> panels.LinePlot:
    return panels.LinePlot(title=name, x=STEP, y=[name])
