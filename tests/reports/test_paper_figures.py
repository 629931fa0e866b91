"""Figures of a paper: the same bytes each time, and only those that there are data for."""

import re
from dataclasses import replace

import pytest

from stored_evaluations import TARGETS, seeds, store, values
from unmix.evaluation.metrics import Definition
from unmix.reports import methods, paper, paper_figures, stored


@pytest.fixture
def table(tmp_path):
    seeds(tmp_path, "umx-1", 3.0, parameters=8900000, seconds_per_second=0.05)
    for number, name in enumerate(("a $x$ & <b>", "plain")):
        both = dict.fromkeys(TARGETS, values(5.0 + number))
        store(tmp_path, name, both, name=f"hq-test-{name[0]}", parameters=1000 * (number + 1), seconds_per_second=0.5)
    entries = [tmp_path / "runs" / "umx-1", *sorted((tmp_path / "evaluations").iterdir())]
    rows = methods.group({str(entry): stored.select(str(entry), tmp_path) for entry in entries}, "SDR", lambda _: True)
    return paper.build(rows, metric="SDR", tracks="all", compare=(), out=tmp_path)


CURVES = {"vocals": {"umx-1": [[(0, 1.0), (1, 2.0)], [(0, 1.5)]]}, "bass": {"umx-1": [[]]}}


@pytest.mark.parametrize("kind", ["pdf", "svg"])
def test_figures_are_the_same_bytes_each_time(kind, table):
    first, again = (paper_figures.draw(table, CURVES, kind) for _ in range(2))
    assert list(first) == ["boxplot", "parameters", "seconds", "learning_curves"]
    assert first == again
    for content in first.values():
        assert content.startswith(b"%PDF" if kind == "pdf" else b"<?xml")
        assert not re.search(rb"CreationDate|<dc:date>|Matplotlib v", content)


def texts(svg):
    return re.findall(r"<!-- (.*?) -->", svg.decode())


def test_names_with_markup_and_dollars_stand_as_they_are(table):
    figures = paper_figures.draw(table, CURVES, "svg")
    assert any("x" in text and "&lt;" not in text for text in texts(figures["boxplot"]))
    assert not re.search(r"mathdefault", figures["parameters"].decode())


def test_titles_are_sources_and_axes_have_units(table):
    figures = paper_figures.draw(table, CURVES, "svg")
    assert {"vocals", "bass", "SDR in dB", "umx-1"} <= set(texts(figures["boxplot"]))
    assert {"parameters, in millions", "mean over sources", "SDR in dB"} <= set(texts(figures["parameters"]))
    assert "seconds of processing per second of audio" in texts(figures["seconds"])
    assert {"vocals", "epoch", "validation SDR in dB"} <= set(texts(figures["learning_curves"]))
    assert "bass" not in texts(figures["learning_curves"]), "no curve"


def test_an_error_without_a_unit_has_an_arrow_down_and_boxes_with_means(table):
    error = Definition("L1", "error of magnitudes", unit="", better="low")
    with_means = paper_figures.draw(replace(table, metric=error), CURVES, "svg")
    assert "L1 \u2193" in texts(with_means["boxplot"])
    assert "L1 \u2193" in texts(with_means["parameters"])
    of_medians = paper_figures.draw(replace(table, metric=replace(error, over_tracks="median")), CURVES, "svg")
    assert with_means["boxplot"].count(b"<use ") > of_medians["boxplot"].count(b"<use ")


def test_axes_have_whole_epochs_and_plain_numbers(table):
    figures = paper_figures.draw(table, {"vocals": {"umx-1": [[(1, 4.0), (2, 5.0)]]}}, "svg")
    numbers = [text for text in texts(figures["learning_curves"]) if re.fullmatch(r"[\d.]+", text)]
    assert {"1", "2"} <= set(numbers)
    assert "1.5" not in numbers[: numbers.index("2") + 1]
    for name in ("parameters", "seconds"):
        assert not any("10" in text and "\N{MULTIPLICATION SIGN}" in text for text in texts(figures[name]))


def test_figures_without_data_are_left_out(tmp_path):
    store(tmp_path, "A", dict.fromkeys(TARGETS, values(5.0)), parameters=5)
    rows = methods.group({"A": stored.select("A", tmp_path)}, "SDR", lambda _: True)
    table = paper.build(rows, metric="SDR", tracks="all", compare=(), out=tmp_path)
    assert list(paper_figures.draw(table, {}, "svg")) == ["boxplot"]
