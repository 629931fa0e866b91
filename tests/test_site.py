"""What the built documentation is checked for: links, anchors, and nothing from the network."""

import importlib
import re
import sys
from io import StringIO
from pathlib import Path

import pytest
from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def extensions(monkeypatch):
    """Let Python find the extensions of the documentation."""
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))
    yield
    for name in ("mathml", "site_check"):
        sys.modules.pop(name, None)


@pytest.fixture
def problems(extensions, tmp_path):
    """`problems(**pages)` writes pages, by name without suffix, and lists what is wrong with them."""
    site_check = importlib.import_module("site_check")

    def check(**pages: str) -> list[str]:
        for name, html in pages.items():
            (tmp_path / f"{name}.html").write_text(html)
        return list(site_check.problems(tmp_path))

    return check


def test_links_to_pages_and_anchors_that_exist_are_no_problem(problems):
    index = '<a href="page.html#a%20b">in</a><a href="#top" id="top">up</a><a href="https://host/x">out</a>'
    assert problems(index=index, page='<h1 id="a b">') == []


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ("none.html", "links to none.html, and there is no such file"),
        ("page.html#none", "links to page.html#none, and the page has no such anchor"),
        ("#none", "links to #none, and the page has no such anchor"),
    ],
)
def test_a_link_that_leads_nowhere_is_named_with_its_page(problems, link, problem):
    assert problems(index=f'<a href="{link}">', page="") == [f"index.html: {problem}"]


@pytest.mark.parametrize(
    "loads",
    [
        '<script src="{}"></script>',
        '<link rel="stylesheet" href="{}">',
        '<img srcset="{} 2x">',
        '<style>@import "{}";</style>',
        '<p style="background: url({})">',
    ],
)
@pytest.mark.parametrize("address", ["https://cdn.example/x", "//cdn.example/x"])
def test_what_a_page_loads_from_the_network_is_a_problem(problems, loads, address):
    assert problems(index=loads.format(address)) == [f"index.html: loads {address} from the network"]


def test_style_sheets_load_nothing_from_the_network(problems, tmp_path):
    (tmp_path / "site.css").write_text(
        "a { background: url(data:image/png;base64,AA) } b { src: url('https://host/font') }"
    )
    assert problems() == ["site.css: loads https://host/font from the network"]


def test_a_picture_that_is_missing_is_a_problem_and_data_in_the_page_is_none(problems):
    page = '<img src="a.png"><img src="data:image/png;base64,AA"><link rel="canonical" href="https://host/">'
    assert problems(index=page) == ["index.html: links to a.png, and there is no such file"]


@pytest.fixture
def build(extensions, tmp_path):
    """`build(text)` builds a site of one page; returns its HTML and the warnings."""

    def run(text: str) -> tuple[str, str]:
        (tmp_path / "index.rst").write_text(f"Title\n=====\n\n{text}\n")
        settings = {"extensions": ["mathml", "site_check"], "html_math_renderer": "mathml"}
        warnings = StringIO()
        site = tmp_path / "html"
        Sphinx(tmp_path, None, site, tmp_path / "trees", "html", settings, status=None, warning=warnings).build()
        return (site / "index.html").read_text(), warnings.getvalue()

    return run


def test_formulas_are_mathml_within_the_page(build):
    html, warnings = build(".. math:: \\frac{a}{b}\n   :label: ratio\n\nSee :eq:`ratio` and :math:`x^2`.")
    assert "<mfrac>" in html
    assert "<msup>" in html
    assert "(1)" in html
    assert "mathjax" not in html.lower()
    assert warnings == ""


def test_bars_are_stretched_only_where_the_formula_says_so(build):
    plain, _ = build(r":math:`\frac{a}{b} \lVert c \rVert`")
    assert plain.count('stretchy="false">\u2016</mo>') == 2
    stretched, _ = build(r":math:`\left\|\frac{a}{b}\right\|`")
    assert stretched.count("<mo>\u2016</mo>") == 2


def test_a_formula_that_cannot_be_converted_is_a_warning_with_its_line(build):
    _, warnings = build(":math:`\\nosuchcommand`")
    assert re.search(r"index\.rst:4: WARNING: formula .*nosuchcommand", warnings)


def test_a_dead_link_of_a_built_site_is_a_warning(build):
    _, warnings = build("`there <nowhere.html>`_")
    assert "WARNING: index.html: links to nowhere.html, and there is no such file" in warnings
