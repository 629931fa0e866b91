"""python src/dashboard.py: print or save the W&B workspace."""

import json
import os
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO

import wandb
from omegaconf import DictConfig
from wandb.errors import Error as WandbError

from unmix import errors
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
            with _quiet():
                workspace.save()
        except (WandbError, ValueError) as error:
            reason = errors.one_line(error)
            raise ValueError(f"save: W&B does not take it ({reason}); is entity={cfg.entity} right?") from error
        print(workspace.url)  # noqa: T201


def prepare(cfg: DictConfig) -> DashboardJob:
    """Check that a workspace to save has an entity and a login to W&B; raises ValueError otherwise."""
    if cfg.save and cfg.entity is None:
        raise ValueError("entity: not given; save=true needs your W&B user or team: entity=me")
    if cfg.save and (mode := os.environ.get("WANDB_MODE")) in ("offline", "disabled"):
        raise ValueError(f"save: got true, but WANDB_MODE is {mode}; unset it, or leave save=true away")
    if cfg.save and not _is_logged_in():
        raise ValueError("save: got true, but nobody is logged in to W&B; run `wandb login`, or leave save=true away")
    return DashboardJob(cfg)


def _is_logged_in() -> bool:
    """Whether W&B accepts the login of this machine; raises ValueError when it refuses it or cannot be reached."""
    try:
        with _quiet():
            return bool(wandb.login(prompt=False))
    except WandbError as error:
        reason = errors.one_line(error)
        raise ValueError(f"save: got true, but W&B does not take the login ({reason}); run `wandb login`") from error


def _quiet() -> redirect_stderr[StringIO]:
    """Context in which W&B's own lines are not shown: what matters in them is in its errors."""
    return redirect_stderr(StringIO())
