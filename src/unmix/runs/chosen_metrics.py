"""The metrics that `metrics=...` chooses."""

from omegaconf import DictConfig

from unmix.evaluation.metrics import METRICS, Metric, definitions_of
from unmix.runs.build import make


def make_metrics(cfg: DictConfig) -> list[Metric]:
    """Build the metrics that `metrics=...` chooses; `metrics.<name>=null` leaves one out.

    Raises:
        ValueError: as `definitions_of`, or when published scores are to be compared with other metrics than theirs.
    """
    metrics: list[Metric] = [each for each in make(cfg.metrics, "metrics").values() if each is not None]
    definitions = definitions_of(metrics)
    if cfg.evaluation.compare and not set(METRICS) <= {definition.name for definition in definitions}:
        names = ", ".join(definition.name for definition in definitions)
        raise ValueError(
            f"evaluation.compare: published scores are {', '.join(METRICS)} of museval, metrics=... computes {names}: "
            f"add museval, as metrics=[museval,{','.join(name for name in cfg.metrics if name != 'museval')}]"
        )
    return metrics
