"""What an evaluation tells a logger."""

import math

import pytest

from unmix.composition import compose
from unmix.evaluation.metrics import Definition
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.plans import plan
from unmix.runs.boards import mark_logged, show_scores


class Recorder:
    """Logger that writes down the names and arguments of calls to the methods it has."""

    def __init__(self, *methods):
        self.calls = {}
        for method in methods:
            setattr(self, method, lambda *args, method=method: self.calls.setdefault(method, []).append(args))


@pytest.fixture
def summary():
    scores = [{"SDR": 1.0 + i, "SIR": 2.0, "ISR": 3.0, "SAR": 4.0} for i in range(3)]
    rows = [TrackScore(method, f"Track {i}", "bass", scores[i]) for method in ("ours", "mixture") for i in range(3)]
    return Summary("ours", "mixture", rows, {"subset": "test"})


MEDIANS = {"test/bass/sdr": 2.0, "test/bass/sir": 2.0, "test/bass/isr": 3.0, "test/bass/sar": 4.0}
MEDIANS |= {"test/sdr": 2.0, "test/sir": 2.0, "test/isr": 3.0, "test/sar": 4.0}  # means over targets
MEANING = [
    "SDR, SIR, ISR, SAR: BSS Eval v4 (museval), dB: median over windows of 1 s, then median over tracks",
    "scenario: bass",
]
CONFIGURATION = {"model": {"hidden_size": 16}, "test": {"subset": "test", "meaning": MEANING}}
EXTREMES = {
    "test/bass/worst/track": "Track 0",
    "test/bass/worst/sdr": 1.0,
    "test/bass/best/track": "Track 2",
    "test/bass/best/sdr": 3.0,
}
INTERVALS = {  # ours are the scores of the mixture, and three tracks can all be drawn alike
    f"test/{prefix}sdr_{name}": value
    for prefix in ("", "bass/")
    for name, value in (("low", 1.0), ("high", 3.0), ("improvement", 0.0), ("improvement_low", 0.0),
                        ("improvement_high", 0.0))
}  # fmt: skip
TRAINED = {"model": {"hidden_size": 16}}


def test_any_logger_of_lightning_gets_settings_and_medians(summary, tmp_path):
    board = Recorder("log_hyperparams", "log_metrics", "finalize")
    show_scores(board, summary, EvaluationFolder(tmp_path), TRAINED)
    assert board.calls == {
        "log_hyperparams": [(CONFIGURATION,)],
        "log_metrics": [(MEDIANS,)],
        "finalize": [("success",)],
    }


def test_our_boards_also_get_every_score_and_the_picture(summary, tmp_path):
    (tmp_path / "boxplot.png").write_bytes(b"picture")
    methods = ("log_configuration", "log_summary", "log_table", "log_picture", "log_clip", "finalize")
    board = Recorder(*methods)
    show_scores(board, summary, EvaluationFolder(tmp_path), TRAINED)
    assert board.calls["log_configuration"] == [(CONFIGURATION,)]
    assert board.calls["log_summary"] == [({**MEDIANS, **INTERVALS, **EXTREMES},)]
    ((name, columns, rows),) = board.calls["log_table"]
    assert (name, columns[:3], len(rows)) == ("test/scores", ["method", "track", "target"], 6)
    assert rows[0] == ["ours", "Track 0", "bass", 1.0, 2.0, 3.0, 4.0]
    assert board.calls["log_picture"] == [("test/boxplot", b"picture", 0)]
    assert "log_clip" not in board.calls, "no passage was kept"


PEAK = Definition("peak error", "largest error", unit="", better="low")


@pytest.fixture
def summary_of_board():
    """The function `summary_of_board(errors, path)`; returns the summary that a board gets for them."""

    def values_of(errors, path):
        (path / "boxplot.png").write_bytes(b"picture")
        rows = [
            TrackScore(method, str(i), target, {"peak error": error})
            for (method, target), of_tracks in errors.items()
            for i, error in enumerate(of_tracks)
        ]
        board = Recorder("log_configuration", "log_summary", "log_table", "log_picture", "finalize")
        show_scores(board, Summary("ours", "mixture", rows, {}, definitions=[PEAK]), EvaluationFolder(path), TRAINED)
        ((values,),) = board.calls["log_summary"]
        return values

    return values_of


def test_an_improvement_is_positive_also_of_an_error_and_of_the_mean_over_targets(summary_of_board, tmp_path):
    base = [0.5 + 0.01 * i for i in range(20)]
    gains = {("ours", "bass"): 0.1, ("ours", "vocals"): 0.3, ("mixture", "bass"): 0.0, ("mixture", "vocals"): 0.0}
    errors = {key: [error - gain for error in base] for key, gain in gains.items()}
    values = summary_of_board(errors, tmp_path)
    for prefix, gain in (("bass/", 0.1), ("vocals/", 0.3), ("", 0.2)):
        ends = [values[f"test/{prefix}peak_error_improvement{suffix}"] for suffix in ("", "_low", "_high")]
        assert ends == pytest.approx([gain] * 3)
        score = values[f"test/{prefix}peak_error"]
        assert values[f"test/{prefix}peak_error_low"] < score < values[f"test/{prefix}peak_error_high"]


def test_one_track_and_sources_without_a_score_have_no_interval(summary_of_board, tmp_path):
    errors = {(method, "bass"): [0.4] for method in ("ours", "mixture")}
    errors |= {(method, "vocals"): [math.nan] for method in ("ours", "mixture")}
    values = summary_of_board(errors, tmp_path)
    assert values["test/bass/peak_error_improvement"] == 0
    assert not [name for name in values if name.endswith(("_low", "_high"))]
    assert "test/vocals/peak_error_improvement" not in values
    assert "test/peak_error_improvement" not in values


def test_a_logger_that_makes_no_folder_is_not_asked_again(tmp_path):
    planned = plan(compose("train", ["logger=wandb"]))
    assert planned.unlogged(tmp_path) == ["wandb"]
    mark_logged(planned, tmp_path)
    assert planned.unlogged(tmp_path) == []
