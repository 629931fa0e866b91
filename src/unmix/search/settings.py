"""Settings of a search, `hydra.sweeper.*` with hydra/sweeper=optuna."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from unmix import errors
from unmix.checks import Check, integer, optional, texts, word
from unmix.search.objectives import OBJECTIVES

SAMPLERS = ("tpe", "random")
PRUNERS = ("none", "median", "halving", "hyperband")
LARGEST_SEED = 2**32 - 1  # NumPy's

_count = partial(integer, least=1)
CHECKS: dict[str, Check] = {
    "n_trials": _count,
    "sampler": partial(word, allowed=SAMPLERS),
    "seed": partial(integer, least=0, most=LARGEST_SEED),
    "parallel": optional(_count),
    "pruner": partial(word, allowed=PRUNERS),
    "min_epochs": optional(_count),
}


@dataclass(frozen=True)
class SearchSettings:
    """How a search is done.

    Args:
        n_trials: trials in all, those of earlier commands included.
        objective: one of `OBJECTIVES`, or a list of several, whose trade-off is searched.
        sampler: one of `SAMPLERS`.
        seed: of the sampler.
        parallel: how many trials may be under way when a trial is chosen; None: as many as the launcher runs at a time.
        pruner: one of `PRUNERS`.
        min_epochs: epochs that every trial is trained for; None: a ninth of trainer.max_epochs.
        params: search space by key, in Hydra's grammar.
    Raises:
        ValueError: on a value that is not allowed, naming hydra.sweeper.<key>.
    """

    n_trials: int = 20
    objective: str | Sequence[str] = "val/loss"
    sampler: str = "tpe"
    seed: int = 0
    parallel: int | None = None
    pruner: str = "none"
    min_epochs: int | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pruner == "asha":
            raise ValueError(
                "hydra.sweeper.pruner: got 'asha', whose promotions depend on which trial ends first, so that no "
                "search can be repeated; halving promotes by complete rungs"
            )
        for key, check in CHECKS.items():
            check(f"hydra.sweeper.{key}", getattr(self, key))
        for objective in self.objectives:
            word("hydra.sweeper.objective", objective, OBJECTIVES)
        if self.pruner != "none" and self.objectives not in (["val/loss"], ["val/sdr"]):
            raise ValueError(
                f"hydra.sweeper.pruner: got {self.pruner}, which compares the epochs of one metric; "
                f"with hydra.sweeper.objective={','.join(self.objectives)} only none is allowed"
            )

    @property
    def objectives(self) -> list[str]:
        """Names of the objectives."""
        name = "hydra.sweeper.objective"
        return [self.objective] if isinstance(self.objective, str) else texts(name, self.objective)

    @property
    def is_better_high(self) -> list[bool]:
        """Whether a higher value is better, for each objective."""
        return [OBJECTIVES[name] for name in self.objectives]


def from_node(node: Mapping[str, Any]) -> SearchSettings:
    """Make settings of the plain content of `hydra.sweeper`.

    Raises:
        ValueError: on an unknown key, or as `SearchSettings`.
    """
    known = list(SearchSettings.__dataclass_fields__)
    values = {key: value for key, value in node.items() if key != "_target_"}
    for key in values:
        if key not in known:
            raise ValueError(errors.unknown(f"hydra.sweeper.{key}", key, known))
    return SearchSettings(**{**values, "params": values.get("params") or {}})
