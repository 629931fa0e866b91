"""What every page does in a real browser."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from unmix.evaluation.metrics import METRICS
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.summary import Summary
from unmix.reports import comparison, live, pages
from unmix.reports.serving import Server

TRACKS = ("<b>first</b>", "second", "third", "fourth")
METHODS = {'<b>weak</b> "quoted" </script>': 9.0, "strong": 10.0, "x" * 300: 8.0}
DRAWN = "[...document.querySelectorAll('figure.chart')].every((figure) => figure.view)"


def write_comparison(folder: Path, methods: dict[str, float] = METHODS, tracks: tuple[str, ...] = TRACKS) -> Path:
    """Write a comparison of methods with names of all kinds, and return its page."""
    pairs = []
    for number, (method, level) in enumerate(methods.items()):
        rows = [
            TrackScore(name, track, target, dict.fromkeys(METRICS, value + i))
            for name, value in ((method, level), ("mixture", 1.0))
            for i, track in enumerate(tracks)
            for target in ("vocals", "drums")
        ]
        summary = Summary(method, "mixture", rows, {})
        pairs.append((summary, folder / f"{number}"))
    comparison.write(pairs, folder / "comparison")
    return folder / "comparison" / "comparison.html"


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_comparison(tmp_path_factory.mktemp("compared"))


def names(page: Page) -> list[str]:
    """Names in the first column of the first table, cut."""
    return [text[:6] for text in page.locator("table").first.locator("tbody th").all_inner_texts()]


def test_a_heading_sorts_its_table_by_mouse_and_by_keyboard_and_says_so(
    compared: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page(compared)
    head = page.locator("table").first.locator("thead th").nth(1)
    assert names(page) == ["strong", "<b>wea", "xxxxxx", "mixtur"]
    assert head.get_attribute("aria-sort") is None
    head.get_by_role("button", name="mean").click()
    assert names(page) == ["mixtur", "xxxxxx", "<b>wea", "strong"]
    assert head.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Enter")
    assert names(page) == ["strong", "<b>wea", "xxxxxx", "mixtur"]
    assert head.get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None, "only one column is marked"
    assert page.locator("table").first.locator("thead th").nth(2).get_attribute("aria-sort") == "ascending"


def test_the_point_under_the_mouse_shows_its_track_and_value(compared: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(compared)
    page.wait_for_function(DRAWN)
    point = page.locator("figure.chart").first.locator(".mark-symbol path").first
    point.scroll_into_view_if_needed()
    point.hover()
    tooltip = page.locator("#vg-tooltip-element")
    expect(tooltip).to_be_visible()
    expect(tooltip).to_contain_text("SDR in dB")
    expect(tooltip).to_contain_text("track")
    assert tooltip.locator("b").count() == 0, "names are text"


def test_a_chart_zooms_by_ctrl_and_wheel_and_goes_back_by_a_double_click(
    compared: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page(compared)
    page.wait_for_function(DRAWN)
    chart = page.locator("figure.chart").first
    width = "document.querySelector('figure.chart').view.scale('x').domain().reduce((low, high) => high - low)"
    before = page.evaluate(width)
    chart.scroll_into_view_if_needed()
    box = chart.locator(".cell path.background").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 12)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(f"{width} < {0.9 * before}")
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + 12)
    page.wait_for_function(f"Math.abs({width} - {before}) < 1e-6")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_makes_the_page_scroll_sideways_and_charts_fit(
    width: int, dark: bool, compared: Path, open_page: Callable[..., Page]
) -> None:
    page = open_page(compared, width=width, dark=dark)
    page.wait_for_function(DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for chart in page.locator("figure.chart").all():
        assert chart.evaluate("(figure) => figure.scrollWidth <= figure.clientWidth + 1")
    label = page.locator("figure.chart .role-axis-label text").first
    assert label.evaluate("(text) => getComputedStyle(text).fill") == label.evaluate(
        "() => getComputedStyle(document.body).color"
    )


def leaderboard(value: float, *others: str) -> str:
    """A page with one table, which is served."""
    cells = [{"address": None, "cells": [("run", name), ("sdr", text)]} for name, text in (("b", value), ("a", 1.0))]
    rows = [*cells, *({"address": None, "cells": [("run", name), ("sdr", 0.5)]} for name in others)]
    table = {"title": "Runs", "heads": {"run": "run", "sdr": "sdr"}, "rows": rows, "meaning": ""}
    return pages.render(
        "leaderboard.html",
        title="t",
        text_columns=("run",),
        tables=[table],
        clips=None,
        damaged=[],
        charts=[],
        is_served=True,
    )


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, list[str]]]:
    """Address of a served page, and a list whose last text is the page."""
    texts = [leaderboard(2.0)]
    with Server(live.routes(lambda: texts[-1], tmp_path), port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.address, texts
        server.shutdown()
        thread.join()


def test_a_served_page_follows_and_keeps_order_and_focus(
    served: tuple[str, list[str]], open_page: Callable[..., Page]
) -> None:
    address, texts = served
    page = open_page(address)
    expect(page.locator("#state")).to_have_text("This page follows the runs.")
    page.get_by_role("button", name="run").click()
    assert names(page) == ["a", "b"]
    texts.append(leaderboard(3.0, "0 new"))
    expect(page.locator("tbody td", has_text="3")).to_have_count(1)
    assert names(page) == ["0 new", "a", "b"], "in the order that the reader chose"
    assert page.evaluate("document.activeElement.innerText").startswith("run")
    assert re.match("run", page.locator("[aria-sort=ascending]").inner_text())
