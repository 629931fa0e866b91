"""python src/prepare.py: turns stems in any layout into a tree like MUSDB18-HQ's, once."""

import errno
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from omegaconf import DictConfig, OmegaConf

from unmix import next_steps
from unmix.data import decoding, library
from unmix.data.layouts.entry import SPLITS, Entry
from unmix.data.library import Library
from unmix.data.manifest import Manifest
from unmix.data.pcm import Header
from unmix.data.preparation import Preparation
from unmix.data.scan import Scan, broken
from unmix.data.tracks import SOURCES, AudioFile, Splits
from unmix.errors import counted, needed
from unmix.experiments.hold import Busy, check_writable
from unmix.processes import signals
from unmix.time_left import with_progress

log = logging.getLogger(__name__)

_LISTED = 8  # steps in the summary
_USUAL_RATE = 44100  # Hz, the default of data.sample_rate


@dataclass(frozen=True)
class PrepareJob:
    """A conversion of a data set, checked."""

    preparation: Preparation

    def run(self) -> None:
        """Write the tracks that are not there yet, and the manifest; print what to type next.

        Raises:
            ValueError: when a file is damaged.
            OSError: when the folder is full or cannot be written; finished tracks stay.
            Busy: when another command writes there.
        """
        out = self.preparation.out
        again = "tracks that are finished stay; the same command goes on"
        with signals.explained(lambda: again), _explained(out), _held(out):
            manifest = Manifest(out)
            manifest.rewrite()
            unwritten = self.preparation.unwritten(manifest)
            there = len(self.preparation.entries) - len(unwritten)
            log.info("%s: %s to write, %d there already", out, counted(len(unwritten), "track"), there)
            written = self.preparation.write(unwritten, manifest)
            for _ in with_progress(written, "preparing", len(unwritten), "track"):
                pass
            manifest.rewrite()
        _summarise(self.preparation, manifest)


@dataclass(frozen=True)
class FetchJob:
    """A download of a published data set, checked; its conversion follows if `out` is given."""

    cfg: DictConfig
    dataset: Library

    def run(self) -> None:
        """Fetch the data set unless it is there, and decode it, or write it to `out`; print what to type next.

        Raises:
            ValueError, OSError: as `Library.fetch`, `Library.make_ready` and `PrepareJob.run`.
        """
        with signals.explained(lambda: "the same command goes on with the download"), _naming_input():
            self.dataset.fetch()
        if self.cfg.out is not None:
            _conversion(self.cfg, self.dataset.root).run()
            return
        with signals.explained(lambda: "the same command goes on"), _naming_input():
            self.dataset.make_ready()
        archive = self.dataset.archive
        assert archive is not None  # of a name that is published
        log.info("%s is in %s", archive.name, self.dataset.root)
        log.info("%s", next_steps.script("train", f"data={archive.name}", f"data.root={self.dataset.root}"))


def prepare(cfg: DictConfig) -> PrepareJob | FetchJob:
    """Find the tracks, and check names, headers, channels and the room that is left; or prepare a download.

    Raises:
        ValueError: with the first error of the data set, or when `out` holds something else, or is within `input`.
        OSError: when there is no room for the tree, or the download.
    """
    if cfg.download is None:
        if missing := [key for key in ("input", "out") if cfg[key] is None]:
            raise ValueError(needed(missing))
        return _conversion(cfg, Path(cfg.input).expanduser())
    layout = "musdb" if cfg.download == "musdb18hq" else "stems"
    settings = {"root": cfg.input, "name": cfg.download, "download": True, "layout": layout}
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    dataset = library.from_settings({**data, **settings}, Path(cfg.paths.data).expanduser())
    with _naming_input():
        dataset.check_files()
    return FetchJob(cfg, dataset)


def _conversion(cfg: DictConfig, root: Path) -> PrepareJob:
    data: Any = OmegaConf.to_container(cfg.data, resolve=True)
    out = Path(cfg.out).expanduser()
    if out.resolve().is_relative_to(root.resolve()):
        raise ValueError(f"out: {out} is in input={root}, which would be read with it: name another folder")
    dataset = library.from_settings({**data, "root": root}, Path(cfg.paths.data).expanduser())
    if data["validation_tracks"] is None and data["validation_share"] is None:
        dataset = replace(dataset, hold_out=None)
    with _naming_input():
        entries, origins = _decode(dataset)
        headers = _headers(dataset, entries)
    about = {"licence": cfg.licence, "attribution": cfg.attribution}
    most = max(header.num_channels for header in headers.values())
    preparation = Preparation(
        out, entries, dataset.sources, headers, dataset.sample_rate, cfg.channels or most, about, origins
    )
    _check_channels(preparation)
    _check_out(preparation)
    return PrepareJob(preparation)


