"""python src/separate.py: separates songs into stems with the same sample rate, length and channels as the song."""

import glob
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import Progress, TimeRemainingColumn
from torch import Tensor

from unmix import errors, plugins
from unmix.data import pcm
from unmix.dsp.overlap_add import Read
from unmix.dsp.resampling import num_resampled, ratio, resampled, resampled_blocks
from unmix.models.contract import Separator
from unmix.runs.stems import StemWriter, subtype_of
from unmix.weights import checkpoint
from unmix.weights.find import distinct, find_checkpoints, load

log = logging.getLogger(__name__)

RESIDUAL = "residual"


@dataclass(frozen=True)
class Song:
    """An audio file, and the part of it to separate: samples first .. first + num_samples - 1, at the file's rate."""

    path: Path
    rate: int
    channels: int
    first: int
    num_samples: int


@dataclass(frozen=True)
class SeparateJob:
    """A prepared separation: songs, the loaded separator, and the targets to write."""

    cfg: DictConfig
    songs: list[Song]
    separator: Separator
    targets: list[str]

    def run(self) -> None:
        """Separate one song after the other."""
        for song in self.songs:
            self._separate(song)

    def _separate(self, song: Song) -> None:
        cfg, started = self.cfg, time.perf_counter()
        paths = {name: _stem_path(cfg, song.path, name) for name in _names(cfg, self.targets)}
        with StemWriter(paths, song.rate, song.channels, subtype_of(cfg.format, str(cfg.bits))) as stems:
            blocks = _separated(self.separator, len(self.targets), song, cfg.separator.exact_seconds)
            for block in _with_progress(blocks, song):
                stems.write(_named(cfg, self.targets, *block))
        seconds = song.num_samples / song.rate
        speed = seconds / (time.perf_counter() - started)
        log.info(
            "%s: %.1f s, %.1f times real time -> %s", song.path, seconds, speed, ", ".join(map(str, paths.values()))
        )


def prepare(cfg: DictConfig) -> SeparateJob:
    """Check the input and the files to write, and load the models.

    Raises:
        FileNotFoundError: when a song or checkpoint does not exist.
        FileExistsError: when a stem to write exists already.
        ValueError: on a song that is not audio, unknown targets, or invalid settings.
    """
    located = find_checkpoints(_plain(cfg.ckpt))
    targets = _targets(cfg, list(located))
    trusted = plugins.check(cfg.plugins)
    for item in distinct(located.values()):
        checkpoint.check_model(item, trusted)
    subtype_of(cfg.format, str(cfg.bits))
    songs = _songs(cfg)
    _check_outputs(cfg, songs, targets, next(iter(located.values())).sample_rate)
    chosen = {name: value for name, value in _plain(cfg.separator).items() if name != "exact_seconds"}
    niter = chosen["niter"]
    separator = load(
        {target: located[target] for target in targets},
        "cpu" if cfg.gpus == 0 else None,
        residual=bool(cfg.residual) and niter != 0,
        plugins=trusted,
        **chosen,
    )
    return SeparateJob(cfg, songs, separator, targets)


def _check_outputs(cfg: DictConfig, songs: list[Song], targets: list[str], sample_rate: int) -> None:
    """Check that no two songs share an output, none exists (unless `overwrite`), and all rates can be converted."""
    outputs: dict[Path, Path] = {}
    for song in songs:
        ratio(song.rate, sample_rate)
        for name in _names(cfg, targets):
            path = _stem_path(cfg, song.path, name)
            if path in outputs:
                raise ValueError(f"input: {outputs[path]} and {song.path} would both be written to {path}: rename one")
            outputs[path] = song.path
            if path.exists() and not cfg.overwrite:
                raise FileExistsError(f"input: {path} exists; overwrite=true replaces it")


