"""Stems that are built once, in the cache, because no single file holds them."""

import logging
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from pathlib import Path

from unmix.data import building
from unmix.data.building import Target
from unmix.data.cache import build_once, cache_key, short_name
from unmix.data.layouts.entry import Entry
from unmix.data.pcm import Header
from unmix.errors import counted
from unmix.time_left import with_progress

log = logging.getLogger(__name__)

_VERSION = "built 1"


def paths(entry: Entry, sources: Sequence[str], cache: Path) -> dict[str, Path]:
    """Path of every stem of a track: the file that holds it, or its place in the cache.

    Raises:
        OSError: when a file of a stem that has to be built is not there.
    """
    stems = entry.stems(sources)
    needed = [stem for stem in stems if entry.is_built(stem, sources)]
    folder = _folder(entry, sources, cache) if needed else cache
    return {stem: folder / f"{stem}.wav" if stem in needed else parts[0].path for stem, parts in stems.items()}


def _folder(entry: Entry, sources: Sequence[str], cache: Path) -> Path:
    """Folder of the stems that are built for a track; its name changes with every file and rule they depend on."""
    stems = entry.stems(sources)
    files = [part.path for parts in stems.values() for part in parts]
    rules = [(stem, [(part.start, part.stop, part.sign) for part in parts]) for stem, parts in stems.items()]
    key = cache_key(files, _VERSION, rules, entry.is_cut, entry.is_padded)
    return cache / "built" / f"{short_name(entry.name)}-{key}"


def missing(entries: Sequence[Entry], sources: Sequence[str], cache: Path) -> list[Entry]:
    """Tracks with stems that have to be built, and are not yet; without those that cannot be, as files are missing."""
    usable = [entry for entry in entries if not entry.problem]
    wanted = [entry for entry in usable if any(entry.is_built(stem, sources) for stem in entry.stems(sources))]
    return [entry for entry in wanted if _is_missing(entry, sources, cache)]


def _is_missing(entry: Entry, sources: Sequence[str], cache: Path) -> bool:
    try:
        return not _folder(entry, sources, cache).exists()
    except FileNotFoundError:  # a file is missing, which the scan reports
        return False


def build(entries: Sequence[Entry], sources: Sequence[str], headers: Mapping[Path, Header], cache: Path) -> None:
    """Build the stems of tracks, several at a time; a call after an interruption builds only the rest.

    Args:
        entries: tracks, see `missing`.
        sources: names of the sources.
        headers: headers of all their files.
        cache: folder of prepared data.
    Raises:
        ValueError: when a file is damaged.
        OSError: when the cache cannot be written.
    """
    log.info("building the stems of %s, once, to %s", counted(len(entries), "track"), cache / "built")
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        jobs = [
            pool.submit(build_once, _folder(entry, sources, cache), partial(_build, entry, sources, headers))
            for entry in entries
        ]
        for job in with_progress(as_completed(jobs), "building", len(jobs), "track"):
            job.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _build(entry: Entry, sources: Sequence[str], headers: Mapping[Path, Header], folder: Path) -> None:
    folder.mkdir()
    stems = entry.stems(sources)
    files = {part.path for parts in stems.values() for part in parts}
    first = headers[next(iter(files))]
    num_samples = building.length(entry, headers, first.sample_rate)
    for stem, parts in stems.items():
        if entry.is_built(stem, sources):
            kind = building.subtype(part.path for part in parts)
            target = Target(first.sample_rate, first.num_channels, num_samples, kind)
            written = building.write_stem(folder / f"{stem}.wav", parts, headers, target)
            if written.subtype == "FLOAT" != kind:
                log.warning(
                    "%s: %s reaches %.2f of full scale as a sum; the file is kept as float, 16-bit copies are clipped",
                    entry.name,
                    stem,
                    written.peak,
                )
