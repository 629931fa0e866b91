"""The documentation in a browser, opened as files; .ci/run builds it first, with `make docs`."""

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
WITH_WIDE_TABLES = ("index", "benchmarks", "reference/configuration", "reference/metrics", "reference/python")

pytestmark = pytest.mark.skipif(not (SITE / "index.html").is_file(), reason="the site is not built: make docs")


@pytest.mark.parametrize(("words", "title"), [("silence", "Metrics"), ("optimizer.weight_decay", "Configuration")])
def test_the_search_lists_pages_that_have_a_word(open_page, words, title):
    page = open_page(SITE / "index.html")
    page.fill("input.sidebar-search", words)
    page.press("input.sidebar-search", "Enter")
    page.wait_for_selector("#search-results li")
    page.get_by_role("link", name=title, exact=True).last.click()
    assert page.locator("h1").inner_text().startswith(title)


@pytest.mark.parametrize("name", WITH_WIDE_TABLES)
def test_no_page_scrolls_sideways_on_a_phone(open_page, name):
    page = open_page(SITE / f"{name}.html", width=390, dark=name.startswith("reference"))
    assert page.evaluate("document.documentElement.scrollWidth") == 390
