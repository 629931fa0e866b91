"""Search spaces, written in Hydra's grammar: `interval(1e-4,1e-2)`, `tag(log,...)`, `choice(a,b)`, `range(1,9,2)`."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, ValueType

from unmix import errors

TAGS = ("log",)
REPEATED = ("target", "seed")  # keys whose values are not compared, but make the jobs of each trial


@dataclass(frozen=True)
class Interval:
    """Numbers between two others, both included; whole ones if the ends are.

    Args:
        key: the setting, as on a command line.
        low, high: lowest and highest number.
        is_log: whether equal ratios are as likely as each other.
        step: distance of neighbours; None for all floats.
    """

    key: str
    low: float
    high: float
    is_log: bool = False
    step: float | None = None

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values whose configurations are checked before a search starts."""
        return (self.low, self.high)

    def text(self, value: Any) -> str:
        """Format a value as on a command line."""
        return repr(float(f"{value:.12g}")) if self.step and not isinstance(self.low, int) else repr(value)

    def __str__(self) -> str:
        if self.step not in (None, 1):
            return f"{self.low!r} to {self.high!r} in steps of {self.step!r}"
        kind = "whole numbers from " if self.step else ""
        return f"{kind}{self.low!r} to {self.high!r}{', logarithmic' if self.is_log else ''}"


@dataclass(frozen=True)
class Choice:
    """Values without an order.

    Args:
        key: the setting or group, as on a command line.
        texts: value -> how it is written on a command line.
    """

    key: str
    texts: Mapping[Any, str]

    @property
    def ends(self) -> tuple[Any, ...]:
        """Values whose configurations are checked before a search starts."""
        return tuple(self.texts)

    def text(self, value: Any) -> str:
        """Format a value as on a command line."""
        return self.texts[value]

    def __str__(self) -> str:
        return " or ".join(self.texts.values())


Dimension = Interval | Choice


@dataclass(frozen=True)
class SearchSpace:
    """What a search varies, and what it does not.

    Args:
        dimensions: the searched settings, at least one.
        repetitions: overrides of each job of a trial: `target=vocals,drums` makes two jobs, whose mean counts.
        fixed: overrides that all jobs share.
    """

    dimensions: tuple[Dimension, ...]
    repetitions: tuple[tuple[str, ...], ...]
    fixed: tuple[str, ...]

    def overrides(self, values: Mapping[str, Any]) -> list[str]:
        """Format the values of a trial as overrides."""
        return [f"{dimension.key}={dimension.text(values[dimension.key])}" for dimension in self.dimensions]

    def jobs(self, values: Mapping[str, Any]) -> list[list[str]]:
        """Overrides of each job of a trial."""
        return [[*self.fixed, *own, *self.overrides(values)] for own in self.repetitions]

    @property
    def probes(self) -> list[dict[str, Any]]:
        """Trials that have every end of every interval, and every choice, at least once."""
        first = {dimension.key: dimension.ends[0] for dimension in self.dimensions}
        others = [{**first, each.key: value} for each in self.dimensions for value in each.ends[1:]]
        return [first, *others]

    @property
    def description(self) -> dict[str, str]:
        """Key -> its values, in words."""
        return {dimension.key: str(dimension) for dimension in self.dimensions}


def read(params: Mapping[str, Any], overrides: Sequence[str]) -> SearchSpace:
    """Read a search space.

    Args:
        params: values by key, `hydra.sweeper.params`; the command line replaces them.
        overrides: overrides of the command line.
    Raises:
        ValueError: when nothing is searched, or an interval, a range or a choice is impossible.
    """
    parser = OverridesParser.create()
    from_file = parser.parse_overrides([f"{key}={value}" for key, value in params.items()])
    given = [override for override in parser.parse_overrides(list(overrides)) if not override.is_hydra_override()]
    parsed = _last([*from_file, *given])
    swept = [override for override in parsed if override.is_sweep_override()]
    repeated = [override for override in swept if override.key_or_group in REPEATED]
    dimensions = tuple(_dimension(override) for override in swept if override not in repeated)
    if not dimensions:
        raise ValueError(
            "search: no setting is searched; give an interval, as 'optimizer.lr=interval(1e-4,1e-2)', or choices, "
            "as model.hidden_size=256,512, or a file of conf/search, as search=umx"
        )
    return SearchSpace(
        dimensions,
        tuple(itertools.product(*map(_repetitions, repeated))),
        tuple(str(override.input_line) for override in parsed if not override.is_sweep_override()),
    )


def _last(parsed: Sequence[Override]) -> list[Override]:
    """Leave out overrides of keys that are searched, and given again later."""
    last = {override.key_or_group: override for override in parsed}
    searched = {override.key_or_group for override in parsed if override.is_sweep_override()}
    return [
        override
        for override in parsed
        if override.key_or_group not in searched or override is last[override.key_or_group]
    ]


def _repetitions(override: Override) -> list[str]:
    if not override.is_discrete_sweep():
        raise ValueError(
            f"{override.input_line}: {override.key_or_group} is not searched; a list, as "
            f"{override.key_or_group}=a,b, makes a job for each value, and the mean of their results counts"
        )
    return [f"{override.key_or_group}={text}" for text in override.sweep_string_iterator()]


def _dimension(override: Override) -> Dimension:
    key, written, sweep = override.get_key_element(), str(override.input_line).partition("=")[2], override.value()
    if override.value_type == ValueType.GLOB_CHOICE_SWEEP:
        raise ValueError(f"{key}: got {written}, list the values instead, as {key}=a,b")
    for tag in sorted(sweep.tags):  # type: ignore[union-attr]  # every other sweep has tags
        if tag not in TAGS:
            raise ValueError(errors.unknown(f"{key}: tag", tag, TAGS))
    if isinstance(sweep, IntervalSweep):
        return _interval(key, written, sweep)
    if isinstance(sweep, RangeSweep):
        return _range(key, written, override, sweep)
    texts: dict[Any, str] = {}
    for value, text in zip(override.sweep_iterator(), override.sweep_string_iterator(), strict=True):
        plain = getattr(value, "text", value)  # of a quoted string
        chosen = plain if isinstance(plain, str | int | float | bool) else text
        if chosen in texts:
            raise ValueError(f"{key}: got {written}, which names {text} twice")
        texts[chosen] = text
    return Choice(key, texts)


def _interval(key: str, written: str, sweep: IntervalSweep) -> Interval:
    low, high, is_log = sweep.start, sweep.end, "log" in sweep.tags
    assert low is not None and high is not None
    if not math.isfinite(low) or not math.isfinite(high) or low >= high:
        raise ValueError(f"{key}: got {written}, the first number must be below the second")
    if is_log and low <= 0:
        raise ValueError(f"{key}: got {written}, a logarithmic interval begins above 0")
    return Interval(key, low, high, is_log, 1 if isinstance(low, int) and isinstance(high, int) else None)


def _range(key: str, written: str, override: Override, sweep: RangeSweep) -> Interval:
    values: list[Any] = sorted(override.sweep_iterator())
    if not values:
        raise ValueError(f"{key}: got {written}, which holds no number; the end of a range is not part of it")
    is_log, step = "log" in sweep.tags, abs(sweep.step)
    if is_log and (step != 1 or values[0] <= 0 or not isinstance(values[0], int)):
        raise ValueError(f"{key}: got {written}, a logarithmic range has whole numbers above 0, in steps of 1")
    return Interval(key, values[0], values[-1], is_log, step)
