import csv
import json
from io import StringIO

import pytest
from rich.console import Console

from unmix.evaluation.metrics import Definition, to_json
from unmix.reports import leaderboard, leaderboard_charts, leaderboard_page, ranking


def terminal(out, width):
    """What is printed on a terminal of that width."""
    found, text = leaderboard.collect(out), StringIO()
    leaderboard_page.print_tables(found, ranking.sort_rows(found.rows), Console(file=text, width=width))
    return text.getvalue()


@pytest.fixture
def sweep(tmp_path, make_run, make_evaluation):
    """Four experiments of two targets and their evaluations, the largest is the best; one run failed."""
    for i, (size, direction) in enumerate(((128, True), (128, False), (512, True), (512, False))):
        for target in ("vocals", "bass"):
            make_run(
                tmp_path, f"umxhq-{i}a2b3c4d", f"{target}-s42", size=size, bidirectional=direction, best=1 / (size + i)
            )
        make_evaluation(tmp_path, f"umxhq-{i}a2b3c4d", 4.0 + i, name=f"musdb18hq-test-{i}a2b3c")
    make_run(tmp_path, "umxhq-9a2b3c4d", "bass-s42", size=1024, state="failed", reason="bass: train/loss is NaN")
    return tmp_path


def test_hidden_size_stands_against_the_mean_test_sdr_in_one_table_and_one_chart(sweep, cli, charts_of):
    assert cli("leaderboard", f"paths.out={sweep}") == 0
    rows = [row for row in csv.DictReader((sweep / "leaderboard.csv").open()) if row["kind"] == "evaluation"]
    columns = ("model.hidden_size", "model.bidirectional", "sdr")
    expected = [("512", "False", "7.0"), ("512", "True", "6.0"), ("128", "False", "5.0"), ("128", "True", "4.0")]
    assert [tuple(row[column] for column in columns) for row in rows] == expected
    charts = charts_of((sweep / "leaderboard.html").read_text())
    sizes = charts["Which hidden size has the highest mean SDR on musdb18hq-test?"]
    assert {"name": "unidirectional", "category": "512", "value": 7.0} in sizes["data"]["values"]
    assert "Which settings give the highest mean SDR on musdb18hq-test? (the best in orange)" in charts
    scores = charts["Which method has the highest mean SDR on musdb18hq-test?"]
    assert scores["facet"]["column"]["sort"] == ["mean", "vocals", "bass"]
    assert scores["spec"]["encoding"]["y"]["sort"] == [f"umxhq-{i}a2b3c4d" for i in (3, 2, 1, 0)]


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_name_is_broken_on_a_terminal_of_any_width(sweep, width):
    lines = terminal(sweep, width).splitlines()
    assert [line.split()[0] for line in lines if "-s42" in line] == [
        *(f"umxhq-{i}a2b3c4d/{target}-s42" for i in (3, 2, 1, 0) for target in ("bass", "vocals")),
        "umxhq-9a2b3c4d/bass-s42:",
    ]
    assert sum("umxhq-3a2b3c4d/musdb18hq-test-3a2b3c" in line for line in lines) == 1
    assert max(len(line.rstrip()) for line in lines if "-test-" in line) <= max(width, 60)


def test_the_column_that_rows_are_sorted_by_is_shown_at_any_width(sweep):
    found, text = leaderboard.collect(sweep), StringIO()
    rows = ranking.sort_rows(found.rows, "sdr.bass")
    for sorted_by, is_shown in ((None, False), ("sdr.bass", True)):
        text = StringIO()
        console = Console(file=text, width=60)
        leaderboard_page.print_tables(found, rows, console, sorted_by=sorted_by)
        heading = next(line for line in text.getvalue().splitlines() if "sdr" in line and "run" in line)
        assert ("bass" in heading) == is_shown


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (40, ["run", "state", "val_loss", "val_sdr"]),
        (72, ["run", "state", "val_loss", "val_sdr", "hidden_…", "bidirec…"]),
        (80, ["run", "state", "val_loss", "val_sdr", "hidden_…", "bidirec…", "epochs"]),
        (120, ["run", "state", "val_loss", "val_sdr", "model.hidden_size", "model.bidirectional", "epochs"]),
    ],
)
def test_a_narrow_terminal_keeps_the_results_of_runs_and_names_the_columns_it_leaves_out(sweep, width, heads):
    text = terminal(sweep, width)
    after = text[text.index("Runs") :]
    assert after.splitlines()[1].split() == heads
    hidden = [line for line in after.splitlines() if line.startswith("not shown for lack of width: ")]
    assert ["epochs" in line for line in hidden] == [True] * (width < 80)


