"""Tables as LaTeX, Markdown and CSV: markup is escaped, and the caption says what the numbers are."""

import csv
import math
import re
from io import StringIO

import pytest

from stored_evaluations import TARGETS, TRACKS, seeds, store, store_run, values
from unmix.reports import methods, paper, paper_formats, stored

LOW, HIGH = (dict.fromkeys(TARGETS, values(level)) for level in (3.0, 5.0))


def built(out, *entries, tracks="all", compare=()):
    rows = methods.group({str(entry): stored.select(str(entry), out) for entry in entries}, "SDR", lambda path: True)
    return paper.build(rows, metric="SDR", tracks=tracks, compare=compare, out=out)


@pytest.fixture
def table(tmp_path):
    """Two seeds of one method, a better one, an oracle."""
    seeds(tmp_path, "umx-1", 3.0, parameters=8900000, seconds_per_second=0.05)
    for run in ("vocals-s1", "bass-s1", "vocals-s2", "bass-s2"):
        store_run(tmp_path, f"umx-1/{run}", hours=2.6, gpus=["NVIDIA H100"])
    store(tmp_path, "b_est", HIGH, name="hq-test-b", parameters=812)
    store(tmp_path, "oracle-mwf", HIGH, name="hq-test-o", weights={"oracle": "mwf"})
    return built(tmp_path, tmp_path / "runs" / "umx-1", "b_est", "oracle:mwf")


def parsed(tex):
    """Cells of a LaTeX table by row; fails on anything that TeX would not read."""
    body = re.search(r"\\begin\{tabular\}\{(lr*)\}\n(.*?) *\\end\{tabular\}", tex, re.DOTALL)
    assert body, tex
    assert tex.count(r"\begin{") == tex.count(r"\end{") == 2
    depth = 0
    for character in re.sub(r"\\[{}%&#_$]|^%.*$", "", tex, flags=re.MULTILINE):
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    rows = [line.strip() for line in body[2].splitlines() if not re.fullmatch(r"\\(top|mid|bottom)rule", line.strip())]
    assert all(row.endswith(r"\\") for row in rows)
    cells = [re.split(r"(?<!\\) & ", row.removesuffix(r"\\").strip()) for row in rows]
    assert {len(row) for row in cells} == {len(body[1])}
    return cells


def test_latex_has_rows_of_methods_and_rules_between_kinds(table):
    tex = paper_formats.to_latex(table)
    assert parsed(tex) == [
        ["method", "vocals", "bass", "mean", "parameters", "s per s", "training", "trained on"],
        ["umx-1", *[r"8.60 $\pm$ 0.14"] * 3, "8.9 M", "0.05", "5.2 h", "NVIDIA H100"],
        [r"b\_est", *[r"\textbf{10.50}"] * 3, "812", "-", "-", "-"],
        ["oracle-mwf", "10.50", "10.50", "10.50", "-", "-", "-", "-"],
    ]
    assert tex.count(r"\midrule") == 2
    assert tex.startswith(
        "% needs \\usepackage{booktabs}, and LuaLaTeX or XeLaTeX for names that are not in Latin script\n"
    )


def test_markdown_has_the_caption_below(table):
    text = paper_formats.to_markdown(table)
    lines = text.splitlines()
    assert lines[2] == "| umx-1 | 8.60 ± 0.14 | 8.60 ± 0.14 | 8.60 ± 0.14 | 8.9 M | 0.05 | 5.2 h | NVIDIA H100 |"
    assert lines[3] == r"| b\_est | **10.50** | **10.50** | **10.50** | 812 | - | - | - |"
    assert len({line.count("|") for line in lines[:5]}) == 1
    assert lines[5] == ""


