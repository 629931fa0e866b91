"""Findings of the doctor: one defect of one file each."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

SEVERITIES = ("error", "warning", "note")  # an error makes training or its scores wrong
DEFECTS = (
    "scan",
    "unreadable",
    "rate",
    "names",
    "tags",
    "duplicate",
    "exchanged",
    "not_a_sum",
    "missing",
    "shifted",
    "inverted",
    "gain",
    "channels",
    "resampled",
    "extra",
    "truncated",
    "dropout",
    "click",
    "silent",
    "nearly_silent",
    "dc_offset",
    "clipped",
    "full_scale",
    "few_bits",
    "dual_mono",
    "dead_channel",
    "opposite_channels",
    "low_pass",
    "bleed",
    "copy",
    "erratum",
)


@dataclass(frozen=True)
class Finding:
    """A defect of a file, or of a whole track or data set.

    Args:
        severity: one of `SEVERITIES`.
        defect: one of `DEFECTS`, for machines.
        track: name of the track; empty for the whole data set.
        file: path of the file, or of the track's folder.
        what: the defect in words, without track and position; equal for equal defects of several tracks.
        remedy: what to do about it; empty for notes.
        position: where it begins, in seconds; None when it concerns all of the file.
        detail: numbers that differ from track to track.
        values: the numbers of `what` and `detail`, by name with unit, for machines.
    """

    severity: str
    defect: str
    track: str
    file: str
    what: str
    remedy: str = ""
    position: float | None = None
    detail: str = ""
    values: Mapping[str, float | str] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """The finding as plain containers, for JSON, which has no infinite numbers."""
        values = {name: None if value in (math.inf, -math.inf) else value for name, value in self.values.items()}
        return {**asdict(self), "values": values}

    @property
    def amount(self) -> str:
        """Position and detail, as they follow a track's name; empty without either."""
        return ", ".join(filter(None, [self.detail, "" if self.position is None else f"from {clock(self.position)}"]))


def clock(seconds: float) -> str:
    """Format a position as `1:02.345`."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 60_000}:{milliseconds // 1000 % 60:02d}.{milliseconds % 1000:03d}"


def decibels(part: float, reference: float) -> float:
    """Ratio of two energies in dB; -inf when the first is zero, inf when only the second is."""
    if part <= 0:
        return -math.inf
    return 10 * math.log10(part / reference) if reference > 0 else math.inf


def order(finding: Finding) -> tuple[int, str, str, str]:
    """Sorting key: severity, then track, file and defect."""
    return SEVERITIES.index(finding.severity), finding.track, finding.file, finding.defect
