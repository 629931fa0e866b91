"""Loggers for Weights & Biases and TensorBoard, with the same names of metrics as metrics.csv."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor

from unmix.errors import one_line
from unmix.processes import signals

SUMMARIES = {"val/loss": "min", "val/sdr": "max"}


@dataclass(frozen=True)
class Job:
    """A training or an evaluation, as loggers name it.

    Args:
        group: identity of the experiment.
        name: name of the job within the experiment.
        kind: `train`, `sweep` or `evaluate`.
        path: folder of the job's files.
        tags: labels to search for.
    """

    group: str
    name: str
    kind: str
    path: Path
    tags: tuple[str, ...] = ()


class WandbRun(WandbLogger):
    """Logger of a job to one W&B run, which a resumed job continues; works with WANDB_MODE=offline.

    Args:
        job: the job to log; W&B's files go to the folder `wandb` within the job's.
        project, entity: W&B's project, and user or team.
        tags: added to those of the job.
        log_model: whether a finished training uploads best.ckpt and last.ckpt as versions of an artifact with the
            aliases `best` and `latest`; offline, `wandb sync` does so.
    """

    def __init__(
        self, job: Job, *, project: str, entity: str | None = None, tags: Sequence[str] = (), log_model: bool = True
    ) -> None:
        job.path.mkdir(parents=True, exist_ok=True)
        super().__init__(
            project=project,
            entity=entity,
            group=job.group,
            job_type=job.kind,
            name=job.name,
            # the agent of a W&B sweep has chosen an id, and waits for it
            id=None if "WANDB_SWEEP_ID" in os.environ else f"{job.group}-{job.name}",
            save_dir=job.path,
            tags=[*job.tags, *tags],
            resume="allow",
        )
        self.job = job
        self.uploads_model = log_model
        # Lightning passes anonymous=None, and wandb 0.31 warns about it on every run.
        self._wandb_init.pop("anonymous", None)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Upload the checkpoints, and close the run so that the next job of this process gets its own."""
        super().finalize(status)
        if self._experiment is not None:
            if status == "success" and self.uploads_model:
                self._log_checkpoints(self.job.path / "checkpoints")
            self._experiment.finish(exit_code=_exit_code(status))
            self._experiment = None

    @rank_zero_only
    def log_configuration(self, config: dict[str, Any]) -> None:
        import wandb

        try:
            self.experiment.config.update(config, allow_val_change=True)
        except wandb.errors.Error as error:  # the first access logs in
            raise ValueError(f"logger.wandb: {one_line(error)}; or WANDB_MODE=offline logs to files") from error
        for name, best in SUMMARIES.items():  # the value that W&B's table of runs shows
            self.experiment.define_metric(name, step_metric="trainer/global_step", summary=best)

    @rank_zero_only
    def log_summary(self, values: dict[str, Any]) -> None:
        self.experiment.summary.update(values)

    @rank_zero_only
    def log_clip(self, name: str, waveform: Tensor, sample_rate: int, step: int, caption: str | None = None) -> None:
        import wandb

        clip = wandb.Audio(waveform.T.cpu().numpy(), sample_rate, caption)
        self.log_metrics({name: clip}, step)  # type: ignore[dict-item]

    @rank_zero_only
    def log_picture(self, name: str, png: bytes, step: int) -> None:
        import wandb

        self.log_metrics({name: wandb.Image(Image.open(BytesIO(png)))}, step)  # type: ignore[dict-item]

    @rank_zero_only
    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:  # type: ignore[override]
        import wandb

        self.experiment.log({name: wandb.Table(columns=list(columns), data=[list(row) for row in rows])})

    def _log_checkpoints(self, path: Path) -> None:
        """Log the checkpoints in the folder `path` as versions of one artifact.

        W&B gets links within the folder of its run, which do not change when the training goes on before `wandb sync`.
        """
        import wandb

        if self.experiment.disabled:
            return
        links = Path(self.experiment.dir).resolve().parent / "checkpoints"
        links.mkdir(exist_ok=True)
        # W&B moves the alias `latest` to the version that is logged last
        for alias, name in (("best", "best.ckpt"), ("latest", "last.ckpt")):
            if (path / name).is_file():
                artifact = wandb.Artifact(f"{self.job.group}-{self.job.name}", type="model")
                link = str(_linked(path / name, links / name))
                artifact.add_file(link, name="model.ckpt", policy="immutable", skip_cache=True)
                self.experiment.log_artifact(artifact, aliases=[alias])


def _linked(file: Path, link: Path) -> Path:
    """Make a hard link to a file, or a copy where the file system has no links; return its path."""
    link.unlink(missing_ok=True)
    try:
        link.hardlink_to(file)
    except OSError:
        shutil.copyfile(file, link)
    return link


class TensorBoardRun(TensorBoardLogger):
    """Logger to event files in the job's folder `tensorboard`; `tensorboard --logdir outputs/runs` shows them."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.path, name="tensorboard", version="")

    @rank_zero_only
    def log_configuration(self, config: dict[str, Any]) -> None:
        self.experiment.add_text("config", f"```yaml\n{yaml.safe_dump(config, sort_keys=False)}```")

    @rank_zero_only
    def log_summary(self, values: dict[str, Any]) -> None:
        self.log_metrics({name: value for name, value in values.items() if not isinstance(value, str)}, 0)
        for name, value in values.items():
            if isinstance(value, str):
                self.experiment.add_text(name, value)

    @rank_zero_only
    def log_clip(self, name: str, waveform: Tensor, sample_rate: int, step: int, caption: str | None = None) -> None:
        # TensorBoard shows no caption
        mono = waveform.mean(dim=0, keepdim=True).cpu()  # TensorBoard plays mono only
        self.experiment.add_audio(name, mono.clamp(-1, 1), step, sample_rate)

    @rank_zero_only
    def log_picture(self, name: str, png: bytes, step: int) -> None:
        image = Image.open(BytesIO(png)).convert("RGB")
        pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
        self.experiment.add_image(name, pixels.view(image.height, image.width, 3), step, dataformats="HWC")

    @rank_zero_only
    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        self.experiment.add_text(name, "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))


def _exit_code(status: str) -> int:
    """Exit code that the process will have: 0 (success), 130 (Ctrl-C), 75 (another signal) or 1 (failure)."""
    if status == "success":
        return 0
    signum = signals.received()
    return 1 if signum is None else int(signals.Interrupted(signum).code or 1)