def test_the_caption_says_metric_aggregation_sources_seeds_and_what_bold_means(table):
    text = " ".join(paper_formats.caption(table))
    for part in (
        "hq-test, 12 tracks. SDR: BSS Eval v4 (museval), dB: median over windows of 1 s, then median over tracks; "
        "scenario: vocals, bass.",
        "Mean and standard deviation over seeds (umx-1: 1, 2).",
        "Bold: best, and better than the second best with p < 0.05 (Wilcoxon's signed-rank test over tracks, Holm's "
        "correction for 1 pair) and a 95 % bootstrap interval of the median difference without zero.",
        "Oracles know the true sources and are not compared.",
    ):
        assert part in text
    assert "No difference" not in text


def test_the_caption_says_what_is_left_out_and_what_is_not_shown(tmp_path):
    other = {"vocals": values(3.0), "bass": values(3.0) | {"Song 2": math.nan}}
    own = {
        target: {track: of_track for track, of_track in values(3.0).items() if track != "Song 1"} for target in other
    }
    store(tmp_path, "A", own, name="hq-test-a")
    store(tmp_path, "B", other, name="hq-test-b")
    text = " ".join(paper_formats.caption(built(tmp_path, "A", "B", tracks="common")))
    assert "No difference between the best and the second best is shown." in text
    assert "Left out, as not all methods have them: 'Song 1'." in text
    assert "Tracks without a score (silence in all windows), left out: bass 1." in text


def test_too_few_tracks_are_said_to_be_too_few(tmp_path):
    for name, level in (("A", 1.0), ("B", 2.0)):
        store(tmp_path, name, dict.fromkeys(TARGETS, values(level, tracks=TRACKS[:4])), name=f"hq-test-{name}")
    assert "second best is shown: too few tracks." in " ".join(paper_formats.caption(built(tmp_path, "A", "B")))


def test_published_rows_are_explained(tmp_path):
    store(tmp_path, "A", {name: values(1.0) for name in ("vocals", "drums", "bass", "other")})
    table = built(tmp_path, "A", compare=["umxl"])
    assert "Published scores are not compared" in " ".join(paper_formats.caption(table))
    assert parsed(paper_formats.to_latex(table))[2] == ["umxl as published", "7.21", "7.15", "6.02", "4.89", "6.32"]


MARKUP = r"""[5% $x_1^2$ {a} #1 & <b>"q"|~\c `c` *i* 'u'"""


def test_markup_in_names_is_escaped(tmp_path):
    store(tmp_path, MARKUP, LOW)
    (path,) = (tmp_path / "evaluations").iterdir()
    table = built(tmp_path, path)
    assert parsed(paper_formats.to_latex(table))[1][0] == (
        r"{[}5\% \$x\_1\textasciicircum{}2\$ \{a\} \#1 \& \textless{}b\textgreater{}''q''\textbar{}\textasciitilde{}"
        r"\textbackslash{}c \textasciigrave{}c\textasciigrave{} {*}i{*} 'u'"
    )
    row = paper_formats.to_markdown(table).splitlines()[2]
    assert row.startswith(r"""| \[5% \$x\_1^2\$ {a} \#1 & \<b\>"q"\|\~\\c \`c\` \*i\* 'u' |""")
    (line,) = csv.DictReader(StringIO(paper_formats.to_csv(table)))
    assert line["method"] == MARKUP


def test_long_names_are_shortened_unless_two_become_the_same(tmp_path):
    for number, name in enumerate(("x" * 150 + "A" + "y" * 149, "x" * 300)):
        store(tmp_path, name, LOW, name=f"hq-test-{number}")
    paths = sorted((tmp_path / "evaluations").iterdir())
    names = paper_formats.short_names(built(tmp_path, *paths))
    assert [len(name) for name in names.values()] == [47, 47]
    store(tmp_path, "x" * 150 + "B" + "y" * 149, LOW, name="hq-test-2")
    names = paper_formats.short_names(built(tmp_path, *paths, tmp_path / "evaluations" / "hq-test-2"))
    assert [len(name) for name in names.values()] == [300, 300, 300]


