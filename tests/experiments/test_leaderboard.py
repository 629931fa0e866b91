import csv
import json
from io import StringIO

import pytest
from rich.console import Console

from unmix.experiments import leaderboard, status
from unmix.experiments.status import Status


@pytest.fixture
def out(tmp_path):
    """Two runs, one of them killed; one run moved aside; two evaluations."""
    for name, state, best in (("vocals-s1", "done", 0.5), ("drums-s1", "running", 0.25)):
        (tmp_path / "runs" / "umx-1" / name).mkdir(parents=True)
        status.write(tmp_path / "runs" / "umx-1" / name, Status("umx-1", state, epoch=3, best=best, pid=2**22 + 1))
    (tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1").mkdir(parents=True)
    status.write(tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1", Status("umx-1", "done"))
    for where, sdr in (("runs/umx-1/eval/hq-test-a", 5.0), ("evaluations/hq-test-b", 7.0)):
        ours, base = ({"vocals": {"SDR": value}, "bass": {"SDR": value - 2}} for value in (sdr, 1.0))
        medians = {"m": ours, "mixture": base}
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "summary.json").write_text(json.dumps({"num_tracks": 50, "medians": medians}))
    return tmp_path


def test_every_run_and_evaluation_has_a_row(out):
    rows = leaderboard.collect(out)
    assert [row["run"] for row in rows] == ["umx-1/drums-s1", "umx-1/vocals-s1", "m/hq-test-b", "m/hq-test-a"]
    assert [row.get("state") for row in rows] == ["interrupted", "done", "50 tracks", "50 tracks"]
    assert rows[2]["sdr"] == 6.0
    assert rows[2]["sdr.bass"] == 5.0


def test_more_decibels_and_less_loss_come_first_and_rows_without_a_value_last(out):
    rows = leaderboard.collect(out)
    assert [row["run"] for row in leaderboard.sort_rows(rows, "sdr.vocals")][:2] == ["m/hq-test-b", "m/hq-test-a"]
    assert [row["run"] for row in leaderboard.sort_rows(rows, "val_loss")][:2] == ["umx-1/drums-s1", "umx-1/vocals-s1"]


def test_the_table_is_written_as_csv_too(out):
    text = StringIO()
    leaderboard.show(out, "sdr", Console(file=text, width=100))
    assert "umx-1/vocals-s1" in text.getvalue()
    rows = list(csv.DictReader((out / "leaderboard.csv").open()))
    assert [row["sdr"] for row in rows] == ["6.0", "4.0", "", ""]
