"""python src/separate.py: the stems of a song, next to it."""

import logging
from pathlib import Path

import torch
import torchaudio
from omegaconf import DictConfig

from unmix.data import pcm
from unmix.models.separator import find_checkpoints, load_separator

log = logging.getLogger(__name__)


def check(cfg: DictConfig) -> None:
    """Refuse an input that is no audio file, checkpoints that are not there, and stems that are there already."""
    source = Path(cfg.input)
    if not source.is_file():
        raise FileNotFoundError(f"input: {source} is not a file")
    pcm.read_header(source)
    for target in find_checkpoints(cfg.ckpt):
        stem = stem_path(source, target)
        if stem.exists() and not cfg.overwrite:
            raise FileExistsError(f"input: {stem} exists; overwrite=true replaces it")


def run(cfg: DictConfig) -> None:
    """Write the stems of a song next to it, at its own rate and with its own channels."""
    source = Path(cfg.input)
    found = find_checkpoints(cfg.ckpt)
    separator = load_separator(cfg.ckpt, niter=cfg.niter, residual=len(found) == 1 and cfg.niter > 0)
    rate = pcm.read_header(source).sample_rate
    mixture = torch.from_numpy(pcm.read_float(source))
    channels, samples = mixture.shape
    at_rate = torchaudio.functional.resample(mixture.expand(max(2, channels), -1), rate, separator.sample_rate)
    device = next(separator.parameters()).device
    estimates = separator(at_rate[None].to(device))[0].cpu()
    back = torchaudio.functional.resample(estimates, separator.sample_rate, rate)
    back = torch.nn.functional.pad(back, (0, max(0, samples - back.shape[-1])))[..., :samples]
    for target, stem in zip(separator.targets, back, strict=True):
        path = stem_path(source, target)
        pcm.write(path, stem.mean(dim=0, keepdim=True).numpy() if channels == 1 else stem.numpy(), rate)
        log.info("%s", path)


def stem_path(source: Path, target: str) -> Path:
    """`song.wav` -> `song.vocals.wav`."""
    return source.with_name(f"{source.stem}.{target}.wav")