def test_names_have_no_character_that_tex_joins_or_refuses(tmp_path):
    store(tmp_path, "a---b,,c\x07 Cafe\u0301", LOW)
    table = built(tmp_path, next((tmp_path / "evaluations").iterdir()))
    assert parsed(paper_formats.to_latex(table))[1][0] == "a-{}-{}-b,{},c Caf\u00e9"
    assert paper_formats.to_markdown(table).splitlines()[2].startswith("| a---b,,c Caf\u00e9 |")


def test_names_with_line_breaks_stay_in_their_row(tmp_path):
    store(tmp_path, "a\nb\\\\", LOW)
    table = built(tmp_path, next((tmp_path / "evaluations").iterdir()))
    assert len(parsed(paper_formats.to_latex(table))) == 2
    assert paper_formats.to_markdown(table).splitlines()[2].startswith(r"| a b\\\\ |")


def test_csv_has_all_digits_and_says_what_the_scores_are(table):
    rows = list(csv.DictReader(StringIO(paper_formats.to_csv(table))))
    assert [row["method"] for row in rows] == ["umx-1", "b_est", "oracle-mwf"]
    first, second, _ = rows
    assert (first["vocals"], first["vocals_std"], first["vocals_best"]) == ("8.60000", "0.14142", "false")
    assert (second["vocals"], second["vocals_std"], second["vocals_best"]) == ("10.50000", "", "true")
    assert (first["seeds"], first["parameters"], first["training_seconds"]) == ("1 2", "8900000", "18720.0")
    assert (first["metric"], first["test_set"], first["num_tracks"]) == ("SDR", "hq-test", "12")
    assert first["scenario"] == "vocals, bass"
    assert first["definition"] == "BSS Eval v4 (museval), dB: median over windows of 1 s, then median over tracks"
    assert first["evaluations"].split("; ") == ["hq-test-000000", "hq-test-000001"]


def test_comparisons_are_listed_with_their_words(table):
    rows = list(csv.DictReader(StringIO(paper_formats.comparisons_to_csv(table))))
    assert [row["source"] for row in rows] == ["vocals", "bass", "mean"]
    assert rows[0]["is_shown"] == "true"
    assert float(rows[0]["difference"]) == pytest.approx(-1.9)
    assert rows[0]["in_words"] == (
        "b_est is 1.90 dB better than umx-1 (95 % interval 1.80 to 2.00, p < 0.001, 12 tracks, 1 and 2 seeds)"
    )


def test_a_source_without_scores_is_a_dash(tmp_path):
    store(tmp_path, "A", {"vocals": values(1.0), "bass": dict.fromkeys(TRACKS, math.nan)})
    table = built(tmp_path, "A")
    assert parsed(paper_formats.to_latex(table))[1] == ["A", "6.50", "-", "-"]
    assert "left out: bass 12." in " ".join(paper_formats.caption(table))


@pytest.mark.parametrize(
    ("parameters", "shown"), [(812, "812"), (8900, "8.9 k"), (35600000, "35.6 M"), (1234567890, "1.23 G")]
)
def test_numbers_of_parameters_have_three_digits(parameters, shown, tmp_path):
    store(tmp_path, "A", LOW, parameters=parameters)
    assert parsed(paper_formats.to_latex(built(tmp_path, "A")))[1][-1] == shown


@pytest.mark.parametrize(("hours", "shown"), [(0.01, "36 s"), (0.2, "12 min"), (30.0, "30 h")])
def test_durations_have_a_readable_unit(hours, shown, tmp_path):
    seeds(tmp_path, "umx-1", 5.0, (1,))
    store_run(tmp_path, "umx-1/vocals-s1", hours=hours)
    store_run(tmp_path, "umx-1/bass-s1", hours=0)
    table = built(tmp_path, tmp_path / "runs" / "umx-1")
    assert parsed(paper_formats.to_latex(table))[1][-2] == shown
