import html
import json
import re
from dataclasses import replace

import pytest

from unmix.evaluation.metrics import BSS_EVAL, FORMER, METRICS, USDR
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.summary import Summary
from unmix.reports import comparison

TARGETS = ("vocals", "drums")


def summary(method, value, tracks=("a & b", "c"), compared=(), targets=TARGETS, definitions=FORMER):
    rows = [
        TrackScore(name, track, target, {**dict.fromkeys(METRICS, level + i), "uSDR": level + 10})
        for name, level in ((method, value), ("mixture", 1.0))
        for i, track in enumerate(tracks)
        for target in targets
    ]
    return Summary(method, "mixture", rows, {"niter": 1}, compared=compared, definitions=definitions)


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
    assert text.count("<td>16.00</td>") == len(TARGETS), "uSDR"
    assert "<li>scenario: vocals, drums</li>" in text
    assert 'src="data:image/png;base64,' in text
    assert text.count("<tr>") == 2 + 2 * 3 + 2 * 2  # heads; targets x methods; tracks x targets
    assert (tmp_path / "comparison" / "boxplot.png").read_bytes().startswith(b"\x89PNG")
    lines = (tmp_path / "comparison" / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * 2 * 2
    assert json.dumps({"niter": 1})[1:-1] in html.unescape(text)


def test_only_scores_of_the_same_tracks_by_methods_of_different_names_compare():
    with pytest.raises(ValueError, match="two: scored on other tracks than one"):
        comparison.rows([summary("one", 5.0), summary("two", 5.0, tracks=("c",))])
    with pytest.raises(ValueError, match="one: two of one name"):
        comparison.rows([summary("one", 5.0), summary("one", 5.0)])


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
