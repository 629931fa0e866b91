"""What an evaluation tells a logger."""

import pytest

from unmix.composition import compose
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
    assert board.calls["log_summary"] == [({**MEDIANS, **EXTREMES},)]
    ((name, columns, rows),) = board.calls["log_table"]
    assert (name, columns[:3], len(rows)) == ("test/scores", ["method", "track", "target"], 6)
    assert rows[0] == ["ours", "Track 0", "bass", 1.0, 2.0, 3.0, 4.0]
    assert board.calls["log_picture"] == [("test/boxplot", b"picture", 0)]
    assert "log_clip" not in board.calls, "no passage was kept"


def test_a_logger_that_makes_no_folder_is_not_asked_again(tmp_path):
    planned = plan(compose("train", ["logger=wandb"]))
    assert planned.unlogged(tmp_path) == ["wandb"]
    mark_logged(planned, tmp_path)
    assert planned.unlogged(tmp_path) == []