def _decode(dataset: Library) -> tuple[list[Entry], dict[Path, Path]]:
    """Decode what FFmpeg has to read; return the tracks, and the file that each decoded one comes from."""
    dataset.layout.decode(dataset.entries)
    entries, origins = decoding.decode(dataset.entries, dataset.cache)
    files = {path: entry.path for entry in dataset.entries for path in entry.paths()}
    return entries, origins | {path: origin for path, origin in files.items() if path.is_relative_to(dataset.cache)}


def _headers(dataset: Library, entries: Sequence[Entry]) -> dict[Path, Header]:
    """Headers of all files; raises ValueError with the first error of the data set, and the number of others."""
    files = dataset.headers(entries)
    problems = [problem for entry in entries if (problem := entry.problem or broken(entry, files))]
    Scan(Splits(), (*problems, *dataset.listing.errors)).check()
    for warning in dataset.listing.warnings:
        log.warning("%s", warning.replace("data.root", "input"))
    return {path: file.header for path, file in files.items() if isinstance(file, AudioFile)}


@contextmanager
def _naming_input() -> Iterator[None]:
    """Name `input`, which is `data.root` elsewhere, in errors of the data set."""
    try:
        yield
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise type(error)(str(error).replace("data.root", "input")) from error


def _check_channels(preparation: Preparation) -> None:
    wanted = preparation.num_channels
    for path, header in preparation.headers.items():
        if header.num_channels not in (1, wanted) and wanted != 1:
            raise ValueError(
                f"channels: got {wanted}, but {path} has {header.num_channels}: only mono is spread, and only to mono "
                "is mixed down"
            )


def _check_out(preparation: Preparation) -> None:
    """Refuse a folder with tracks of others, or without room for what is to be written."""
    out = preparation.out
    existing = next(path for path in (out, *out.resolve().parents) if path.exists())
    if not existing.is_dir():
        raise ValueError(f"out: {existing} is no folder; name another")
    check_writable(out, "out")
    manifest = Manifest(out)
    there = [] if manifest.path.exists() or not out.exists() else sorted(out.glob("[!.]*"))
    if foreign := [*preparation.foreign(manifest), *there]:
        raise ValueError(f"out: {foreign[0]} was not written by this command; name another folder")
    free, needed = shutil.disk_usage(existing).free, preparation.num_bytes(preparation.unwritten(manifest))
    if free < needed:
        raise OSError(f"out: about {needed / 1e9:.1f} GB are needed, {existing} has {free / 1e9:.1f} GB free")


@contextmanager
def _held(out: Path) -> Iterator[None]:
    """Hold the folder against other commands."""
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".prepare.lock", timeout=0):
            yield
    except Timeout as error:
        raise Busy(f"out: another command writes to {out}; wait for it") from error


@contextmanager
def _explained(out: Path) -> Iterator[None]:
    """Explain errors of the system in one line."""
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        if error.errno is None:
            raise  # raised by this project, with a message
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"out: no room in {out}; make room and give the same command: finished tracks stay"
        else:
            message = f"out: {error.filename or out}: {error.strerror}; the same command goes on where it stopped"
        raise OSError(message) from error


def _summarise(preparation: Preparation, manifest: Manifest) -> None:
    """Print what was done, and what to type next."""
    done = Counter(step for record in manifest.records.values() for file in record["files"] for step in file["done"])
    tracks = Counter(record["split"] for record in manifest.records.values())
    log.info(
        "%s: %s",
        preparation.out,
        ", ".join(f"{counted(tracks[split], 'track')} in {split}" for split in SPLITS if tracks[split]),
    )
    for step, count in done.most_common(_LISTED):
        log.info("  %s: %s", counted(count, "file"), step)
    log.info("  digests, origins and all steps: %s", manifest.path)
    sources, name = list(preparation.sources), preparation.out.resolve().name
    arguments = ["data=own", f"data.name={name}", f"data.root={preparation.out}"]
    arguments += [] if sources == list(SOURCES) else [f"data.sources=[{','.join(sources)}]"]
    arguments += [] if preparation.sample_rate == _USUAL_RATE else [f"data.sample_rate={preparation.sample_rate}"]
    arguments += ["data.absent=skip"] if any(entry.is_loose for entry in preparation.entries) else []
    arguments += [] if tracks["valid"] else ["data.validation_share=0.1"]
    log.info("%s", next_steps.script("check", *arguments))
