"""Summary of one evaluation: the scores of all its tracks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unmix.evaluation import published, scores
from unmix.evaluation.metrics import TRACK_METRICS
from unmix.evaluation.scores import TrackScore


@dataclass(frozen=True)
class Summary:
    """The scores of one evaluation: of `method`, and of `baseline` on the same tracks.

    Args:
        method: name of the evaluated method.
        baseline: name of the method to compare with, the mixture.
        rows: scores of both methods, per track and target.
        settings: facts needed to reproduce the scores.
        windows: track -> number of windows that have a score, and number of all windows.
        compared: names of published scores to compare with, see `published.medians_of`.
        means: method -> target -> key of a `TrackMetric` -> dB.
    """

    method: str
    baseline: str
    rows: Sequence[TrackScore]
    settings: dict[str, Any]
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    compared: Sequence[str] = ()
    means: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)

    @property
    def published(self) -> dict[str, dict[str, dict[str, float]]]:
        """Published scores to compare with: name -> target -> metric -> dB."""
        return {name: published.medians_of(name) for name in self.compared}

    @property
    def medians(self) -> dict[str, dict[str, dict[str, float]]]:
        """Medians over tracks: method -> target -> metric -> dB."""
        return scores.summarize(self.rows)

    @property
    def targets(self) -> list[str]:
        """Names of the sources that were scored."""
        return list(dict.fromkeys(row.target for row in self.rows))

    @property
    def tracks(self) -> list[str]:
        """Names of the tracks that were scored."""
        return list(dict.fromkeys(row.track for row in self.rows))

    @property
    def num_tracks(self) -> int:
        """Number of tracks that were scored."""
        return len(self.tracks)

    def score(self, track: str, target: str) -> float:
        """SDR of the method for a track and target, dB."""
        key = (self.method, track, target)
        return next(row.metrics["SDR"] for row in self.rows if (row.method, row.track, row.target) == key)

    def extremes(self, target: str) -> dict[str, str]:
        """The `worst` and `best` track of a target by SDR; the `only` one if just one has a score; else empty."""
        known = {track: sdr for track in self.tracks if not math.isnan(sdr := self.score(track, target))}
        if len(known) < 2:
            return dict(zip(("only",), known, strict=False))
        return {"worst": min(known, key=known.__getitem__), "best": max(known, key=known.__getitem__)}

    @property
    def is_among_participants(self) -> bool:
        """Whether the tracks are the 50 whole ones that SiSEC 2018 scored, not 7-second excerpts of the same names."""
        return set(self.tracks) == published.tracks() and all(total > 10 for _, total in self.windows.values())

    def content(self) -> dict[str, Any]:
        """Content of summary.json, in plain containers."""
        return {
            "num_tracks": self.num_tracks,
            "medians": self.medians,
            "means_of_medians": scores.means_of_medians(self.rows),
            **{metric.summary_key: self._means_of(metric.key) for metric in TRACK_METRICS},
            "windows_that_count": self.windows,
            "published": self.published,
            **self.settings,
        }

    def _means_of(self, key: str) -> dict[str, dict[str, float]]:
        return {
            method: {target: values[key] for target, values in targets.items()}
            for method, targets in self.means.items()
        }
