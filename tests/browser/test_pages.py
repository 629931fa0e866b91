"""What every page does in a real browser."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page

from unmix.evaluation.metrics import FORMER, METRICS
from unmix.evaluation.scores import TrackScore
from unmix.evaluation.summary import Summary
from unmix.reports import comparison


def write_comparison(folder: Path) -> Path:
    """A comparison of three methods on one track, and return its page."""
    pairs = []
    for method, level in (("<b>weak</b>", 9.0), ("strong", 10.0)):
        rows = [
            TrackScore(name, "track", "vocals", {**dict.fromkeys(METRICS, value), "uSDR": 9.0})
            for name, value in ((method, level), ("mixture", 1.0))
        ]
        summary = Summary(method, "mixture", rows, {}, definitions=FORMER)
        pairs.append((summary, folder / method.strip("<>/b")))
    comparison.write(pairs, folder / "comparison")
    return folder / "comparison" / "comparison.html"


def test_a_click_on_a_heading_sorts_its_table_by_number(tmp_path: Path, open_page: Callable[..., Page]) -> None:
    page = open_page(write_comparison(tmp_path))
    table = page.locator("table").first
    order = "[...document.querySelector('tbody').rows].map((row) => row.cells[1].innerText)"
    assert page.evaluate(order) == ["mixture", "<b>weak</b>", "strong"]
    for _ in range(2):
        table.get_by_text("SDR", exact=True).click()
    assert page.evaluate(order) == ["strong", "<b>weak</b>", "mixture"]
