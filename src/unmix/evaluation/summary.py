"""Summary of one evaluation: the scores of all its tracks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unmix.evaluation import metrics, published, scores
from unmix.evaluation.metrics import BSS_EVAL, USDR, Definition
from unmix.evaluation.scores import Overall, TrackScore


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
        definitions: what the scores mean, in the order of columns; the first one ranks tracks.
    """

    method: str
    baseline: str
    rows: Sequence[TrackScore]
    settings: dict[str, Any]
    windows: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    compared: Sequence[str] = ()
    definitions: Sequence[Definition] = BSS_EVAL

    @property
    def published(self) -> dict[str, dict[str, dict[str, float]]]:
        """Published scores to compare with: name -> target -> metric -> dB."""
        return {name: published.medians_of(name) for name in self.compared}

    @property
    def overall(self) -> Overall:
        """Scores over all tracks, aggregated as their definitions say: method -> target -> metric -> value."""
        return scores.summarize(self.rows, self.definitions)

    @property
    def main(self) -> Definition:
        """Definition of the metric that ranks tracks and methods."""
        return self.definitions[0]

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
        """Score of the method for a track and target by the main metric."""
        key = (self.method, track, target)
        return next(row.metrics[self.main.name] for row in self.rows if (row.method, row.track, row.target) == key)

    def extremes(self, target: str) -> dict[str, str]:
        """The `worst` and `best` track of a target; the `only` one if just one has a score; else empty."""
        known = {track: score for track in self.tracks if not math.isnan(score := self.score(track, target))}
        if len(known) < 2:
            return dict(zip(("only",), known, strict=False))
        low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
        return {"worst": low, "best": high} if self.main.better == "high" else {"worst": high, "best": low}

    def typical_track(self, target: str) -> str | None:
        """Track of median difficulty for any method: its baseline has the median score; None when none has a score."""
        scored = [row for row in self.rows if (row.method, row.target) == (self.baseline, target)]
        scored = [row for row in scored if not math.isnan(row.metrics[self.main.name])]
        ordered = sorted(scored, key=lambda row: (row.metrics[self.main.name], row.track))
        return ordered[(len(ordered) - 1) // 2].track if ordered else None

    @property
    def is_among_participants(self) -> bool:
        """Whether the tracks are the 50 whole ones that SiSEC 2018 scored, not 7-second excerpts of the same names."""
        return set(self.tracks) == published.tracks() and all(total > 10 for _, total in self.windows.values())

    def content(self) -> dict[str, Any]:
        """Content of summary.json, in plain containers."""
        return {
            "num_tracks": self.num_tracks,
            "scenario": self.targets,
            "definitions": metrics.to_json(self.definitions),
            "medians": self._averaged("median"),
            "means": self._averaged("mean"),
            "means_of_medians": scores.means_of_medians(self.rows, self.definitions),
            "windows_that_count": self.windows,
            "published": self.published,
            **self.settings,
        }

    def _averaged(self, over_tracks: str) -> Overall:
        """Scores over all tracks by the metrics that are averaged in one way."""
        return scores.summarize(self.rows, [each for each in self.definitions if each.over_tracks == over_tracks])


@dataclass(frozen=True)
class StoredSummary:
    """What a summary.json says: scores over all tracks, and what they mean.

    Args:
        overall: method -> target -> metric -> value; the evaluated method first, its baseline second.
        definitions: what the scores mean.
        num_tracks: number of tracks.
    """

    overall: Overall
    definitions: Sequence[Definition]
    num_tracks: int

    @property
    def method(self) -> str:
        """Name of the evaluated method."""
        return next(iter(self.overall))


def from_json(content: Mapping[str, Any]) -> StoredSummary:
    """Read the content of a summary.json, also of a version that did not name its definitions."""
    definitions = metrics.from_json(content.get("definitions"))
    overall: Overall = {
        method: {target: dict(values) for target, values in targets.items()}
        for method, targets in content["medians"].items()
    }
    means = content.get("means")
    if means is None:
        former = content.get("mean_sdr_of_whole_tracks", {})
        means = {
            method: {target: {USDR.name: value} for target, value in targets.items()}
            for method, targets in former.items()
        }
        definitions = definitions if former else list(BSS_EVAL)
    for method, targets in means.items():
        for target, values in targets.items():
            overall.setdefault(method, {}).setdefault(target, {}).update(values)
    return StoredSummary(overall, definitions, content["num_tracks"])
