import html
import json
import math
import re
from dataclasses import replace

import pytest

from unmix.evaluation.metrics import BSS_EVAL, FORMER, METRICS, USDR, Definition
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.scoring import EvaluationFolder
from unmix.evaluation.summary import Summary
from unmix.reports import clips, comparison
from unmix.reports.clips import Clips

TARGETS = ("vocals", "drums")
MANY = tuple(f"track {i:02d}" for i in range(12))


def summary(method, value, tracks=("a & b", "c"), *, compared=(), unscored=(), spread=0.0, **changes):
    """Scores that rise by 1 from track to track; those of the method alternate by `spread`."""

    def score(name, level, i, target):
        return math.nan if target in unscored else level + i + (name == method) * spread * (-1) ** i

    def values(*arguments):
        return {**dict.fromkeys(METRICS, score(*arguments)), "uSDR": arguments[1] + 10, "L1": arguments[1]}

    rows = [
        TrackScore(name, track, target, values(name, level, i, target))
        for name, level in ((method, value), ("mixture", 1.0))
        for i, track in enumerate(tracks)
        for target in changes.get("targets", TARGETS)
    ]
    definitions = changes.get("definitions", FORMER)
    return Summary(method, "mixture", rows, {"niter": 1}, compared=compared, definitions=definitions)


def page_of(summaries, path):
    comparison.write([(each, path / each.method[:9]) for each in summaries], path / "comparison")
    return (path / "comparison" / "comparison.html").read_text()


def table(page):
    """Texts of the first table, row by row."""
    body = page[page.index("<tbody>") : page.index("</tbody>")]
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.S) for row in body.split("<tr>")[1:]]


def plain(cell):
    return html.unescape(re.sub("<[^>]*>", "", cell)).replace("\u2009", "")


def test_the_baseline_stands_once_and_first():
    found = comparison.overall([summary("one", 5.0), summary("<two>", 6.0, compared=("umxhq", "umx"))])
    assert list(found) == ["mixture", "one", "<two>", "umxhq as published", "umx as published"]
    assert [found[name]["drums"]["SDR"] for name in list(found)[:3]] == [1.5, 5.5, 6.5]