def _separated(
    separator: Separator, num_targets: int, song: Song, exact_seconds: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Separate a song; yields blocks of mixture (channels, samples) and estimates (targets, channels, samples).

    Channels are separated in groups of as many as the models take; a mono group is duplicated for stereo models.
    """
    file = pcm.FloatReader(song.path)
    width = separator.num_channels
    groups = [range(first, min(first + width, song.channels)) for first in range(0, song.channels, width)]
    num_samples = num_resampled(song.num_samples, song.rate, separator.sample_rate)

    def estimates_of(group: range) -> Iterator[Tensor]:
        def read(start: int, stop: int) -> Tensor:
            samples = torch.from_numpy(file(song.first + start, song.first + stop)[group.start : group.stop])
            return samples.expand(width, -1) if len(group) < width == 2 else samples

        at_rate: Read = resampled(read, song.num_samples, song.rate, separator.sample_rate)
        blocks = separator.stream(at_rate, num_samples, exact_seconds=exact_seconds)
        own_rate = resampled_blocks(
            (block.cpu() for block in blocks), separator.sample_rate, song.rate, song.num_samples
        )
        return (block.mean(dim=1, keepdim=True) if len(group) < width else block for block in own_rate)

    position = song.first
    for parts in zip(*map(estimates_of, groups), strict=True):
        block = torch.cat([part[:num_targets] for part in parts], dim=1)
        mixture = torch.from_numpy(file(position, position + block.shape[-1]))
        position += block.shape[-1]
        yield mixture, block


def _named(cfg: DictConfig, targets: list[str], mixture: Tensor, estimates: Tensor) -> dict[str, Tensor]:
    """Stems to write, by name: the targets or the sums in `aggregate`, and with `residual` the mixture minus these."""
    by_target = dict(zip(targets, estimates, strict=True))
    if cfg.aggregate:
        named = {
            str(name): torch.stack([by_target[one] for one in group]).sum(0) for name, group in cfg.aggregate.items()
        }
    else:
        named = by_target
    return {**named, RESIDUAL: mixture - torch.stack(list(named.values())).sum(0)} if cfg.residual else named


def _with_progress(blocks: Iterator[tuple[Tensor, Tensor]], song: Song) -> Iterator[tuple[Tensor, Tensor]]:
    with Progress(*Progress.get_default_columns()[:-1], TimeRemainingColumn(), transient=True) as progress:
        bar = progress.add_task(song.path.name, total=song.num_samples)
        for block in blocks:
            yield block
            progress.advance(bar, block[0].shape[-1])


def _targets(cfg: DictConfig, found: list[str]) -> list[str]:
    wanted = found if cfg.targets is None else list(cfg.targets)
    for target in (*wanted, *(one for group in cfg.aggregate.values() for one in group)):
        if target not in found:
            raise ValueError(errors.unknown("targets" if target in wanted else "aggregate", target, found))
        if target not in wanted:
            raise ValueError(f"aggregate: got {target!r}, which is not among targets={wanted}: name it there too")
    return wanted


def _names(cfg: DictConfig, targets: list[str]) -> list[str]:
    names = list(map(str, cfg.aggregate)) if cfg.aggregate else targets
    return [*names, RESIDUAL] if cfg.residual else names


def _songs(cfg: DictConfig) -> list[Song]:
    items = _plain(cfg.input)
    paths = [path for item in (items if isinstance(items, list) else [items]) for path in _expanded(str(item))]
    return [_song(path, cfg.start, cfg.duration) for path in dict.fromkeys(paths)]


def _expanded(item: str) -> list[Path]:
    path = Path(item).expanduser()
    if path.is_dir():
        endings = {f".{name.lower()}" for name in soundfile.available_formats()} | {".aif", ".mp3"}
        found = sorted(one for one in path.iterdir() if one.is_file() and one.suffix.lower() in endings)
        if not found:
            raise FileNotFoundError(f"input: no audio file in the folder {path}")
        return found
    if path.is_file():
        return [path]
    found = sorted(map(Path, glob.glob(str(path))))  # noqa: PTH207 - Path.glob takes no absolute pattern
    if not found:
        raise FileNotFoundError(f"input: {path} is not a file, a folder, or a pattern that matches any")
    return [one for one in found if one.is_file()]


def _song(path: Path, start: float, duration: float | None) -> Song:
    if path.suffix.lower() in (".m4a", ".mp4", ".aac", ".wma"):
        raise ValueError(f"input: {path} cannot be read here; convert it first: ffmpeg -i {path.name} {path.stem}.wav")
    header = pcm.read_header(path)
    first = round(start * header.sample_rate)
    left = header.num_samples - first
    if start < 0 or left < 1:
        raise ValueError(f"start: got {start:g} s, {path} has {header.num_samples / header.sample_rate:.2f} s")
    if duration is not None and round(duration * header.sample_rate) < 1:
        raise ValueError(f"duration: got {duration:g} s, a positive number of seconds or null is needed")
    num_samples = left if duration is None else min(left, round(duration * header.sample_rate))
    return Song(path, header.sample_rate, header.num_channels, first, num_samples)


def _stem_path(cfg: DictConfig, source: Path, name: str) -> Path:
    """Path of a stem: `song.wav` -> `song.vocals.wav`, next to the song or in `out`."""
    folder = source.parent if cfg.out is None else Path(cfg.out)
    return folder / f"{source.stem}.{name}.{cfg.format}"


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
