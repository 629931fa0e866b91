import json
import math
from io import StringIO

from matplotlib import pyplot as plt
from rich.console import Console

from unmix.evaluation import report
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.table import METRICS, print_table, shown


def make_summary():
    values = {"ours": 6.0, "mixture": 1.0}
    rows = [
        TrackScore(method, track, target, dict.fromkeys(METRICS, value + shift))
        for method, value in values.items()
        for shift, track in enumerate(("A <b> - C", "D - E", "F - G"))
        for target in ("vocals", "drums", "bass", "other")
    ]
    return report.Summary("ours", "mixture", rows, {"niter": 1})


def test_table_shows_ours_beside_the_baseline():
    text = StringIO()
    print_table(make_summary().medians, 3, Console(file=text, width=120))
    assert "vocals" in text.getvalue()
    assert "7.00 [2.00]" in text.getvalue()


def test_what_is_beyond_rounding_is_shown_as_such():
    assert [shown(value) for value in (6.125, -3.0, 119.999, 176.79, math.nan)] == [
        "6.12",
        "-3.00",
        "120.00",
        ">120",
        "nan",
    ]


def test_box_plot_has_a_panel_a_metric_and_no_box_for_artifacts_of_the_mixture():
    figure = report.box_plot(make_summary())
    assert [panel.get_title() for panel in figure.axes] == list(METRICS)
    boxes = [len(panel.patches) for panel in figure.axes]
    assert boxes == [8, 8, 8, 4]
    plt.close(figure)


def test_report_is_one_page_with_escaped_names_and_players_of_what_was_saved(tmp_path):
    saved = tmp_path / "estimates" / "D - E" / "bass.wav"
    saved.parent.mkdir(parents=True)
    saved.touch()
    report.write(make_summary(), tmp_path)
    text = (tmp_path / "report.html").read_text()
    assert "A &lt;b&gt; - C" in text
    assert text.count("<audio") == 1
    assert 'src="data:image/png;base64,' in text
    assert text.count("<script") == 1  # that which sorts: names are escaped
    assert json.loads((tmp_path / "summary.json").read_text())["medians"]["ours"]["bass"]["SDR"] == 7.0
    assert (tmp_path / "boxplot.png").read_bytes().startswith(b"\x89PNG")
