"""Figures and tables of docs/explanation are those that the scripts beside them make, of the code as it is."""

import re
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from pathlib import Path

import matplotlib
import pytest

DOCS = Path(__file__).parents[1] / "docs"
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
IDENTIFIER = re.compile(r"\b[a-z][0-9a-f]{10}\b")  # a hash of coordinates, by matplotlib
FIGURES = ("open_unmix", "wiener_gain")


@pytest.fixture
def script(monkeypatch):
    """Return a function that imports a script of docs/figures by its name."""
    monkeypatch.syspath_prepend(str(DOCS / "figures"))
    return import_module


def structure_of(svg):
    """Elements with texts and attributes, without ids and numbers; and all numbers, in their order."""
    elements = ElementTree.fromstring(svg).iter()
    words = IDENTIFIER.sub("id", repr([(each.tag, each.text, sorted(each.attrib.items())) for each in elements]))
    return NUMBER.sub("#", words), [float(number) for number in NUMBER.findall(words)]


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_what_its_script_draws(script, name, tmp_path):
    """Coordinates may differ by a thousandth of an inch: other CPUs round sums otherwise."""
    figures, themed_svg = script(name), script("themed_svg")
    with matplotlib.rc_context(themed_svg.STYLE):
        themed_svg.save(figures.draw(), tmp_path / "new.svg")
    words, numbers = structure_of((tmp_path / "new.svg").read_text())
    expected_words, expected_numbers = structure_of((DOCS / "images" / f"{name}.svg").read_text())
    assert words == expected_words, f"python docs/figures/{name}.py draws it anew"
    assert numbers == pytest.approx(expected_numbers, abs=0.072), f"python docs/figures/{name}.py draws it anew"


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_changes_its_ink_and_paper_with_the_theme_and_stands_in_a_page(script, name):
    svg = (DOCS / "images" / f"{name}.svg").read_text()
    dark = svg.partition("@media (prefers-color-scheme: dark)")[2].partition("</style>")[0]
    for light, other in script("themed_svg").DARK.items():
        assert f'[style*="fill: {light}"] {{ fill: {other} !important }}' in dark
    assert any(f"../images/{name}.svg" in page.read_text() for page in (DOCS / "explanation").glob("*.md"))


@pytest.mark.slow
def test_the_table_of_errors_is_what_its_script_prints(script):
    """To 0.1 dB, for the sake of other CPUs."""
    page = (DOCS / "explanation" / "bss_eval.md").read_text().splitlines()
    for row in script("scores_of_errors").rows():
        (shown,) = (line for line in page if line.startswith(row[: row.index("|", 2)]))
        assert NUMBER.sub("#", shown) == NUMBER.sub("#", row)
        values, expected = ([float(number) for number in NUMBER.findall(line)] for line in (shown, row))
        assert values == pytest.approx(expected, abs=0.11)


@pytest.mark.parametrize("page", sorted((DOCS / "explanation").glob("*.md")), ids=lambda page: page.stem)
def test_every_python_file_that_a_page_names_exists(page):
    files = [
        path.as_posix() for folder in ("src", "tests", "docs", "bench") for path in (DOCS.parent / folder).rglob("*.py")
    ]
    others = "openunmix/model.py"  # of open-unmix-pytorch
    for name in re.findall(r"`([\w/]+\.py)`", page.read_text()):
        assert name == others or any(file.endswith(f"/{name}") for file in files), name
