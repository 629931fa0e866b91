"""python src/listen.py: makes a page to listen to separators side by side, and serves it to this machine."""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from unmix import errors, next_steps
from unmix.data.datamodule import SeparationDataModule
from unmix.data.memory import keep_freed_memory
from unmix.data.tracks import Track
from unmix.evaluation import passages
from unmix.evaluation.estimates import Sources
from unmix.experiments import folder
from unmix.processes import signals
from unmix.reports import listening_page
from unmix.reports.listening_page import Excerpt
from unmix.reports.serving import Response, Server
from unmix.runs import listening_test, songs
from unmix.runs.build import fetch, make_datamodule
from unmix.runs.candidates import Candidate, each_entry
from unmix.runs.chosen_tracks import chosen_tracks
from unmix.runs.dropped_songs import DroppedSongs
from unmix.runs.listening_methods import Method
from unmix.settings import WEBMUSHRA
from unmix.time_left import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListenJob:
    """A prepared page: the methods, the data of their tracks, and the server if the page is served."""

    cfg: DictConfig
    candidates: list[Candidate]
    datamodule: SeparationDataModule
    server: Server | None

    def run(self) -> None:
        """Separate the tracks by every method, and write the page; serve it until Ctrl-C if that is asked for."""
        keep_freed_memory()
        with signals.explained(lambda: "no page is written; the same command begins again"):
            fetch(self.datamodule)
            self.datamodule.prepare_data()
            tracks = choose_tracks(self.cfg, self.datamodule)
            methods = [Method(item, self.cfg, self.datamodule) for item in self.candidates]
            watch = Watch(len(tracks) * len(methods))
            excerpts = [self._excerpt(track, methods, watch, i * len(methods)) for i, track in enumerate(tracks)]
        names = [item.method for item in self.candidates]
        if self.cfg.format == WEBMUSHRA:
            listening_test.export(self._path([track.name for track in tracks]), names, excerpts, self.cfg.loudness)
            return
        limits = listening_page.Uploads(self.cfg.max_upload_mb, self.cfg.seconds)
        has_uploads = self.server is not None and any(method.can_separate_songs for method in methods)
        page = listening_page.to_html(names, excerpts, self.cfg.format, limits if has_uploads else None)
        path = self._path([track.name for track in tracks])
        folder.write_atomically(path, page)
        log.info("page: %s (%s)", path, errors.human_size(path.stat().st_size))
        if self.server is not None:
            with DroppedSongs(methods, listening_page.sources_of(excerpts), limits, self.cfg.format) as dropped:
                routes = {"POST /songs": dropped.answer} if has_uploads else {}
                self.server.routes = {"GET /": lambda _: Response(page.encode()), **routes}
                self.server.run()
        else:
            log.info("%s", next_steps.command("python", "-m", "webbrowser", str(path)))

    def _excerpt(self, track: Track, methods: Sequence[Method], watch: Watch, num_done: int) -> Excerpt:
        """Read an excerpt of a track, mixture and references, and separate it by every method; `watch` counts these."""
        cfg, names = self.cfg, [name for name in self.datamodule.sources if name in track.files]
        references, mixture = Sources(track, names), Sources(track, ["mixture"])
        length = min(track.num_samples, round(cfg.seconds * track.sample_rate))
        start = cfg.start
        if start is None:
            start = passages.busiest(references, track.num_samples, length, track.sample_rate) / track.sample_rate
        samples = songs.part(Path(track.name), track.num_samples, track.sample_rate, start, cfg.seconds)
        span = samples.start, samples.stop
        stems = [dict(zip(names, references(*span), strict=True))]
        for number, method in enumerate(methods, start=num_done + 1):
            stems.append(dict(zip(method.targets, method.estimates(track, samples), strict=True)))
            log.info("%s", watch.numbered(number, f"{track.name}: {method.name}"))
        return Excerpt(track.name, samples.start, track.sample_rate, mixture(*span)[0], stems)

    def _path(self, tracks: Sequence[str]) -> Path:
        """Path of the page; its default name is a hash of what is heard."""
        if self.cfg.out is not None:
            return Path(self.cfg.out).expanduser()
        cfg = self.cfg
        weights = [[item.method, item.weights] for item in self.candidates]
        values = [
            cfg.seconds,
            cfg.start,
            cfg.format,
            cfg.loudness,
            str(cfg.data),
            OmegaConf.to_container(cfg.separator),
        ]
        code = hashlib.sha256(json.dumps([weights, list(tracks), values]).encode()).hexdigest()[:6]
        return Path(cfg.paths.out, f"listening-test-{code}" if cfg.format == WEBMUSHRA else f"listening-{code}.html")


def prepare(cfg: DictConfig) -> ListenJob:
    """Find the checkpoints and their data, and take the port of the server.

    Raises:
        FileNotFoundError: when there is no checkpoint.
        ValueError: on an unknown oracle or track, when no data are known, or when the port is in use.
    """
    located = each_entry(cfg)
    data: Any = cfg.data or next((item.data for item in located if item.data), None)
    if data is None:
        raise ValueError(errors.no_data(item.method for item in located))
    datamodule = make_datamodule(data, cache=cfg.paths.data)
    if datamodule.library.is_prepared:
        choose_tracks(cfg, datamodule)
    return ListenJob(cfg, located, datamodule, Server({}, cfg.port) if cfg.serve else None)


def choose_tracks(cfg: DictConfig, datamodule: SeparationDataModule) -> list[Track]:
    """List the tracks that `cfg.tracks` names, or so many from the first on.

    Raises:
        ValueError: on an unknown name, an empty subset, or a track that ends before `start` or cannot be encoded.
    """
    chosen = _named_tracks(cfg, datamodule)
    for track in chosen:
        songs.part(Path(track.name), track.num_samples, track.sample_rate, cfg.start or 0, cfg.seconds)
        listening_page.encode(torch.zeros(track.num_channels, 1), track.sample_rate, cfg.format)
    return chosen


def _named_tracks(cfg: DictConfig, datamodule: SeparationDataModule) -> list[Track]:
    tracks = {track.name: track for track in getattr(datamodule.splits, cfg.subset)}
    if not tracks:
        raise ValueError(f"subset: got {cfg.subset!r}, which has no track in {datamodule.root}")
    asked: Any = OmegaConf.to_container(cfg.tracks) if OmegaConf.is_list(cfg.tracks) else cfg.tracks
    return [tracks[name] for name in chosen_tracks(asked, list(tracks))]
