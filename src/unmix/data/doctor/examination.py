"""Examination of a data set: measures every track once, several at a time, and gathers the findings."""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from unmix.data.cache import build_once, cache_key
from unmix.data.doctor import exchanges, files, levels, sums
from unmix.data.doctor.bleed import bleed
from unmix.data.doctor.clicks import clicks
from unmix.data.doctor.copies import copies
from unmix.data.doctor.duplicates import Printed, duplicates
from unmix.data.doctor.finding import Finding
from unmix.data.doctor.interruptions import interruptions
from unmix.data.doctor.measuring import SLOWER, Measurement, measure
from unmix.data.doctor.spectrum import low_pass
from unmix.data.tracks import Splits, Track
from unmix.time_left import with_progress

Detector = Callable[[Track, Measurement], Iterator[Finding]]

# What looks at each file of a track; `sums.explain` then compares them.
DETECTORS: tuple[Detector, ...] = (
    levels.silent,
    levels.dc_offset,
    levels.clipped,
    levels.few_bits,
    levels.channels,
    interruptions,
    clicks,
    low_pass,
    bleed,
    copies,
)
_VERSION = 6  # of the cached examinations
USUAL = 0.5  # share of the files of a stem: with a cut-off this common, the data set was coded with loss


@dataclass(frozen=True)
class Examination:
    """Examination of a track.

    Args:
        findings: what is wrong with it.
        residual_db: level of mixture minus sources relative to the mixture; -inf when it is exactly zero.
        loudest: sample at which mixture and sources disagree most.
        prints: fingerprint of each file, mixture first.
        slow_print: that of the mixture, if it is a copy that is too slow.
    """

    findings: tuple[Finding, ...]
    residual_db: float
    loudest: int
    prints: npt.NDArray[np.int32]
    slow_print: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Examined:
    """A track of a split with its examination."""

    track: Track
    split: str
    examination: Examination


def examine(splits: Splits, cache: Path) -> tuple[list[Finding], list[Examined]]:
    """Examine all tracks, and compare them; results of a track are reused from the folder `cache`.

    Returns:
        Findings, and the tracks that could be read.
    Raises:
        OSError: when `cache` cannot be written.
    """
    tracks = [(track, name) for name in ("train", "valid", "test") for track in getattr(splits, name)]
    results = _examine_all([track for track, _ in tracks], cache)
    examined = [
        Examined(track, split, result)
        for (track, split), result in zip(tracks, results, strict=True)
        if isinstance(result, Examination)
    ]
    findings = [result for result in results if isinstance(result, Finding)]
    findings += [finding for subject in examined for finding in subject.examination.findings]
    findings = unusual(findings, len(tracks))
    suspicious = [
        (subject.track, subject.examination.loudest)
        for subject in examined
        if subject.examination.residual_db > sums.NOT_THE_SUM_DB
    ]
    prints = [
        Printed(subject.track, subject.split, stem, codes, subject.examination.residual_db)
        for subject in examined
        for stem, codes in zip(_stems(subject.track), subject.examination.prints, strict=True)
    ]
    slow = [
        Printed(subject.track, subject.split, "mixture", subject.examination.slow_print[0], speed=1 / SLOWER)
        for subject in examined
        if "mixture" in subject.track.files
    ]
    compared = [*exchanges.exchanges(suspicious), *duplicates(prints, slow)]
    misplaced = [finding for finding in compared if finding.severity == "error" and finding.values["stem"] != "mixture"]
    return [*exchanges.without_replaced(findings, misplaced), *compared], examined


def unusual(findings: Iterable[Finding], num_tracks: int) -> list[Finding]:
    """Turn notes on cut-offs into warnings where only few tracks have one."""
    listed = list(findings)
    counts: dict[str, int] = {}
    for finding in listed:
        if finding.defect == "low_pass":
            counts[finding.what] = counts.get(finding.what, 0) + 1
    return [
        replace(finding, severity="warning", remedy="take it from a source that was not coded with loss")
        if finding.defect == "low_pass" and finding.severity == "note" and counts[finding.what] <= USUAL * num_tracks
        else finding
        for finding in listed
    ]


def _examine_all(tracks: Sequence[Track], cache: Path) -> list[Examination | Finding]:
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with threadpool_limits(1):  # one thread per track avoids oversubscription
            results = pool.map(lambda track: _examine_or_refuse(track, cache), tracks)
            return list(with_progress(results, "listening", len(tracks), "track"))
    finally:
        pool.shutdown(cancel_futures=True)


def _examine_or_refuse(track: Track, cache: Path) -> Examination | Finding:
    try:
        return examine_track(track, cache)
    except ValueError as error:
        stem = next((stem for stem in track.files if str(track.path(stem)) in str(error)), next(iter(track.files)))
        path = track.path(stem)
        what, _, remedy = str(error).removeprefix(str(path)).lstrip(": ").partition("; ")
        sample = files.find_damage(path) if "NaN" in what else None
        position = None if sample is None else sample / track.sample_rate
        remedy = remedy or "fetch the file again"
        return Finding("error", "unreadable", track.name, str(path), f"{stem}: {what}", remedy, position)


def examine_track(track: Track, cache: Path) -> Examination:
    """Examine a track, or read its examination from the cache.

    Raises:
        ValueError: when a file is shorter than its header says, or holds samples that are NaN or infinite.
        OSError: when `cache` cannot be written.
    """
    name = cache_key((file.path for file in track.files.values()), "doctor", _VERSION, track.name, *track.files)

    def build(path: Path) -> None:
        result = _examine(track)
        content = [finding.content() for finding in result.findings]
        with path.open("wb") as file:
            np.savez(
                file,
                findings=np.array(json.dumps(content)),
                residual=np.array([result.residual_db, result.loudest]),
                prints=result.prints,
                slow_print=result.slow_print,
            )

    with np.load(build_once(cache / "doctor" / f"{name}.npz", build), allow_pickle=False) as stored:
        findings = tuple(Finding(**content) for content in json.loads(str(stored["findings"])))
        residual_db, loudest = stored["residual"]
        return Examination(findings, float(residual_db), int(loudest), stored["prints"], stored["slow_print"])


def _examine(track: Track) -> Examination:
    measured = measure(track, _stems(track))
    findings = [finding for detector in DETECTORS for finding in detector(track, measured)]
    residual = sums.residual_of(measured)
    explained = tuple(sums.explain(track, measured, findings))
    return Examination(explained, residual.level_db, residual.loudest, measured.prints, measured.slow_print)


def _stems(track: Track) -> tuple[str, ...]:
    return tuple(sorted(track.files, key=lambda stem: stem != "mixture"))
