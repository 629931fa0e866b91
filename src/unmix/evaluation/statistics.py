"""How sure a difference between methods is: paired intervals and tests over tracks.

All methods are scored on the same tracks, and tracks differ far more than methods do; so everything here is computed
from the differences track by track. SiSEC 2018 compared its submissions unpaired (Conover and Iman's test on the ranks
of all scores), which finds less.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from unmix.errors import counted
from unmix.evaluation import bootstrap
from unmix.evaluation.bootstrap import AVERAGES, LEVEL
from unmix.evaluation.metrics import BSS_EVAL, Definition
from unmix.evaluation.scores import TrackScore

ALPHA = 1 - LEVEL

# Score of each track in one run of a method: track -> value.
Run = Mapping[str, float]


@dataclass(frozen=True)
class Comparison:
    """Difference of two methods over the tracks that both have a score for.

    Args:
        first, second: names of the methods.
        tracks: number of tracks compared.
        left_out: names of tracks without a score (NaN, infinite or missing) in a run of either method.
        difference: advantage of `first`, negative if `second` is better: the median or mean of the differences track by
            track, as the definition averages tracks; NaN without tracks. With several runs, the score of a track is
            its mean over runs.
        interval: bootstrap interval of the difference at `LEVEL`; None with fewer than two tracks.
        p_value: of Wilcoxon's signed-rank test, after Holm's correction for all pairs compared together; None with
            fewer than two tracks.
        uncorrected: the same before the correction.
        runs: number of runs (seeds) of `first` and of `second`.
        pairs: number of pairs compared together.
        definition: what the scores mean.
    """

    first: str
    second: str
    tracks: int
    left_out: tuple[str, ...]
    difference: float
    interval: tuple[float, float] | None
    p_value: float | None
    uncorrected: float | None
    runs: tuple[int, int]
    pairs: int
    definition: Definition

    @property
    def better(self) -> str:
        """Name of the method with the better scores; the first one when they are equal or unknown."""
        return self.second if self.difference < 0 else self.first

    @property
    def is_shown(self) -> bool:
        """Whether there is a difference: the test rejects equality, and the interval leaves out zero."""
        if self.interval is None or self.p_value is None:
            return False
        low, high = self.interval
        return self.p_value < ALPHA and (low > 0 or high < 0)

    @property
    def can_be_shown(self) -> bool:
        """Whether there are enough tracks: the smallest p-value of n tracks is 2 / 2**n, times the number of pairs."""
        return 2.0 ** (1 - self.tracks) * self.pairs < ALPHA

    def in_words(self) -> str:
        """Say which method is better, by how much and how sure; or that no difference is shown.

        Example:
            A is 0.42 dB better than B (95 % interval 0.21 to 0.63, p = 0.003, 50 tracks)
            A is 0.10 lower (better) than B (95 % interval 0.08 to 0.12, p = 0.003, 50 tracks)
        """
        if not self.tracks:
            return f"no difference shown between {self.first} and {self.second} ({self._details([])})"
        better, worse, sign = (
            (self.first, self.second, 1) if self.better == self.first else (self.second, self.first, -1)
        )
        is_high = self.definition.better == "high"
        amount = f"{self._shown(abs(self.difference))} {self.definition.unit}".rstrip()
        facts = [f"{100 * LEVEL:.0f} % interval {self._span(self.interval, sign)}"] if self.interval else []
        facts += [shown_p(self.p_value)] if self.p_value is not None else []
        if self.is_shown:
            direction = "better" if is_high else "lower (better)"
            return f"{better} is {amount} {direction} than {worse} ({self._details(facts)})"
        details = self._details([f"{better} {'ahead' if is_high else 'lower'} by {amount}", *facts])
        return f"no difference shown between {better} and {worse} ({details})"

    def _shown(self, value: float) -> str:
        """Format with as many decimals as the difference needs."""
        return f"{value:.{self.definition.decimals(self.difference)}f}"

    def _span(self, interval: tuple[float, float], sign: int) -> str:
        low, high = sorted(sign * end for end in interval)
        return f"{self._shown(low)} to {self._shown(high)}"

    def _details(self, facts: list[str]) -> str:
        """Join `facts` and the numbers of tracks and runs."""
        details = [*facts, counted(self.tracks, "track")]
        if self.tracks < 2:
            details.append("no interval")
        elif not self.can_be_shown:
            details.append(f"too few to show one in {counted(self.pairs, 'pair')}")
        if self.left_out:
            details.append(f"{len(self.left_out)} without a score left out")
        if max(self.runs) > 1:
            first, second = self.runs if self.better == self.first else reversed(self.runs)
            details.append(f"{first} and {counted(second, 'seed')}")
        return ", ".join(details)


def runs_of(rows: Iterable[TrackScore], target: str, metric: str = "SDR") -> dict[str, list[Run]]:
    """Collect the scores of one target, one run per method: method -> [track -> dB], as `compare` takes them."""
    methods: dict[str, dict[str, float]] = {}
    for row in rows:
        if row.target == target:
            methods.setdefault(row.method, {})[row.track] = row.metrics[metric]
    return {method: [run] for method, run in methods.items()}


def compare(methods: Mapping[str, Sequence[Run]], definition: Definition = BSS_EVAL[0]) -> list[Comparison]:
    """Compare all pairs of methods in the scores of one target and metric.

    The bootstrap draws tracks with replacement. When a method has several runs, its runs are drawn as well,
    independently of the tracks and of the other method's runs, because every run scores every track: the interval then
    tells whether training again would change the order. The test takes means over runs.

    Args:
        methods: name of the method -> its runs, one per seed; each has the score of every track.
        definition: what the scores mean: which are better, and how tracks are averaged.
    Returns:
        One comparison per pair, in the order of `methods`.
    Raises:
        ValueError: when a method has no run.
    """
    for name, runs in methods.items():
        if not runs:
            raise ValueError(f"methods.{name}: got no run, need one or more")
    pairs = [
        (first, second, _Paired.of(methods[first], methods[second], definition))
        for first, second in combinations(methods, 2)
    ]
    uncorrected = [paired.p_value() for _, _, paired in pairs]
    corrected = iter(holm([p_value for p_value in uncorrected if p_value is not None]))
    return [
        Comparison(
            first=first,
            second=second,
            tracks=paired.first.shape[1],
            left_out=paired.left_out,
            difference=paired.difference(),
            interval=paired.interval(),
            p_value=None if p_value is None else next(corrected),
            uncorrected=p_value,
            runs=(len(paired.first), len(paired.second)),
            pairs=len(pairs),
            definition=definition,
        )
        for (first, second, paired), p_value in zip(pairs, uncorrected, strict=True)
    ]


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values of tests made together so that the chance of any false positive stays below the level.

    Source:
        S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics, 1979.
    """
    corrected, largest = [1.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = largest
    return corrected


def shown_p(p_value: float) -> str:
    """Format a p-value to one significant digit: `p = 0.03`, `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.1g}"


@dataclass(frozen=True)
class _Paired:
    """Scores of two methods, the higher the better, on the tracks that both have, each (runs, tracks); other tracks."""

    first: np.ndarray
    second: np.ndarray
    left_out: tuple[str, ...]
    over_tracks: str

    @classmethod
    def of(cls, first: Sequence[Run], second: Sequence[Run], definition: Definition) -> "_Paired":
        runs = [*first, *second]
        every = dict.fromkeys(track for run in runs for track in run)
        both = [track for track in every if all(math.isfinite(run.get(track, math.nan)) for run in runs)]
        values = np.array([[run[track] for track in both] for run in runs], dtype=float).reshape(len(runs), len(both))
        values = -values if definition.better == "low" else values
        left_out = tuple(track for track in every if track not in set(both))
        return cls(values[: len(first)], values[len(first) :], left_out, definition.over_tracks)

    def differences(self) -> np.ndarray:
        """Differences of the means over runs: (tracks,)."""
        return np.asarray(self.first.mean(axis=0) - self.second.mean(axis=0))

    def difference(self) -> float:
        return float(AVERAGES[self.over_tracks](self.differences())) if self.first.shape[1] else math.nan

    def p_value(self) -> float | None:
        differences = self.differences()
        if len(differences) < 2:
            return None
        return float(stats.wilcoxon(differences).pvalue) if differences.any() else 1.0

    def interval(self) -> tuple[float, float] | None:
        num_tracks = self.first.shape[1]
        if num_tracks < 2:
            return None
        # levels of one run are not drawn
        tracks, *runs = bootstrap.drawn(num_tracks, *(len(own) for own in (self.first, self.second) if len(own) > 1))
        remaining = iter(runs)
        means = [  # each (resamples, tracks), or (1, tracks) of one run
            own[next(remaining)].mean(axis=-2) if len(own) > 1 else own for own in (self.first, self.second)
        ]
        every = means[0] - means[1]
        differences = every[0][tracks] if len(every) == 1 else np.take_along_axis(every, tracks, axis=-1)
        return bootstrap.interval(AVERAGES[self.over_tracks](differences, axis=-1))
