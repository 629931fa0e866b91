import json
import math

from unmix.experiments import status
from unmix.experiments.status import Status
from unmix.reports import leaderboard, ranking


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
    (out / "sweeps" / "now" / "003-other-s1.log").write_text("before\ndata.root: not given\n")
    lines = [
        {"job": job, "run": f"elsewhere/runs/umx-1/{run}", "state": state}
        for job, (run, state) in enumerate((("vocals-s1", "running"), ("bass-s1", "waiting"), ("other-s1", "waiting")))
    ]
    lines.append({"job": 3, "run": "elsewhere/runs/umx-1/other-s1", "state": "failed"})
    text = "\n".join(map(json.dumps, lines)) + '\n{"run": "half a li'
    (out / "sweeps" / "now" / "jobs.jsonl").write_text(text)
    found = {row["run"]: (row["state"], row.get("reason")) for row in collect(out) if row["kind"] == "job"}
    assert found == {"umx-1/bass-s1": ("waiting", None), "umx-1/other-s1": ("failed", "data.root: not given")}


def test_names_and_groups_choose(out, make_run):
    make_run(out, "hq-2", "vocals-s1")
    assert {row["experiment"] for row in collect(out, name="umx*")} == {"umx-1"}
    assert {row["experiment"] for row in collect(out, group="hq-2")} == {"hq-2"}
    assert not collect(out, group="hq")


def test_a_plain_name_is_that_of_experiments_without_their_hash(out, make_run):
    for experiment in ("demo-0123abcd", "demo-89abcdef", "demo_small-0123abcd"):
        make_run(out, experiment, "vocals-s1")
    assert {row["experiment"] for row in collect(out, name="demo")} == {"demo-0123abcd", "demo-89abcdef"}
    assert {row["experiment"] for row in collect(out, name="*small")} == {"demo_small-0123abcd"}
    assert len({row["experiment"] for row in collect(out, name="demo*")}) == 3
    assert {row["experiment"] for row in collect(out, name="demo-0123abcd")} == {"demo-0123abcd"}
    assert not collect(out, name="dem")


def test_what_runs_differ_in_is_a_column(out, make_run):
    make_run(out, "umx-2", "vocals-s1", size=512)
    rows = collect(out)
    assert [row["model.hidden_size"] for row in rows if row["kind"] == "run"] == [256, 256, 512]
    alike_or_uninteresting = {"data.root", "data.name", "data.target", "model.targets", "model.bidirectional"}
    assert not {*alike_or_uninteresting, "model._target_"} & set(rows[0])


def test_a_run_that_ended_within_an_epoch_shows_its_steps(out, make_run):
    make_run(out, "umx-2", "vocals-s1", batch=4)
    rows = [row for row in collect(out) if row["kind"] == "run"]
    assert [(row["epochs"], row["steps"]) for row in rows] == [(3, None), (3, None), (3, 34)]


def test_an_evaluation_has_the_hyperparameters_that_its_runs_share(out, make_run, make_evaluation):
    make_run(out, "umx-2", "vocals-s1", size=512)
    make_run(out, "umx-2", "bass-s1", size=512, bidirectional=False)
    make_evaluation(out, "umx-2", 6.0)
    path = out / "evaluations" / "hq-test-b" / "summary.json"  # of one run of each experiment
    files = {
        name: f"{out}/runs/{run}/checkpoints/best.ckpt"
        for name, run in (("a", "umx-1/drums-s1"), ("b", "umx-2/vocals-s1"))
    }
    path.write_text(json.dumps({**json.loads(path.read_text()), "checkpoints": files}))
    rows = {row["run"]: row for row in collect(out) if row["kind"] == "evaluation"}
    keys = ("experiment", "sdr", "model.hidden_size", "model.bidirectional")
    assert [rows["umx-2/hq-test-c"].get(key) for key in keys] == ["umx-2", 6.0, 512, None]
    assert [rows["m/hq-test-a"].get(key) for key in keys] == ["umx-1", 4.0, 256, True]
    assert [rows["m/hq-test-b"].get(key) for key in keys] == ["m", 6.0, None, True]


def test_failed_runs_and_evaluations_have_a_reason(out, make_run, make_evaluation):
    make_run(out, "umx-2", "vocals-s1", state="failed", reason="train/loss is NaN")
    (make_evaluation(out, "umx-2", 6.0) / "summary.json").unlink()
    status.write(out / "runs/umx-2/eval/hq-test-c", Status("hq-test-c", "failed", "no space left"))
    reasons = {row["run"]: row["reason"] for row in collect(out, group="umx-2")}
    assert reasons == {"umx-2/vocals-s1": "train/loss is NaN", "umx-2/hq-test-c": "no space left"}


def test_damaged_folders_are_listed_and_hide_no_other(out, make_run):
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
    assert all(reason for _, reason in found.damaged)


def test_a_run_that_is_being_written_counts_whole_lines_only(out):
    with (out / "runs" / "umx-1" / "vocals-s1" / "metrics.csv").open("a") as file:
        file.write("3,40,0.")
    assert [epoch for epoch, _ in leaderboard.collect(out).curves["umx-1/vocals-s1"]] == [0, 1, 2]


def test_more_decibels_and_less_loss_come_first_and_rows_without_a_value_last(out):
    rows = collect(out)
    assert [row["run"] for row in ranking.sort_rows(rows, "sdr.vocals")][:2] == ["m/hq-test-b", "m/hq-test-a"]
    assert [row["run"] for row in ranking.sort_rows(rows, "val_loss")][:2] == ["umx-1/drums-s1", "umx-1/vocals-s1"]
    rows[0]["val_loss"] = math.nan
    assert ranking.sort_rows(rows, "val_loss")[0]["run"] == "umx-1/vocals-s1"
    assert ranking.sort_rows(rows, "state")[0]["state"] == "50 tracks"
    by_result = ["m/hq-test-b", "m/hq-test-a", "umx-1/vocals-s1", "umx-1/drums-s1"]
    assert [row["run"] for row in ranking.sort_rows(rows)] == by_result


def test_a_run_killed_before_its_status_knew_an_epoch_has_the_loss_of_that_epoch(make_run, tmp_path):
    run = make_run(tmp_path, "umx-1", "vocals-s1", state="running", best=0.25)
    status.write(run, Status("umx-1", "running", pid=2**22 + 1))
    (row,) = leaderboard.collect(tmp_path).rows
    assert (row["state"], row["val_loss"], row["val_sdr"]) == ("interrupted", 0.25, 0.5)
