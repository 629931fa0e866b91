"""Loggers beside metrics.csv."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only


class WandbRun(WandbLogger):
    """One W&B run per job, with an id that a resumed job finds again; works with WANDB_MODE=offline.

    Args:
        project, group, name, tags: as W&B's.
        run_id: stable over resumes.
        save_dir: W&B keeps its files in the folder `wandb` of it.
    """

    def __init__(
        self, *, project: str, group: str, name: str, run_id: str, save_dir: str | Path, tags: Sequence[str] = ()
    ) -> None:
        Path(save_dir).mkdir(parents=True, exist_ok=True)
        super().__init__(
            project=project, group=group, name=name, id=run_id, save_dir=save_dir, tags=list(tags), resume="allow"
        )
        # Lightning passes it as None, and wandb 0.31 warns about it on every run.
        self._wandb_init.pop("anonymous", None)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the run: without this, the next job of a sweep in the same process would go on writing into it."""
        super().finalize(status)
        if self._experiment is not None:
            self._experiment.finish(exit_code=0 if status == "success" else 1)
            self._experiment = None

    def log_configuration(self, config: dict[str, Any]) -> None:
        """Show the resolved configuration, nested, beside the curves."""
        self.experiment.config.update(config, allow_val_change=True)
