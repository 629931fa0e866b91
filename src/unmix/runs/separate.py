"""python src/separate.py: separates songs into stems with the same sample rate, length and channels as the song."""

import logging
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from unmix import errors, next_steps, plugins, time_left
from unmix.composition import quoted
from unmix.data.memory import keep_freed_memory
from unmix.dsp.overlap_add import Read
from unmix.dsp.resampling import num_resampled, resampled, resampled_blocks
from unmix.experiments.hold import check_writable
from unmix.models.contract import Separator
from unmix.processes import signals
from unmix.runs import songs as files
from unmix.runs.songs import Audio, Song
from unmix.runs.stems import StemWriter, subtype_of
from unmix.time_left import Watch
from unmix.weights import checkpoint
from unmix.weights.find import distinct, find_checkpoints, load

log = logging.getLogger(__name__)

RESIDUAL = "residual"


@dataclass(frozen=True)
class SeparateJob:
    """A prepared separation: songs, the loaded separator, the targets to write, and why other files are unreadable.

    `has_data` is true when the models name the data that they were trained on.
    """

    cfg: DictConfig
    songs: list[Song]
    separator: Separator
    targets: list[str]
    unreadable: Mapping[Path, str]
    has_data: bool

    def run(self) -> None:
        """Separate one song after the other; songs that fail are listed at the end.

        Raises:
            ValueError: when the only song fails.
            Reported: when some of several files failed.
        """
        keep_freed_memory()
        failed = dict(self.unreadable)
        num_files = len(self.songs) + len(failed)
        watch = Watch(len(self.songs))
        try:
            for number, song in enumerate(self.songs):
                num_done = number + len(self.unreadable) - len(failed)
                with signals.explained(partial(self._kept, num_done, self.songs[number:])):
                    try:
                        line = self._separate(song)
                    except ValueError as error:
                        if num_files == 1:
                            raise
                        failed[song.path] = files.reason(error, song.path)
                        continue
                log.info("%s", watch.numbered(number + 1, line) if len(self.songs) > 1 else line)
        finally:  # also when a full disk or Ctrl-C ends the command
            if failed:
                head = f"{len(failed)} of {num_files} files were not separated:"
                print(f"separate: {head}", *files.by_reason(failed), sep="\n  ", file=sys.stderr)  # noqa: T201
        if failed:
            raise errors.Reported(f"{head} {'; '.join(files.by_reason(failed))}")
        data = [] if self.has_data else ["data=demo"]  # of the page, which takes any song
        arguments = [*next_steps.from_command_line("ckpt", "paths"), *data, "serve=true"]
        log.info("%s", next_steps.script("listen", *arguments))

    def _kept(self, num_done: int, left: Sequence[Song]) -> str:
        """Describe what an interrupted separation has written, and how the songs that are left are separated."""
        if not num_done:
            return "no stem is written; the same command begins again"
        listed = ",".join(quoted(str(song.path), '"') for song in left)
        total = errors.counted(len(self.songs), "song is", "songs are")
        given = shlex.quote(f"input=[{listed}]")
        return f"{num_done} of {total} separated; for the others: the same command with {given}"

    def _separate(self, song: Song) -> str:
        """Separate a song; return a line about it."""
        cfg, started = self.cfg, time.perf_counter()
        paths = {name: _stem_path(cfg, song.path, name) for name in _names(cfg, self.targets)}
        with closing(song.open(next(iter(paths.values())).parent)) as audio:
            samples = files.part(song.path, audio.num_samples, song.rate, cfg.start, cfg.duration)
            blocks = separated(self.separator, len(self.targets), song, audio, samples, cfg.separator.exact_seconds)
            with StemWriter(paths, song.rate, song.channels, subtype_of(cfg.format, str(cfg.bits))) as stems:
                for block in _with_progress(blocks, song.path.name, len(samples)):
                    stems.write(_named(cfg, self.targets, *block))
        seconds = len(samples) / song.rate
        speed = pace(seconds, time.perf_counter() - started)
        return f"{song.path}: {seconds:.1f} s, {speed} -> {', '.join(map(str, paths.values()))}"


def pace(audio_seconds: float, seconds: float) -> str:
    """Format the speed of a separation: `5.1x faster than real time`, `1.3x slower than real time`."""
    if seconds <= audio_seconds:
        return f"{audio_seconds / seconds:.1f}x faster than real time"
    return f"{seconds / audio_seconds:.1f}x slower than real time"