def test_what_failed_stands_apart_with_its_reason(sweep, cli, charts_of):
    text = terminal(sweep, 80)
    runs, failed = text[text.index("Runs") :].split("Failed\n")
    assert "umxhq-9a2b3c4d" not in runs
    assert failed.splitlines()[0] == " umxhq-9a2b3c4d/bass-s42: bass: train/loss is NaN"
    assert cli("leaderboard", f"paths.out={sweep}") == 0
    page = (sweep / "leaderboard.html").read_text()
    section = page[page.index("<h2>Failed</h2>") :]
    assert "bass: train/loss is NaN" in section
    assert "1024" not in json.dumps(charts_of(page)), "and is in no chart"
    assert "Failed\n\n| run | reason |" in (sweep / "leaderboard.md").read_text()


def test_a_selection_has_files_of_its_own(sweep, cli, capfd):
    assert cli("leaderboard", f"paths.out={sweep}") == 0
    whole = {path.name: path.read_text() for path in sweep.glob("leaderboard*")}
    for option, name in (
        ("name=umxhq-1*", "leaderboard-umxhq-1_"),
        ("group=umxhq-2a2b3c4d", "leaderboard-umxhq-2a2b3c4d"),
    ):
        assert cli("leaderboard", f"paths.out={sweep}", option) == 0
        assert f"page: {sweep / name}.html" in capfd.readouterr().out
        assert len(list(csv.DictReader((sweep / f"{name}.csv").open()))) == 3
        assert (sweep / f"{name}.md").is_file()
    assert {name: (sweep / name).read_text() for name in whole} == whole


def test_the_command_writes_tables_and_a_page(out, cli, capfd, charts_of):
    assert cli("leaderboard", f"paths.out={out}", "sort=sdr") == 0
    assert "umx-1/vocals-s1" in capfd.readouterr().out
    rows = list(csv.DictReader((out / "leaderboard.csv").open()))
    assert [row["sdr"] for row in rows] == ["6.0", "4.0", "", ""]
    assert "| umx-1/vocals-s1 | done | 0.5 | 0.5 | 3 |" in (out / "leaderboard.md").read_text()
    page = (out / "leaderboard.html").read_text()
    assert 'href="runs/umx-1/eval/hq-test-a/report.html"' in page
    assert list(charts_of(page)) == [
        "Which method has the highest mean SDR on hq-test?",
        "How does the validation loss of vocals fall?",
        "How does the validation loss of drums fall?",
    ]
    assert cli("leaderboard", f"paths.out={out}", "group=umx-7") == 2
    assert "group: got 'umx-7', allowed m, umx-1" in capfd.readouterr().err


def test_a_sweep_has_curves_sizes_and_parallel_coordinates_and_the_best_is_heard(out, make_run, charts_of):
    for i, (size, bidirectional) in enumerate(((128, True), (128, False), (512, True), (512, False))):
        make_run(out, f"sweep-{i}", "vocals-s1", size=size, bidirectional=bidirectional, best=1 / size)
    (out / "evaluations" / "hq-test-b" / "clips").mkdir()
    (out / "evaluations" / "hq-test-b" / "clips" / "vocals-best.mp3").write_bytes(b"sound")
    found = leaderboard.collect(out)
    page = leaderboard_page.to_html(found, found.rows, out)
    charts = charts_of(page)
    assert list(charts) == [
        "Which method has the highest mean SDR on hq-test?",
        "Which settings give the lowest validation loss of vocals? (the best in orange)",
        "Which hidden size has the highest mean SDR on hq-test?",
        "Which hidden size has the lowest validation loss of vocals?",
        "Which hidden size has the lowest validation loss of drums?",
        "How does the validation loss of vocals fall?",
        "How does the validation loss of drums fall?",
    ]
    curves = charts["How does the validation loss of vocals fall?"]["data"]["values"]
    assert "hidden_size 512, bidirectional False" in {row["name"] for row in curves}
    assert page.count('<label title="vocals-best"') == 1


def test_one_hyperparameter_that_the_chart_of_sizes_shows_has_no_parallel_coordinates(make_run, tmp_path, charts_of):
    for size in (64, 128):
        make_run(tmp_path, f"sweep-{size}", "vocals-s1", size=size, best=1 / size)
    found = leaderboard.collect(tmp_path)
    page = leaderboard_page.to_html(found, found.rows, tmp_path)
    assert list(charts_of(page)) == [
        "Which hidden size has the lowest validation loss of vocals?",
        "How does the validation loss of vocals fall?",
    ]


