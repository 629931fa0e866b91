"""python src/dashboard.py: print or save the W&B workspace."""

from dataclasses import dataclass

from omegaconf import DictConfig

from unmix.reports import wandb_workspace
from unmix.runs import wandb_views


@dataclass(frozen=True)
class DashboardJob:
    """A workspace to print or save."""

    cfg: DictConfig

    def run(self) -> None:
        """Print the specification, or save the workspace and print its address; raises as `print_or_save`."""
        cfg = self.cfg
        workspace = wandb_workspace.build(cfg.entity or "entity", cfg.project, cfg.title)
        wandb_views.print_or_save(workspace, workspace._spec, cfg)


def prepare(cfg: DictConfig) -> DashboardJob:
    """Check that a workspace can be saved, if it is to be; raises ValueError otherwise."""
    wandb_views.check_can_save(cfg)
    return DashboardJob(cfg)
