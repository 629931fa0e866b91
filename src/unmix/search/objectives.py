"""What a search optimises: metrics of runs by epoch, of the checkpoint that a run of that many epochs is used by."""

from collections.abc import Sequence
from pathlib import Path

from unmix.experiments.curves import epochs

# Name of an objective -> whether a higher value is better.
OBJECTIVES = {"val/loss": False, "val/sdr": True, "parameters": False}

Values = tuple[float, ...]
Curve = dict[int, Values]  # number of finished epochs -> values of the objectives


def curve(metrics: Path, objectives: Sequence[str], parameters: int) -> Curve:
    """Read what a run is worth after each of its epochs: the metrics of its lowest val/loss so far.

    Args:
        metrics: metrics.csv of the run; a missing file gives an empty curve.
        objectives: names of `OBJECTIVES`.
        parameters: number of trainable parameters of the run's model.
    Raises:
        ValueError: when the run lacks a metric.
    """
    best: tuple[float, float | None] | None = None
    values: Curve = {}
    for epoch, loss, sdr in epochs(metrics):
        if best is None or loss < best[0]:
            best = loss, sdr
        known = {"val/loss": best[0], "val/sdr": best[1], "parameters": float(parameters)}
        values[epoch + 1] = tuple(_present(name, known[name], metrics) for name in objectives)
    return values


def _present(name: str, value: float | None, metrics: Path) -> float:
    if value is None:
        raise ValueError(f"hydra.sweeper.objective: got {name}, but {metrics} has no such column")
    return value


def mean(curves: Sequence[Curve], ended: Sequence[bool]) -> Curve:
    """Average the curves of runs, at the epochs that all of them have reached; a run that ended keeps its last values.

    Args:
        curves: one for each run.
        ended: whether each run has ended, for example by early stopping.
    """
    if not all(curves):
        return {}
    reached = min([max(own) for own, is_over in zip(curves, ended, strict=True) if not is_over], default=None)
    numbers = sorted(set().union(*curves))
    first = max(map(min, curves))
    shared = [number for number in numbers if first <= number and (reached is None or number <= reached)]
    return {number: _mean([own[max(k for k in own if k <= number)] for own in curves]) for number in shared}


def _mean(values: Sequence[Values]) -> Values:
    return tuple(sum(column) / len(column) for column in zip(*values, strict=True))
