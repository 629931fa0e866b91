import json
import re
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from unmix.reports import charts, pages

PAGES = sorted(path.name for path in pages.TEMPLATES.glob("*.html") if path.name not in ("layout.html", "macros.html"))


class Addresses(HTMLParser):
    """Collects what a page would load."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if tag != "a" and name in ("src", "href")]


def leaderboard(**changes):
    content = {"title": "t", "text_columns": (), "tables": [], "clips": None, "damaged": [], "charts": []}
    content["is_served"] = False
    return pages.render("leaderboard.html", **{**content, **changes})


def test_every_string_is_escaped():
    text = leaderboard(title="<script>", damaged=[("<b>", "a & b")])
    assert "<b>" not in text
    assert "<title>&lt;script&gt;</title>" in text
    assert "<li>&lt;b&gt;: a &amp; b</li>" in text


def test_a_page_holds_its_style_script_and_sounds():
    parser = Addresses()
    text = leaderboard(clips={"run": "r", "is_oracle": False, "passages": {"t": {"a": b"sound"}}})
    parser.feed(text)
    assert parser.found == ["data:,", "data:audio/mpeg;base64,c291bmQ="]
    assert "border-collapse" in text
    assert "addEventListener" in text


@pytest.mark.parametrize(("theme", "canvas"), [(0, "#ffffff"), (1, "#121212")])
def test_text_has_the_contrast_of_wcag_aa_to_every_background(contrast, theme, canvas):
    rule = pages.asset("theme.css").split(":root {")[1 + theme]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", rule.partition("}")[0]))
    for background in (canvas, colors["page"], colors["panel"]):
        assert all(contrast(colors[name], background) >= 4.5 for name in ("text", "quiet", "accent", "warn"))
        assert all(contrast(colors[name], background) >= 3 for name in ("wave", "edge")), "not text, but must be seen"
    assert contrast(colors["on-accent"], colors["accent"]) >= 4.5


@pytest.mark.parametrize("name", PAGES)
def test_a_template_refuses_missing_content(name):
    with pytest.raises(UndefinedError):
        pages.render(name)


def test_a_chart_is_data_that_cannot_end_its_script():
    chart = charts.bars("</script> & more?", {"</script><b>": 1.0}, x="share")
    text = leaderboard(charts=[chart])
    data = text[text.index('<script type="application/json">') :]
    assert json.loads(data[data.index(">") + 1 : data.index("</script>")]) == chart
    assert "<figcaption>&lt;/script&gt; &amp; more?</figcaption>" in text


def test_no_vendored_file_can_end_its_script_or_names_a_source_map():
    for path in (pages.TEMPLATES / "vendor").glob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert "</script" not in text
        assert "sourceMappingURL" not in text