def prepare(cfg: DictConfig) -> SeparateJob:
    """Check the input and the files to write, and load the models.

    Raises:
        FileNotFoundError: when a song or checkpoint does not exist.
        FileExistsError: when a stem to write exists already.
        OSError: when the folder of the stems cannot be written.
        ValueError: when no song can be read, or on unknown targets or invalid settings.
    """
    located = find_checkpoints(_plain(cfg.ckpt))
    targets = _targets(cfg, list(located))
    trusted = plugins.check(cfg.plugins)
    for item in distinct(located.values()):
        checkpoint.check_model(item, trusted)
    sample_rate = next(iter(located.values())).sample_rate
    songs, unreadable = files.find(_items(cfg), sample_rate, cfg.start)
    _check_outputs(cfg, songs, targets)
    chosen = {name: value for name, value in _plain(cfg.separator).items() if name != "exact_seconds"}
    niter = chosen["niter"]
    separator = load(
        {target: located[target] for target in targets},
        "cpu" if cfg.gpus == 0 else None,
        residual=bool(cfg.residual) and niter != 0,
        plugins=trusted,
        **chosen,
    )
    has_data = any(item.config["data"]["root"] is not None for item in located.values())
    return SeparateJob(cfg, songs, separator, targets, unreadable, has_data)


def _check_outputs(cfg: DictConfig, songs: Sequence[Song], targets: list[str]) -> None:
    """Check that no two songs share an output, none exists (unless `overwrite`), and all can be written."""
    outputs: dict[Path, Path] = {}
    for song in songs:
        for name in _names(cfg, targets):
            path = _stem_path(cfg, song.path, name)
            if path in outputs:
                raise ValueError(f"input: {outputs[path]} and {song.path} would both be written to {path}: rename one")
            outputs[path] = song.path
            if path.exists() and not cfg.overwrite:
                raise FileExistsError(f"input: {path} exists; overwrite=true replaces it")
    for folder in dict.fromkeys(path.parent for path in outputs):
        check_writable(folder, "out")


def separated(
    separator: Separator, num_targets: int, song: Song, audio: Audio, samples: range, exact_seconds: float
) -> Iterator[tuple[Tensor, Tensor]]:
    """Separate a song; yields blocks of mixture (channels, samples) and estimates (targets, channels, samples).

    Channels are separated in groups of as many as the models take; a mono group is duplicated for stereo models.
    """
    width = separator.num_channels
    groups = [range(first, min(first + width, song.channels)) for first in range(0, song.channels, width)]
    num_samples = num_resampled(len(samples), song.rate, separator.sample_rate)

    def estimates_of(group: range) -> Iterator[Tensor]:
        def read(start: int, stop: int) -> Tensor:
            block = torch.from_numpy(audio(samples[0] + start, samples[0] + stop)[group.start : group.stop])
            return block.expand(width, -1) if len(group) < width == 2 else block

        at_rate: Read = resampled(read, len(samples), song.rate, separator.sample_rate)
        blocks = separator.stream(at_rate, num_samples, exact_seconds=exact_seconds)
        own_rate = resampled_blocks((block.cpu() for block in blocks), separator.sample_rate, song.rate, len(samples))
        return (block.mean(dim=1, keepdim=True) if len(group) < width else block for block in own_rate)

    position = samples[0]
    for parts in zip(*map(estimates_of, groups), strict=True):
        block = torch.cat([part[:num_targets] for part in parts], dim=1)
        mixture = torch.from_numpy(audio(position, position + block.shape[-1]))
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


def _with_progress(
    blocks: Iterator[tuple[Tensor, Tensor]], name: str, num_samples: int
) -> Iterator[tuple[Tensor, Tensor]]:
    with time_left.shown(name, num_samples) as update:
        num_done = 0
        for block in blocks:
            yield block
            num_done += block[0].shape[-1]
            update(num_done)


def _targets(cfg: DictConfig, known: list[str]) -> list[str]:
    """List the targets to write, after a check that the models estimate them and those of `aggregate`."""
    chosen = _plain(cfg.targets)
    wanted = known if chosen is None else [chosen] if isinstance(chosen, str) else list(chosen)
    sums = {f"aggregate.{name}": group for name, group in cfg.aggregate.items()}
    for key, targets in {"targets": wanted, **sums}.items():
        for target in targets:
            if target not in known:
                raise ValueError(errors.unknown(key, target, known))
            if target not in wanted:
                raise ValueError(f"{key}: got {target!r}, which is not among targets={wanted}: name it there too")
    return wanted


def _names(cfg: DictConfig, targets: list[str]) -> list[str]:
    names = list(map(str, cfg.aggregate)) if cfg.aggregate else targets
    return [*names, RESIDUAL] if cfg.residual else names


def _items(cfg: DictConfig) -> list[str]:
    """Files, folders and patterns that `input` names."""
    items = _plain(cfg.input)
    return list(map(str, items if isinstance(items, list) else [items]))


def _stem_path(cfg: DictConfig, source: Path, name: str) -> Path:
    """Path of a stem: `song.wav` -> `song.vocals.wav`, next to the song or in `out`."""
    folder = source.parent if cfg.out is None else Path(cfg.out)
    return folder / f"{source.stem}.{name}.{cfg.format}"


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
