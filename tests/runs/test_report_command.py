"""python src/report.py: from stored evaluations to the table and figures of a paper."""

import json
import subprocess
import sys

import pytest
import wandb
from wandb.errors import CommError
from wandb_workspaces.reports.v2 import Report

from stored_evaluations import TARGETS, seeds, store, store_run, values
from unmix import finished

LOW, HIGH = (dict.fromkeys(TARGETS, values(level)) for level in (3.0, 5.0))


@pytest.fixture
def out(tmp_path):
    """Two seeds of an experiment with their runs, a release and an oracle."""
    seeds(tmp_path, "umx-1a2b3c4d", 3.0, parameters=8900000)
    for run in ("vocals-s1", "bass-s1", "vocals-s2", "bass-s2"):
        store_run(tmp_path, f"umx-1a2b3c4d/{run}")
    store(tmp_path, "umxhq", HIGH, name="hq-test-a", parameters=35600000)
    store(tmp_path, "oracle-irm1", HIGH, name="hq-test-b", weights={"oracle": "irm1"})
    return tmp_path


def arguments(out, *others):
    return [f"paths.out={out}", f"ckpt=[{out}/runs/umx-1a2b3c4d,umxhq,oracle:irm1]", *others]


@pytest.mark.parametrize(("form", "ending"), [("latex", "tex"), ("markdown", "md"), ("csv", "csv")])
def test_a_table_is_printed_and_written_with_its_figures(form, ending, cli, capfd, out):
    assert cli("report", *arguments(out, f"format={form}")) == 0
    printed = capfd.readouterr().out
    (folder,) = (out / "reports").iterdir()
    assert (folder / f"table.{ending}").read_text() in printed
    assert "vocals: umxhq is 1.90 dB better than umx (95 % interval " in printed
    files = {f"table.{ending}", "comparisons.csv", "boxplot.pdf", "parameters.pdf", "learning_curves.pdf"}
    assert {path.name for path in folder.iterdir()} == files
    *_, written, hint = printed.splitlines()
    assert all(name in written for name in files)
    assert hint.startswith("next: python src/listen.py ")
    assert "'ckpt=[" in hint


def test_the_same_command_again_writes_the_same_bytes(cli, out):
    contents = []
    for _ in range(2):
        assert cli("report", *arguments(out, f"out={out / 'table'}", "figures=svg")) == 0
        contents.append({path.name: path.read_bytes() for path in (out / "table").iterdir()})
    assert contents[0] == contents[1]
    assert "boxplot.svg" in contents[0]


def test_a_report_of_wandb_is_printed_without_a_login_and_writes_nothing(cli, capfd, out):
    assert cli("report", *arguments(out, "format=wandb")) == 0
    specification = json.loads(capfd.readouterr().out)
    assert specification["displayName"] == "Comparison of 3 methods on hq-test"
    blocks = specification["spec"]["blocks"]
    (table,) = [block["content"] for block in blocks if block["type"] == "markdown-block"]
    assert "| method | vocals | bass | mean |" in table
    assert "SDR: BSS Eval v4 (museval), dB: median over windows" in table
    text = json.dumps(blocks)
    assert "vocals: umxhq is 1.90 dB better than umx (95 % interval " in text
    grids = [block["metadata"] for block in blocks if block["type"] == "panel-grid"]
    (runs,) = {json.dumps(grid["runSets"][0]["filters"]["filters"][0]) for grid in grids}
    assert json.loads(runs)["key"] == {"section": "run", "name": "displayName"}
    assert json.loads(runs)["value"] == ["hq-test-000000", "hq-test-000001", "hq-test-a", "hq-test-b"]
    for key in ("test/vocals/sdr", "test/bass/sdr", "test/sdr", "test/bass/worst/estimate"):
        assert f'"{key}"' in text, key
    bars, clips = map(_panels, grids)
    assert {panel["config"]["groupBy"] for panel in bars} == {"group"}, "of the run, not of its configuration"
    assert (len(bars), len(clips)) == (3, 4)
    assert len({(panel["layout"]["x"], panel["layout"]["y"]) for panel in clips}) == 4, "side by side"
    assert not (out / "reports").exists()


def _panels(grid):
    return grid["panelBankSectionConfig"]["panels"]


