"""python src/export.py: trained networks in the form that others read."""

import logging
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from unmix import errors
from unmix.models import pretrained, sharing
from unmix.models.separator import find_checkpoints

log = logging.getLogger(__name__)

FORMATS = ("umx", "safetensors")


def check(cfg: DictConfig) -> None:
    """Refuse an unknown format, checkpoints that are not there, and a result that is there already."""
    if cfg.format not in FORMATS:
        raise ValueError(errors.unknown("format", cfg.format, FORMATS))
    find_checkpoints(_ckpt(cfg))
    if (out := _out(cfg)).exists() and not cfg.overwrite:
        raise FileExistsError(f"out: {out} exists; overwrite=true replaces it, or name another")


def run(cfg: DictConfig) -> None:
    """Write the best network of each target."""
    found, out = find_checkpoints(_ckpt(cfg)), _out(cfg)
    if cfg.format == "umx":
        pretrained.write_folder(found, out)
    else:
        sharing.write(found, out)
    log.info("%s: %s", out, ", ".join(found))


def _ckpt(cfg: DictConfig) -> str | list[str]:
    return list(cfg.ckpt) if OmegaConf.is_list(cfg.ckpt) else cfg.ckpt


def _out(cfg: DictConfig) -> Path:
    if cfg.out is not None:
        return Path(cfg.out)
    if OmegaConf.is_list(cfg.ckpt):
        raise ValueError("out: needed with several checkpoints; name a folder or file")
    name = Path(cfg.ckpt).resolve().name
    return Path(f"{name}-umx" if cfg.format == "umx" else f"{name}{sharing.ENDING}")