def test_a_trained_model_is_heard_and_an_oracle_only_alone_and_named_so(tmp_path):
    for method, sdr, expected in (
        ("oracle-irm1", 9.0, "How does oracle-irm1/hq-test-0 sound?"),
        ("umx", 8.0, "<p>umx/hq-test-1. Starting"),
    ):
        folder = tmp_path / "evaluations" / f"hq-test-{int(method == 'umx')}"
        (folder / "clips").mkdir(parents=True)
        (folder / "clips" / "vocals-best.mp3").write_bytes(b"sound")
        content = {"num_tracks": 50, "medians": {method: {"vocals": {"SDR": sdr}}, "mixture": {}}}
        (folder / "summary.json").write_text(json.dumps(content))
        found = leaderboard.collect(tmp_path)
        assert expected in leaderboard_page.to_html(found, found.rows, tmp_path)


def test_evaluations_by_an_error_are_ranked_charted_and_heard_with_the_lowest_first(tmp_path, charts_of):
    definitions = to_json([Definition("peak error", "largest error", unit="", better="low")])
    for number, (method, error) in enumerate((("worse", 0.5), ("better", 0.1), ("middle", 0.3))):
        folder = tmp_path / "evaluations" / f"hq-test-{number}"
        (folder / "clips").mkdir(parents=True)
        (folder / "clips" / "vocals-best.mp3").write_bytes(b"sound")
        own = {"vocals": error - 0.05, "bass": error + 0.05}
        scores = {average: {method: {target: {} for target in own}} for average in ("medians", "means")}
        scores["means"][method] = {target: {"peak error": value} for target, value in own.items()}
        (folder / "summary.json").write_text(json.dumps({"num_tracks": 50, "definitions": definitions, **scores}))
    found = leaderboard.collect(tmp_path)
    rows = ranking.sort_rows(found.rows)
    assert [row["run"] for row in rows] == ["better/hq-test-1", "middle/hq-test-2", "worse/hq-test-0"]
    page = leaderboard_page.to_html(found, rows, tmp_path)
    assert "<p>better/hq-test-1. Starting" in page
    (chart,) = charts_of(page).values()
    assert chart["usermeta"]["title"] == "Which method has the lowest mean peak error on hq-test?"
    assert [row["name"] for row in chart["data"]["values"] if row["panel"] == "mean"] == ["better", "middle", "worse"]
    assert list(dict.fromkeys(row["panel"] for row in chart["data"]["values"])) == ["mean", "vocals", "bass"]
    assert leaderboard_page.visible_columns(rows)[:2] == ["run", "error.peak_error"], "the result is beside the name"
    assert '"peak error"' in json.dumps(chart["spec"]["encoding"]["x"])


def test_a_run_of_one_epoch_has_no_curve_and_a_long_one_is_thinned(make_run, tmp_path, charts_of):
    make_run(tmp_path, "umx-1", "vocals-s1", epochs=1)
    found = leaderboard.collect(tmp_path)
    assert not any("fall?" in title for title in charts_of(leaderboard_page.to_html(found, found.rows, tmp_path)))
    make_run(tmp_path, "umx-1", "vocals-s2", epochs=500)
    found = leaderboard.collect(tmp_path)
    charts = charts_of(leaderboard_page.to_html(found, found.rows, tmp_path))
    values = charts["How does the validation loss of vocals fall?"]["data"]["values"]
    epochs = [row["x"] for row in values if row["name"] == "umx-1/vocals-s2"]
    assert epochs[-1] == 500
    assert len(epochs) <= leaderboard_charts.MOST_EPOCHS
    assert [row["x"] for row in values if row["name"] == "umx-1/vocals-s1"] == [1], "beside others it is a point"


def test_names_from_outside_are_escaped(out, make_run):
    make_run(out, "<b>-1", "vocals-s1")
    found = leaderboard.collect(out)
    page = leaderboard_page.to_html(found, found.rows, out)
    assert "<b>" not in page
    assert "&lt;b&gt;-1/<wbr>vocals-s1" in page


def test_damaged_folders_are_named_on_the_terminal_and_the_page(out, make_run):
    (make_run(out, "umx-1", "bass-s1") / "status.json").write_text("{")
    found = leaderboard.collect(out)
    assert terminal(out, 200).count("damaged: ") == 1
    assert leaderboard_page.to_html(found, found.rows, out).count("<li>") == 1


def test_the_same_settings_have_the_same_colour_for_every_target(out, make_run):
    for target, losses in (("vocals", (1.0, 2.0)), ("bass", (2.0, 1.0))):
        for size, loss in zip((128, 512), losses, strict=True):
            make_run(out, f"sweep-{size}", f"{target}-s1", size=size, best=loss)
    found = leaderboard.collect(out)
    figures = list(leaderboard_charts._curves(found, [row for row in found.rows if "sweep" in row["experiment"]]))
    domains = [figure["encoding"]["color"]["scale"]["domain"] for figure in figures]
    assert domains == [["hidden_size 128", "hidden_size 512"]] * 2
    assert [row["x"] for row in figures[0]["data"]["values"]] == [1, 2, 3] * 2, "epochs count from 1"
