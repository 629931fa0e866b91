import csv
import re
from io import StringIO

from rich.console import Console

from unmix.reports import leaderboard, leaderboard_page


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


def test_a_sweep_has_curves_sizes_and_parallel_coordinates_and_the_best_is_heard(out, make_run):
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


def test_names_from_outside_are_escaped(out, make_run):
    make_run(out, "<b>-1", "vocals-s1")
    found = leaderboard.collect(out)
    page = leaderboard_page.to_html(found, found.rows, out)
    assert "<b>" not in page
    assert "&lt;b&gt;-1/vocals-s1" in page


def test_damaged_folders_are_named_on_the_terminal_and_the_page(out, make_run):
    (make_run(out, "umx-1", "bass-s1") / "status.json").write_text("{")
    found, text = leaderboard.collect(out), StringIO()
    leaderboard_page.print_tables(found, found.rows, Console(file=text, width=200))
    assert text.getvalue().count("damaged: ") == 1
    assert leaderboard_page.to_html(found, found.rows, out).count("<li>") == 1


def test_the_same_settings_have_the_same_colour_for_every_target(out, make_run):
    for target, losses in (("vocals", (1.0, 2.0)), ("bass", (2.0, 1.0))):
        for size, loss in zip((128, 512), losses, strict=True):
            make_run(out, f"sweep-{size}", f"{target}-s1", size=size, best=loss)
    found = leaderboard.collect(out)
    figures = list(leaderboard_page._curves(found, [row for row in found.rows if "sweep" in row["experiment"]]))
    colors = [{line.get_gid(): line.get_color() for line in figure.axes[0].lines} for figure in figures]
    assert colors[0] == colors[1]
    assert set(colors[0]) == {"hidden_size 128", "hidden_size 512"}
    assert [list(line.get_xdata()) for line in figures[0].axes[0].lines] == [[1, 2, 3]] * 2, "epochs count from 1"
