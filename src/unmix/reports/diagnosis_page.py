"""The page of the doctor: all findings in a table, and the worst passages to look at and listen to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unmix.data.doctor.examination import Examined
from unmix.data.doctor.excerpt import Samples, read, read_all
from unmix.data.doctor.finding import SEVERITIES, Finding, clock
from unmix.data.pcm import INT16_FULL_SCALE
from unmix.data.tracks import Track
from unmix.errors import counted
from unmix.evaluation import passages
from unmix.files import replacing
from unmix.reports import pages, waveforms

SHOWN = 40  # findings with charts and players
NOT_SHOWN = ("names", "tags", "erratum", "scan", "unreadable", "rate", "full_scale")  # nothing to look at
INAUDIBLE = 32  # int16 steps, -60 dBFS
_BLOCK = 2**18  # samples read at a time


def write(findings: Sequence[Finding], examined: Sequence[Examined], name: str, folder: Path) -> Path:
    """Write the page `doctor.html`, a single file, and return its path.

    Args:
        findings: in the order of the page.
        examined: the tracks that could be read.
        name: name of the data set.
        folder: an existing folder.
    Raises:
        OSError: when it cannot be written.
    """
    counts = Counter(finding.severity for finding in findings)
    summary = ", ".join(counted(counts[severity], severity) for severity in SEVERITIES)
    text = pages.render(
        "doctor.html",
        title=f"{name}: {summary}",
        num_tracks=len(examined),
        findings=[_row(index, finding) for index, finding in enumerate(findings)],
        passages=list(_passages(findings, examined)),
        shown=SHOWN,
    )
    path = folder / "doctor.html"
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


def _row(index: int, finding: Finding) -> dict[str, Any]:
    position = "" if finding.position is None else clock(finding.position)
    path = Path(finding.file)
    return {"index": index, "finding": finding, "name": path.name if path.suffix else "", "position": position}


def _passages(findings: Sequence[Finding], examined: Sequence[Examined]) -> Iterator[dict[str, Any]]:
    """Yield the findings that can be shown, for the template: charts and clips of the worst passage."""
    stems = {str(path): (subject.track, stem) for subject in examined for stem, path in _paths(subject.track)}
    shown = 0
    for index, finding in enumerate(findings):
        if shown == SHOWN or finding.defect in NOT_SHOWN or finding.file not in stems:
            continue
        shown += 1
        track, stem = stems[finding.file]
        start = _start(track, stem, finding)
        yield {
            "index": index,
            "finding": finding,
            "time": clock(start / track.sample_rate),
            "chart": waveforms.svg(_chart(track, stem, finding, start)),
            "sounds": _sounds(track, stem, start),
        }


def _paths(track: Track) -> Iterator[tuple[str, Path]]:
    yield from ((stem, file.path) for stem, file in track.files.items())
    yield "mixture", track.folder  # of findings about the whole track


def _start(track: Track, stem: str, finding: Finding) -> int:
    """First sample of the passage that is played: a second before the position, or where the file is loudest."""
    length = round(passages.SECONDS * track.sample_rate)
    if finding.position is not None:
        start = round((finding.position - 1) * track.sample_rate)
    else:
        levels = [float(np.square(block).sum()) for block in _blocks(track, stem)]
        start = int(np.argmax(levels)) * _BLOCK
    return max(0, min(start, track.num_samples - length))


def _blocks(track: Track, stem: str) -> Iterator[Samples]:
    for start in range(0, track.num_samples, _BLOCK):
        yield read(track, stem, start, min(start + _BLOCK, track.num_samples))


def _chart(track: Track, stem: str, finding: Finding, start: int) -> Any:
    """Draw the whole file, a few milliseconds around the position, and the spectrum of the passage."""
    length = round(passages.SECONDS * track.sample_rate)
    passage = {stem: read(track, stem, start, start + length)}
    if stem != "mixture":
        passage["in the mixture"] = _in_mixture(track, stem, start, start + length)
    else:
        passage["sum of sources"] = passage[stem] - _residual(track, start, start + length)
    peak = start + int(np.abs(passage[stem]).max(axis=0).argmax())
    position = peak / track.sample_rate if finding.position is None else finding.position
    return waveforms.figure(_blocks(track, stem), passage, start, position, track.sample_rate)


def _in_mixture(track: Track, stem: str, start: int, stop: int) -> Samples:
    """What the mixture holds of a source, if the others are right: the mixture minus all others."""
    return _residual(track, start, stop) + read(track, stem, start, stop)


def _residual(track: Track, start: int, stop: int) -> Samples:
    rows = read_all(track, ["mixture", *(stem for stem in track.files if stem != "mixture")], start, stop)
    residual: Samples = rows[0] - rows[1:].sum(axis=0)
    return residual


def _sounds(track: Track, stem: str, start: int) -> dict[str, bytes]:
    """Clips as MP3, by name; without those that are silent."""
    stop = min(track.num_samples, start + round(passages.SECONDS * track.sample_rate))
    clips = {stem: read(track, stem, start, stop), "mixture": read(track, "mixture", start, stop)}
    clips["mixture minus sources"] = _residual(track, start, stop)
    return {
        name: passages.mp3(torch.from_numpy(_limited(clip)), track.sample_rate)
        for name, clip in clips.items()
        if np.abs(clip).max(initial=0) >= INAUDIBLE
    }


def _limited(clip: Samples) -> Any:
    """A clip as float32, full scale at 1, made quieter where it would be clipped."""
    scaled = clip / max(INT16_FULL_SCALE, np.abs(clip).max())
    return scaled.astype(np.float32)[:2]
