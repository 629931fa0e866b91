"""Log an evaluation to W&B, TensorBoard or any Lightning logger."""

from typing import Any

from unmix.evaluation import passages
from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary


def show_scores(board: Any, summary: Summary, where: EvaluationFolder) -> None:
    """Log medians as `test/<target>/<metric>`; our own loggers also get all scores, the box plot and clips."""
    medians = summary.medians[summary.method]
    values = {f"test/{target}/{metric.lower()}": medians[target][metric] for target in medians for metric in METRICS}
    if not hasattr(board, "log_summary"):  # a logger of Lightning, not of this project
        board.log_hyperparams(summary.settings)
        board.log_metrics(values)
        board.finalize("success")
        return
    board.log_configuration(summary.settings)
    board.log_summary(values)
    rows = [[row.method, row.track, row.target, *(row.metrics[one] for one in METRICS)] for row in summary.rows]
    board.log_table("test/scores", ["method", "track", "target", *METRICS], rows)
    board.log_picture("test/boxplot", (where.path / "boxplot.png").read_bytes(), 0)
    for target in summary.targets:
        for which, track in summary.extremes(target).items():
            if (path := where.passage(track, target)).is_file():
                passage = passages.read(path)
                for stem, waveform in passage.stems.items():
                    board.log_clip(f"test/{target}/{which}/{stem}", waveform, passage.sample_rate, 0)
    board.finalize("success")