def test_a_comparison_is_one_page_with_links_to_every_report(tmp_path):
    pairs = [(summary("one", 5.0), tmp_path / "a b" / "eval"), (summary("<two>", 6.0), tmp_path / "two")]
    comparison.write(pairs, tmp_path / "comparison")
    text = (tmp_path / "comparison" / "comparison.html").read_text()
    assert '<a href="../a%20b/eval/report.html">one</a>' in text
    assert '<a href="../two/report.html">&lt;two&gt;</a>' in text
    assert "a &amp; b" in text
    assert "&lt;two&gt; and one on 2 tracks" in text
    assert "<li>scenario: vocals, drums</li>" in text
    assert text.count("<td>16.00</td>") == len(TARGETS), "uSDR"
    lines = (tmp_path / "comparison" / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 2 * 2
    assert json.dumps({"niter": 1})[1:-1] in html.unescape(text)


def test_methods_are_sorted_by_their_mean_with_differences_to_the_best(tmp_path):
    page = page_of([summary("one", 5.0), summary("two", 6.0, compared=("umxhq",))], tmp_path)
    rows = [[plain(cell) for cell in row] for row in table(page)]
    assert [row[0] for row in rows] == ["two", "umxhq as published", "one", "mixture"]
    assert rows[0][1:] == ["6.50", "6.50", "6.50"]
    assert rows[2][1:] == ["5.50 -1.00", "5.50 \u2248-1.00", "5.50 \u2248-1.00"], "two tracks show no difference"
    assert rows[3][1:] == ["1.50 -5.00"] * 3
    assert page.count("<td class=best>") == 3


def test_it_says_in_words_which_differences_are_shown(tmp_path, charts_of):
    summaries = [summary("one", 5.0, MANY), summary("two", 6.0, MANY, spread=0.1), summary("three", 6.0, MANY)]
    page = html.unescape(page_of(summaries, tmp_path))
    # two alternates around three, and both are better than one on every track
    assert re.search(r"<b>vocals</b>: \w+ has the best SDR; better than one; not shown to differ from t\w+\.", page)
    assert "12 tracks" in page
    assert "tracks are too few" not in page
    assert "; 2 tracks are too few to show a difference." in page_of([summary("a", 5.0), summary("b", 6.0)], tmp_path)
    (differences,) = [chart for title, chart in charts_of(page).items() if title.startswith("By how much")]
    shown = {(row["name"], row["panel"]): row["is_shown"] for row in differences["data"]["values"] if "low" in row}
    assert [shown["one", target] for target in TARGETS] == [True, True]
    assert sum(shown.values()) == 2


def test_one_track_has_no_interval_and_says_so(tmp_path, charts_of):
    page = page_of([summary("one", 5.0, ("a",)), summary("two", 6.0, ("a",))], tmp_path)
    assert "with one track only there is no interval" in page
    assert "on 1 track" in page
    assert not any("low" in row for chart in charts_of(page).values() for row in chart["data"]["values"])


def test_a_source_without_scores_is_named_and_left_out_of_the_mean(tmp_path, charts_of):
    summaries = [summary(name, value, unscored=("drums",)) for name, value in (("one", 5.0), ("two", 6.0))]
    page = page_of(summaries, tmp_path)
    assert "No method has a score for drums" in page
    assert [plain(cell) for cell in table(page)[0]] == ["two", "6.50", "6.50", ""]
    assert all(chart["facet"]["column"]["sort"] == ["vocals"] for chart in charts_of(page).values())
    every = [summary(name, 5.0, unscored=TARGETS) for name in ("one", "two")]
    page = page_of(every, tmp_path / "every")
    assert charts_of(page) == {}
    assert "No method has a score for vocals, drums" in page


def test_one_method_is_shown_beside_the_mixture(tmp_path, charts_of):
    page = page_of([summary("one", 5.0)], tmp_path)
    assert [plain(row[0]) for row in table(page)] == ["one", "mixture"]
    assert list(charts_of(page)) == ["Which method separates each source best, and how much do tracks differ?"]
    assert "Which differences are shown?" not in page


def test_the_same_passage_of_every_method_is_heard(tmp_path):
    summaries = [summary("one", 5.0), summary("two", 6.0)]
    for name, title in (("one", "c, around 0:07"), ("two", "c, around 0:07")):
        where = EvaluationFolder(tmp_path / name)
        where.path.mkdir()
        sounds = {stem: f"{stem} {name}".encode() for stem in clips.STEMS}
        clips.write(where, {"vocals": Clips(title, sounds), "drums": Clips(f"{title}{name}", sounds)})
    page = page_of(summaries, tmp_path)
    assert "<h3>vocals: c, around 0:07</h3>" in page
    assert re.findall(r"<label title=\"(.*?)\"", page) == ["mixture", "reference", "two", "one"], "best first"
    assert "<h3>drums" not in page[page.index("How do they sound") :], "theirs are not of the same passage"


def test_only_tracks_that_all_methods_have_are_compared_and_the_others_are_named(tmp_path):
    summaries = [summary("one", 5.0, ("a", "b", "<c>")), summary("two", 5.0, ("d", "b", "a"))]
    assert {row.track for row in comparison.rows(summaries)} == {"a", "b"}
    page = page_of(summaries, tmp_path)
    assert "not every method was scored on them: &lt;c&gt;, d." in page
    assert "on 2 tracks" in page


def test_only_scores_of_shared_tracks_by_methods_of_different_names_compare():
    with pytest.raises(ValueError, match="two: scored on other tracks than one"):
        comparison.rows([summary("one", 5.0), summary("two", 5.0, tracks=("d",))])
    with pytest.raises(ValueError, match="one: no track was scored by all 3 methods"):
        comparison.rows([summary("one", 5.0, ("a", "b")), summary("two", 5.0, ("a",)), summary("three", 5.0, ("b",))])
    with pytest.raises(ValueError, match="one: two of one name"):
        comparison.rows([summary("one", 5.0), summary("one", 5.0)])


def test_long_names_are_cut_in_sentences_but_not_in_the_table(tmp_path):
    page = page_of([summary("x" * 300, 5.0, MANY), summary("two", 6.0, MANY)], tmp_path)
    assert f"{'x' * 59}\u2026 on 12 tracks" in page or f"{'x' * 59}\u2026 and two on 12 tracks" in page
    assert f">{'x' * 300}</a>" in page


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"definitions": BSS_EVAL}, "two: scored by SDR, SIR, ISR, SAR instead of SDR, SIR, ISR, SAR, uSDR of one"),
        (
            {"definitions": (*BSS_EVAL, replace(USDR, version="0"))},
            "two: scored by uSDR with version '0' instead of '1' of one",
        ),
        (
            {"definitions": (*BSS_EVAL, replace(USDR, over_tracks="median"))},
            "two: scored by uSDR with over_tracks 'median' instead of 'mean' of one",
        ),
        (
            {"targets": ("vocals", "accompaniment")},
            "two: scored in the scenario vocals, accompaniment, one in vocals, drums",
        ),
    ],
)
def test_scores_of_other_definitions_versions_or_scenarios_are_refused(other, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        comparison.rows([summary("one", 5.0), summary("two", 5.0, **other)])


def test_the_order_of_definitions_does_not_matter():
    rows = comparison.rows([summary("one", 5.0), summary("two", 5.0, definitions=FORMER[::-1])])
    assert {row.method for row in rows} == {"mixture", "one", "two"}


def test_of_an_error_the_lowest_is_the_best(tmp_path, charts_of):
    definitions = (Definition("L1", "error of magnitudes", better="low"),)
    summaries = [summary(name, level, MANY, definitions=definitions) for name, level in (("one", 5.0), ("two", 6.0))]
    page = page_of(summaries, tmp_path)
    assert [plain(row[0]) for row in table(page)] == ["mixture", "one", "two"]
    assert [plain(cell) for cell in table(page)[2][1:]] == ["6.00 +1.00"] * 3
    assert "<b>vocals</b>: one has the best L1; better than two." in page
    (differences,) = [chart for title, chart in charts_of(page).items() if title.startswith("By how much")]
    assert {row["value"] for row in differences["data"]["values"]} == {1.0}
    assert "one is 1.00 dB lower (better) than two (95 % interval 1.00 to 1.00, p < 0.001, 12 tracks)" in html.unescape(
        page
    )
    assert "the interval of its mean leaves out" in page
    assert "Thick lines are the means with" in page
    assert '{"field": "text", "title": "mean"}' in json.dumps(differences)
