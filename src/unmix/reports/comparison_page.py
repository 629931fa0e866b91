"""What the page of a comparison shows: a table of methods, differences in words, charts, and clips of one passage."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from unmix.errors import counted
from unmix.evaluation import metrics
from unmix.evaluation.metrics import Definition
from unmix.evaluation.scores import Overall, TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.statistics import Comparison
from unmix.reports import charts, clips
from unmix.reports.tables import cells, shown

LONGEST = 60  # characters of a name within a sentence


@dataclass(frozen=True)
class Compared:
    """Methods that were scored on the same tracks.

    Args:
        rows: scores of all methods, tracks and targets.
        overall: scores over all tracks, also of published methods.
        ranking: mean over targets of the main metric of every method, the best first.
        differences: target -> comparisons of all pairs of methods.
        baseline: name of the method that was only scored for comparison.
        definitions: what the scores mean; the first one is the main metric.
    """

    rows: Sequence[TrackScore]
    overall: Overall
    ranking: Mapping[str, float]
    differences: Mapping[str, Sequence[Comparison]]
    baseline: str
    definitions: Sequence[Definition]

    @property
    def main(self) -> Definition:
        """Definition of the metric that ranks methods."""
        return self.definitions[0]

    @property
    def targets(self) -> list[str]:
        """Names of the sources."""
        return list(dict.fromkeys(row.target for row in self.rows))

    @property
    def scored(self) -> list[str]:
        """Methods with scores of tracks, also the baseline, the best first; without published ones."""
        names = {row.method for row in self.rows}
        return [method for method in self.ranking if method in names]

    @property
    def methods(self) -> list[str]:
        """Methods that are compared, the best first."""
        return [method for method in self.scored if method != self.baseline]

    @property
    def top(self) -> str | None:
        """Method with the best mean; None when no method has one."""
        return next((method for method in self.methods if not math.isnan(self.ranking[method])), None)

    @property
    def best(self) -> dict[str, str | None]:
        """Target -> method with the best score; None when no method has one."""
        return {target: self._best(target) for target in self.targets}

    def _best(self, target: str) -> str | None:
        known = {method: score for method in self.methods if not math.isnan(score := self.score(method, target))}
        choose = max if self.main.better == "high" else min
        return choose(known, key=known.__getitem__, default=None)

    def score(self, method: str, target: str) -> float:
        """Score over all tracks by the main metric; NaN when there is none."""
        return self.overall[method].get(target, {}).get(self.main.name, math.nan)

    def pair(self, target: str, method: str, other: str | None) -> Comparison | None:
        """Comparison of two methods; None when they were not compared."""
        pairs = self.differences.get(target, ())
        return next((pair for pair in pairs if {pair.first, pair.second} == {method, other}), None)

    def content(self) -> dict[str, Any]:
        """Collect what the template needs, but for clips and settings."""
        num_tracks, best = len({row.track for row in self.rows}), self.best
        return {
            "methods": self.methods,
            "compared": described(self.methods, num_tracks),
            "meanings": metrics.describe(self.definitions, self.targets),
            "label": self.main.label,
            "main": self.main,
            "num_tracks": num_tracks,
            "targets": self.targets,
            "unscored": [target for target in self.targets if best[target] is None],
            "table": [self._row(method, best) for method in self.ranking],
            "sentences": list(self._sentences(best)),
            "heads": [definition.name for definition in self.definitions],
            "overall": list(self._overall_rows()),
            "boxes": self._boxes(),
            "differences": self._differences(),
            "track_methods": self.scored,
            "tracks": list(self._track_rows()),
        }

    def _row(self, method: str, best: Mapping[str, str | None]) -> dict[str, Any]:
        """Row of a method: its mean, then its score per target, each with the difference to the best method."""
        highest = None if self.top is None else self.ranking[self.top]
        row = [self._cell(self.ranking[method], highest, is_best=method == self.top, is_equal=False)]
        for target, winner in best.items():
            highest = None if winner is None else self.score(winner, target)
            pair = self.pair(target, method, winner)
            is_equal = pair is not None and not pair.is_shown
            row.append(self._cell(self.score(method, target), highest, is_best=method == winner, is_equal=is_equal))
        return {"method": method, "cells": row}

    def _cell(self, score: float, highest: float | None, *, is_best: bool, is_equal: bool) -> dict[str, Any]:
        """A cell: score, whether it is the best, and the difference to the best, marked when no difference is shown."""
        if math.isnan(score):
            return {"text": "", "difference": "", "is_best": False, "is_equal": False}
        apart = 0.0 if highest is None else score - highest
        difference = "" if highest is None or is_best else self._signed(apart)
        return {"text": shown(score, self.main), "difference": difference, "is_best": is_best, "is_equal": is_equal}

    def _signed(self, difference: float) -> str:
        return f"{difference:+.{self.main.decimals(difference)}f}"

    def _sentences(self, best: Mapping[str, str | None]) -> Iterator[dict[str, Any]]:
        """Say for every target which methods the best one differs from, and list all pairs with their intervals."""
        for target, winner in best.items():
            pairs = self.differences.get(target, ())
            if winner is None or not pairs:
                continue
            groups: dict[str, list[str]] = {"better than": [], "worse, track by track, than": []}
            equal = "not shown to differ from"
            for pair in (pair for pair in pairs if winner in (pair.first, pair.second)):
                verb = list(groups)[0 if pair.better == winner else 1] if pair.is_shown else equal
                groups.setdefault(verb, []).append(clipped(pair.second if pair.first == winner else pair.first))
            text = "; ".join(f"{verb} {', '.join(names)}" for verb, names in groups.items() if names)
            if all(pair.tracks > 1 and not pair.can_be_shown for pair in pairs):
                text += f"; {max(pair.tracks for pair in pairs)} tracks are too few to show a difference"
            every = [pair.in_words() for pair in pairs]
            yield {"target": target, "best": clipped(winner), "text": text, "pairs": every}

    def _overall_rows(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield the rows of the table of all metrics: target, method, one cell per metric."""
        for target in self.targets:
            for method in self.ranking:
                if target in self.overall[method]:
                    yield target, method, cells(self.overall[method][target], self.definitions)

    def _boxes(self) -> charts.Chart | None:
        """Chart of the score of every method, track and target."""
        order = {method: number for number, method in enumerate(self.ranking)}
        rows = [
            {
                "panel": row.target,
                "name": row.method,
                "label": row.track,
                "value": row.metrics[self.main.name],
                "text": shown(row.metrics[self.main.name], self.main),
            }
            for row in sorted(self.rows, key=lambda row: order[row.method])
        ]
        title = "Which method separates each source best, and how much do tracks differ?"
        return charts.boxes(title, rows, value=self.main.label, muted=[self.baseline])

    def _differences(self) -> charts.Chart | None:
        """Chart of the difference of every method to the one with the best mean, per track and target."""
        values = {(row.method, row.target, row.track): row.metrics[self.main.name] for row in self.rows}
        rows: list[dict[str, Any]] = []
        for method in (method for method in self.methods if method != self.top):
            for target in self.targets:
                head = {"panel": target, "name": method}
                rows += [
                    {**head, "label": track, "value": apart, "text": self._signed(apart)}
                    for (name, source, track), value in values.items()
                    if (name, source) == (method, target)
                    for apart in [value - values.get((self.top or "", target, track), math.nan)]
                ]
                rows += self._interval(target, method, head)
        title = f"By how much does each method differ from {clipped(self.top or '')}, track by track?"
        label = f"difference of {self.main.label}"
        return charts.differences(title, rows, value=label, average=self.main.over_tracks)

    def _interval(self, target: str, method: str, head: Mapping[str, str]) -> list[dict[str, Any]]:
        """Difference to the top method over all tracks, as a row of the chart; empty without an interval."""
        pair = self.pair(target, method, self.top)
        if pair is None or pair.interval is None:
            return []
        sign = (1 if pair.first == method else -1) * (1 if self.main.better == "high" else -1)
        low, high = sorted(sign * end for end in pair.interval)
        texts = {
            "text": self._signed(sign * pair.difference),
            "interval": f"{self._signed(low)} to {self._signed(high)}",
        }
        return [{**head, "value": sign * pair.difference, "low": low, "high": high, "is_shown": pair.is_shown, **texts}]

    def _track_rows(self) -> Iterator[tuple[str, str, list[str]]]:
        """Yield the rows of the table of tracks: track, target, a cell with the main metric per method, or empty."""
        values = {(row.track, row.target, row.method): row.metrics[self.main.name] for row in self.rows}
        for track, target in dict.fromkeys((row.track, row.target) for row in self.rows):
            own = (values.get((track, target, method), math.nan) for method in self.scored)
            yield track, target, ["" if math.isnan(value) else shown(value, self.main) for value in own]


def passages(targets: Sequence[str], folders: Mapping[str, EvaluationFolder]) -> Iterator[dict[str, Any]]:
    """Yield for every target the clips of a passage that all evaluations have kept: mixture, reference, estimates.

    Args:
        targets: names of the sources.
        folders: method -> folder of its evaluation.
    """
    clips_of = {method: clips.read(where) for method, where in folders.items()}
    for target in targets:
        own = {method: of_method[target] for method, of_method in clips_of.items() if target in of_method}
        titles = {each.title for each in own.values()}
        if len(own) == len(folders) and len(titles) == 1:
            first = next(iter(own.values())).sounds
            sounds = {stem: first[stem] for stem in ("mixture", "reference")}
            estimates = {method: each.sounds["estimate"] for method, each in own.items()}
            yield {"target": target, "title": titles.pop(), "sounds": sounds | estimates}


def described(methods: Sequence[str], num_tracks: int) -> str:
    """Name what was compared: `A, B and C on 50 tracks`."""
    *others, last = map(clipped, methods)
    names = f"{', '.join(others)} and {last}" if others else last
    return f"{names} on {counted(num_tracks, 'track')}"


def clipped(name: str) -> str:
    """Cut a name that is longer than a line of a sentence; tables have the whole one."""
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"
