"""Detector of sources that belong to another track: the mixture holds what lies in another track's folder."""

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from unmix.data.doctor.excerpt import read, read_all
from unmix.data.doctor.finding import Finding, decibels
from unmix.data.tracks import Track

LENGTH = 2**15  # samples that are compared
SAME_DB = -10.0  # of what the mixture holds of a source: left after subtracting another track's file
REPLACED = ("not_a_sum", "missing", "extra", "shifted", "gain", "resampled", "inverted", "channels")
MOST = 100  # suspicious tracks that are compared with each other


def exchanges(suspicious: Sequence[tuple[Track, int]]) -> Iterator[Finding]:
    """Find sources of suspicious tracks in each other's folders.

    Args:
        suspicious: tracks whose mixture is not the sum of their sources, with the sample at which it is so.
    """
    for (track, start), (other, _) in permutations(suspicious[:MOST], 2):
        stems = ["mixture", *(stem for stem in track.files if stem != "mixture")]
        if (track.num_channels, track.sample_rate) != (other.num_channels, other.sample_rate):
            continue
        rows = read_all(track, stems, start, start + LENGTH)
        residual = rows[0] - rows[1:].sum(axis=0)
        for stem, own in zip(stems[1:], rows[1:], strict=True):
            if stem not in other.files:
                continue
            target = own + residual
            theirs = read(other, stem, start, start + LENGTH)
            left = decibels(float(np.square(target - theirs).sum()), float(np.square(target).sum()))
            if np.square(target).sum() > 0 and left <= SAME_DB:
                yield Finding(
                    "error",
                    "exchanged",
                    track.name,
                    str(track.path(stem)),
                    f"{stem} belongs to another track: the mixture holds that of {other.name}",
                    f"take {stem} from {other.folder}",
                    values={"of": other.name, "stem": stem},
                )


def without_replaced(findings: Sequence[Finding], exchanged: Sequence[Finding]) -> list[Finding]:
    """Leave out what exchanged sources have explained."""
    tracks = {finding.track for finding in exchanged}
    return [finding for finding in findings if finding.track not in tracks or finding.defect not in REPLACED]
