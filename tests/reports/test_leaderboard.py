import csv
import json
import math
import re
from io import StringIO

import pytest
from rich.console import Console

from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.reports import leaderboard, leaderboard_page


def make_run(out, experiment, run, *, state="done", best=0.5, size=256, bidirectional=True, epochs=3):
    path = out / "runs" / experiment / run
    path.mkdir(parents=True)
    status.write(path, Status(experiment, state, epoch=epochs, best=best, pid=2**22 + 1))
    lines = [f"{i},{i * 10},{best + 0.1 * (epochs - 1 - i)},{i - 1.5}" for i in range(epochs)]
    (path / "metrics.csv").write_text("\n".join(["epoch,step,val/loss,val/sdr", *lines]) + "\n")
    (path / "config.yaml").write_text(
        f"target: {run}\ndata: {{root: /{run}, name: hq}}\n"
        f"model: {{_target_: a, hidden_size: {size}, bidirectional: {str(bidirectional).lower()}}}\n"
    )
    return path


@pytest.fixture
def out(tmp_path):
    """Two runs, one of them killed; one run moved aside; two evaluations."""
    make_run(tmp_path, "umx-1", "vocals-s1")
    make_run(tmp_path, "umx-1", "drums-s1", state="running", best=0.25)
    (tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1").mkdir(parents=True)
    status.write(tmp_path / "runs" / "umx-1" / "old" / "vocals-s1-1", Status("umx-1", "done"))
    for where, sdr in (("runs/umx-1/eval/hq-test-a", 5.0), ("evaluations/hq-test-b", 7.0)):
        ours, base = ({"vocals": {"SDR": value}, "bass": {"SDR": value - 2}} for value in (sdr, 1.0))
        medians = {"m": ours, "mixture": base}
        (tmp_path / where).mkdir(parents=True)
        (tmp_path / where / "summary.json").write_text(json.dumps({"num_tracks": 50, "medians": medians}))
    return tmp_path


def collect(out, **options):
    return leaderboard.collect(out, **options).rows


def test_every_run_and_evaluation_has_a_row(out):
    rows = collect(out)
    assert [row["run"] for row in rows] == ["umx-1/drums-s1", "umx-1/vocals-s1", "m/hq-test-b", "m/hq-test-a"]
    assert [row.get("state") for row in rows] == ["interrupted", "done", "50 tracks", "50 tracks"]
    assert (rows[0]["target"], rows[0]["seed"], rows[0]["val_sdr"]) == ("drums", "1", 0.5)
    assert rows[2]["sdr"] == 6.0
    assert rows[2]["sdr.bass"] == 5.0
    assert rows[3]["report"] == "runs/umx-1/eval/hq-test-a/report.html"


def test_jobs_that_have_not_begun_have_a_row(out):
    (out / "sweeps" / "now").mkdir(parents=True)
    lines = [
        {"run": f"elsewhere/runs/umx-1/{run}", "state": state}
        for run, state in (("vocals-s1", "running"), ("bass-s1", "waiting"), ("other-s1", "waiting"))
    ]
    lines.append({"run": "elsewhere/runs/umx-1/other-s1", "state": "failed"})
    text = "\n".join(map(json.dumps, lines)) + '\n{"run": "half a li'
    (out / "sweeps" / "now" / "jobs.jsonl").write_text(text)
    found = {row["run"]: row["state"] for row in collect(out) if row["kind"] == "job"}
    assert found == {"umx-1/bass-s1": "waiting", "umx-1/other-s1": "failed"}


def test_names_and_groups_choose(out):
    make_run(out, "hq-2", "vocals-s1")
    assert {row["experiment"] for row in collect(out, name="umx*")} == {"umx-1"}
    assert {row["experiment"] for row in collect(out, group="hq-2")} == {"hq-2"}
    assert not collect(out, group="hq")


def test_what_runs_differ_in_is_a_column(out):
    make_run(out, "umx-2", "vocals-s1", size=512)
    rows = collect(out)
    assert [row["model.hidden_size"] for row in rows if row["kind"] == "run"] == [256, 256, 512]
    assert not {"data.root", "model.bidirectional", "data.name", "model._target_"} & set(rows[0])


def test_damaged_folders_are_listed_and_hide_no_other(out):
    for name, file, content in (
        ("bass-s1", "status.json", "{"),
        ("other-s1", "metrics.csv", "epoch,step,val/loss\n0,1,x\n"),
        ("other-s2", "config.yaml", "a: [1"),
    ):
        (make_run(out, "umx-1", name) / file).write_text(content)
    (out / "evaluations" / "hq-test-b" / "summary.json").write_text("{}")
    found = leaderboard.collect(out)
    assert len(found.damaged) == 4
    assert [row["run"] for row in found.rows] == ["umx-1/drums-s1", "umx-1/vocals-s1", "m/hq-test-a"]
    text = StringIO()
    leaderboard_page.print_tables(found, found.rows, Console(file=text, width=200))
    assert text.getvalue().count("damaged: ") == 4
    assert leaderboard_page.to_html(found, found.rows, out).count("<li>") == 4


def test_a_run_that_is_being_written_counts_whole_lines_only(out):
    with (out / "runs" / "umx-1" / "vocals-s1" / "metrics.csv").open("a") as file:
        file.write("3,40,0.")
    assert [epoch for epoch, _ in leaderboard.collect(out).curves["umx-1/vocals-s1"]] == [0, 1, 2]


def test_more_decibels_and_less_loss_come_first_and_rows_without_a_value_last(out):
    rows = collect(out)
    assert [row["run"] for row in leaderboard.sort_rows(rows, "sdr.vocals")][:2] == ["m/hq-test-b", "m/hq-test-a"]
    assert [row["run"] for row in leaderboard.sort_rows(rows, "val_loss")][:2] == ["umx-1/drums-s1", "umx-1/vocals-s1"]
    rows[0]["val_loss"] = math.nan
    assert leaderboard.sort_rows(rows, "val_loss")[0]["run"] == "umx-1/vocals-s1"
    assert leaderboard.sort_rows(rows, "state")[0]["state"] == "50 tracks"


def test_the_command_writes_tables_and_a_page(out, cli, capfd):
    assert cli("leaderboard", f"paths.out={out}", "sort=sdr") == 0
    assert "umx-1/vocals-s1" in capfd.readouterr().out
    rows = list(csv.DictReader((out / "leaderboard.csv").open()))
    assert [row["sdr"] for row in rows] == ["6.0", "4.0", "", ""]
    assert "| umx-1/vocals-s1 | done | 3 | 0.5 | 0.5 |" in (out / "leaderboard.md").read_text()
    page = (out / "leaderboard.html").read_text()
    assert 'href="runs/umx-1/eval/hq-test-a/report.html"' in page
    assert page.count("<svg") == 2  # the learning curves of two targets
    assert cli("leaderboard", f"paths.out={out}", "group=umx-7") == 2
    assert "with group=umx-7" in capfd.readouterr().err


def test_a_sweep_has_curves_sizes_and_parallel_coordinates_and_the_best_is_heard(out):
    for i, (size, bidirectional) in enumerate(((128, True), (128, False), (512, True), (512, False))):
        make_run(out, f"sweep-{i}", "vocals-s1", size=size, bidirectional=bidirectional, best=1 / size)
    (out / "evaluations" / "hq-test-b" / "clips").mkdir()
    (out / "evaluations" / "hq-test-b" / "clips" / "vocals-best.mp3").write_bytes(b"sound")
    found = leaderboard.collect(out)
    page = leaderboard_page.to_html(found, found.rows, out)
    titles = re.findall(r">(\w+: .*?)</text>", page)
    assert titles == [
        "drums: validation loss",
        "vocals: validation loss",
        "drums: best validation loss",
        "vocals: best validation loss",
        "vocals: hyperparameters, the best in orange",
    ]
    assert "hidden_size 512, bidirectional False" in page
    assert "unidirectional, 512: 0.001953" in page
    assert "vocals-best <audio" in page


def test_names_from_outside_are_escaped(out):
    make_run(out, "<b>-1", "vocals-s1")
    found = leaderboard.collect(out)
    page = leaderboard_page.to_html(found, found.rows, out)
    assert "<b>" not in page
    assert "&lt;b&gt;-1/vocals-s1" in page
