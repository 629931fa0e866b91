"""Views of W&B, workspaces and reports: printed, or saved."""

import json
import os
import sys
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import wandb
from omegaconf import DictConfig
from wandb.errors import Error as WandbError

from unmix import errors, next_steps


def check_can_save(cfg: DictConfig) -> None:
    """Check that a view to save has an entity and a login to W&B; raises ValueError otherwise."""
    if not cfg.save:
        return
    if cfg.entity is None:
        raise ValueError("entity: not given; save=true needs your W&B user or team: entity=me")
    if (mode := os.environ.get("WANDB_MODE")) in ("offline", "disabled"):
        raise ValueError(f"save: got true, but WANDB_MODE is {mode}; unset it, or leave save=true away")
    if not _is_logged_in():
        raise ValueError("save: got true, but nobody is logged in to W&B; run `wandb login`, or leave save=true away")


def print_or_save(view: Any, specification: Any, cfg: DictConfig) -> None:
    """Print the specification of a view, or save the view and print its address.

    Raises:
        ValueError: when W&B rejects it.
    """
    if not cfg.save:
        print(json.dumps(specification, indent=2))  # noqa: T201 - for machines, so that the hint goes elsewhere
        entity = ["entity=me"] if cfg.entity is None else []
        print(next_steps.again(*entity, "save=true"), file=sys.stderr)  # noqa: T201
        return
    try:
        with _quiet():
            view.save()
    except (WandbError, ValueError) as error:
        reason = errors.one_line(error)
        raise ValueError(f"save: W&B does not take it ({reason}); is entity={cfg.entity} right?") from error
    print(view.url)  # noqa: T201


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
