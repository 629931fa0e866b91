"""python src/dashboard.py: print or save the W&B workspace."""

import json
from dataclasses import dataclass

import wandb
from omegaconf import DictConfig
from wandb.errors import CommError, UsageError

from unmix.reports import wandb_workspace


@dataclass(frozen=True)
class DashboardJob:
    """A workspace to print or save."""

    cfg: DictConfig

    def run(self) -> None:
        """Print the specification, or save the workspace and print its address.

        Raises:
            ValueError: when W&B rejects it.
        """
        cfg = self.cfg
        workspace = wandb_workspace.build(cfg.entity or "entity", cfg.project, cfg.title)
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
    """Check that a workspace to save has an entity and a login to W&B; raises ValueError otherwise."""
    if cfg.save and cfg.entity is None:
        raise ValueError("entity: not given; save=true needs your W&B user or team: entity=me")
    if cfg.save and not wandb.login(prompt=False):
        raise ValueError("save: got true, but nobody is logged in to W&B; run `wandb login`, or leave save=true away")
    return DashboardJob(cfg)