def test_a_report_of_wandb_is_saved_and_its_address_printed(cli, capfd, monkeypatch, out):
    monkeypatch.setattr(wandb, "login", lambda prompt: True)
    saved = []
    monkeypatch.setattr(Report, "save", lambda report: saved.append(report))
    monkeypatch.setattr(Report, "url", property(lambda report: f"address of {report.project}"))
    options = ("format=wandb", "save=true", "entity=me", "project=mine", "title=Mine")
    assert cli("report", *arguments(out, *options)) == 0
    assert capfd.readouterr().out == "address of mine\n"
    assert [(report.entity, report.title) for report in saved] == [("me", "Mine")]

    def refuse(report):
        raise CommError("404 entity not found")

    monkeypatch.setattr(Report, "save", refuse)
    assert cli("report", *arguments(out, *options)) == 2
    assert "W&B does not take it (404 entity not found); is entity=me right?" in capfd.readouterr().err


def test_figures_can_be_left_out(cli, out):
    assert cli("report", *arguments(out, "figures=null", f"out={out / 'table'}")) == 0
    assert sorted(path.name for path in (out / "table").iterdir()) == ["comparisons.csv", "table.tex"]


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["ckpt=umxl"], "report: ckpt: umxl has no evaluation, and is no path: python src/evaluate.py ckpt=umxl"),
        (["metric=SDRR"], "report: metric: got 'SDRR', but "),
        (["test_set=demo-test"], "report: test_set: got 'demo-test', but "),
        (["compare=umxx"], "report: compare: got 'umxx', allowed "),
        (["format=html"], "report: format: got 'html', allowed "),
        (["save=true"], "report: save: got true, but format=latex writes files: only format=wandb saves to W&B"),
        (["format=wandb", "save=true"], "report: entity: not given; save=true needs your W&B user or team: entity=me"),
        (["format=wandb", f"title={'x' * 129}"], "report: title: got 129 characters, allowed 128 or fewer"),
        (["figures=png"], "report: figures: got 'png', allowed "),
        (["tracks=some"], "report: tracks: got 'some', allowed "),
        (["out=/dev/null"], "report: out: /dev/null is no folder; name a folder that can be written"),
        (["ckpt=[]"], "report: ckpt: got [], "),
    ],
)
def test_mistakes_are_answered_in_a_line_before_anything_is_written(others, message, cli, capfd, out):
    assert cli("report", *arguments(out), *others) == 2
    error = capfd.readouterr().err
    assert error.startswith(message)
    assert len(error.splitlines()) == 1
    assert not (out / "reports").exists()


def test_other_tracks_and_corrupt_scores_are_refused_in_a_line(cli, capfd, out):
    store(out, "umxl", dict.fromkeys(TARGETS, values(1.0, tracks=["Another", "Song 1"])), name="hq-test-c")
    assert cli("report", f"paths.out={out}", "ckpt=[umxhq,umxl]") == 2
    assert "hq-test-a lacks 'Another', which others have; tracks=common" in capfd.readouterr().err
    assert cli("report", f"paths.out={out}", "ckpt=[umxhq,umxl]", "tracks=common", "figures=null") == 0
    assert "1 track" in capfd.readouterr().out
    (out / "evaluations" / "hq-test-a" / "scores.csv").write_text("method,track\numxhq,\x00")
    assert cli("report", f"paths.out={out}", "ckpt=umxhq") == 2
    error = capfd.readouterr().err
    assert "scores.csv is damaged (" in error
    assert len(error.splitlines()) == 1


def test_names_with_quotes_and_markup_need_no_care(cli, capfd, out):
    folder = out / "runs" / 'it\'s 50% <b>{x}, "y"'
    store(out, folder.name, LOW, place=f"runs/{folder.name}/eval")
    assert cli("report", f"paths.out={out}", f"ckpt={folder}", "figures=svg", f"out={out / 'table'}") == 0
    assert r"it's 50\% \textless{}b\textgreater{}\{x\}, ''y''" in capfd.readouterr().out


def test_an_evaluation_is_current_while_its_checkpoints_are_unchanged(tmp_path):
    file = tmp_path / "best.ckpt"
    file.write_text("a")
    stat = file.stat()
    stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    assert not finished.is_current(tmp_path)
    (tmp_path / "inputs.json").write_text(json.dumps({"files": {str(file): stamp}}))
    assert finished.is_current(tmp_path)
    file.write_text("longer")
    assert not finished.is_current(tmp_path)


def test_the_command_imports_neither_torch_nor_lightning():
    code = (
        "import sys, unmix.config, unmix.runs.report, unmix.reports.paper_figures; "
        "print([name for name in ('torch', 'pytorch_lightning', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
