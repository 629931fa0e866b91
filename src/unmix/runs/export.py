"""python src/export.py: writes trained models in formats that other programs read."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from unmix import next_steps, plugins
from unmix.experiments.hold import check_writable
from unmix.weights import checkpoint, files, open_unmix_release, safetensors
from unmix.weights.checkpoint import Checkpoint
from unmix.weights.find import distinct, find_checkpoints

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExportJob:
    """A prepared export: the checkpoints, the format and the path to write."""

    format: str
    checkpoints: list[Checkpoint]
    out: Path
    plugins: list[str]

    def run(self) -> None:
        """Write the best model of each target, and print what to type next."""
        if self.format == "umx":
            open_unmix_release.write_folder(self.checkpoints, self.out)
        else:
            safetensors.write(self.checkpoints, self.out)
        targets = [target for item in self.checkpoints for target in item.targets]
        arguments = [f"ckpt={self.out}", "input=song.wav"]
        arguments += ["residual=true"] if len(targets) == 1 else []  # the Wiener filter needs two sources
        arguments += [f"plugins=[{','.join(self.plugins)}]"] if self.plugins else []
        log.info("%s: %s", self.out, ", ".join(targets))
        if self.format == "umx":
            log.info('in Python: openunmix.utils.load_separator("%s", targets=%s)', self.out, targets)
        log.info("%s", next_steps.script("separate", *arguments))


def prepare(cfg: DictConfig) -> ExportJob:
    """Check the path, and find the checkpoints.

    Raises:
        ValueError: on a model of a plugin that was not named.
        FileNotFoundError: when there are no checkpoints.
        FileExistsError: when the path exists already.
        OSError: when the path cannot be written.
    """
    trusted = plugins.check(cfg.plugins)
    checkpoints = distinct(find_checkpoints(_ckpt(cfg)).values())
    for item in checkpoints:
        checkpoint.check_model(item, trusted)
    if (out := _out(cfg)).exists() and not cfg.overwrite:
        raise FileExistsError(f"out: {out} exists; overwrite=true replaces it, or name another")
    if cfg.format != "umx" and out.is_dir():
        raise IsADirectoryError(f"out: {out} is a folder; format={cfg.format} writes a file: name one")
    check_writable(out if cfg.format == "umx" else out.parent, "out")
    return ExportJob(cfg.format, checkpoints, out, list(cfg.plugins or []))


def _ckpt(cfg: DictConfig) -> str | list[str]:
    return list(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt


def _out(cfg: DictConfig) -> Path:
    if cfg.out is not None:
        return Path(cfg.out)
    if OmegaConf.is_list(cfg.ckpt):
        raise ValueError("out: needed with several checkpoints; name a folder or file")
    name = _name(cfg.ckpt)
    return Path(cfg.paths.out, "exports", f"{name}-umx" if cfg.format == "umx" else f"{name}{files.SAFETENSORS}")


def _name(ckpt: str) -> str:
    """Name an export after the experiment, the run, or the file or release that `ckpt` names."""
    path = Path(ckpt).expanduser().resolve()
    stem = path.stem if path.suffix in (".ckpt", files.SAFETENSORS) else path.name
    run = path.parents[1] if path.parent.name == "checkpoints" else path
    if run == path and not (run / "checkpoints").is_dir():
        return re.sub(r"[^\w.+-]+", "-", stem).strip("-") or "separator"  # a pattern, or a name at W&B
    return "-".join([run.parent.name, run.name, *([stem] if stem not in (run.name, "best") else [])])
