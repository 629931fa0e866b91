"""The gallery: its pages have pictures and a place in the documentation, and the doctor has something to show."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import pytest

from unmix.demo.tree import write_tree

DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture
def gallery(monkeypatch):
    """The module docs/gallery.py."""
    spec = importlib.util.spec_from_file_location("gallery", DOCS / "gallery.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gallery", module)
    spec.loader.exec_module(module)
    return module


def test_every_page_has_its_question_and_its_picture_in_the_documentation(gallery):
    text = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", text, re.MULTILINE) == [page.question for page in gallery.PAGES]
    assert {f"{page.name}.png" for page in gallery.PAGES} <= set(re.findall(r"\(images/(.*?)\)", text))


def test_pictures_are_small_and_shown():
    texts = "".join(path.read_text(encoding="utf-8") for path in (DOCS.parent / "README.md", *DOCS.glob("**/*.md")))
    for path in (DOCS / "images").glob("*.png"):
        assert path.stat().st_size <= 250_000, path.name
        assert f"images/{path.name})" in texts, f"{path.name} is in no page"


def test_the_index_leads_to_the_pages_that_are_there(gallery, tmp_path, monkeypatch):
    monkeypatch.setattr(gallery, "ROOT", tmp_path)
    out = tmp_path / gallery.OUT
    (out / "runs" / "demo-1").mkdir(parents=True)
    (out / "leaderboard.html").touch()
    text = gallery.index()
    assert re.findall(r"href='([^']*\.html)'", text) == ["leaderboard.html"]
    assert "python src/leaderboard.py paths.out=outputs/gallery" in text


@pytest.mark.slow
def test_the_doctor_finds_every_damage(gallery, cli, capfd, tmp_path):
    write_tree(tmp_path / "demo", num_tracks=6, seconds=6)
    gallery.write_damaged(tmp_path / "damaged", tmp_path / "demo")
    assert cli("check", "data=own", f"data.root={tmp_path / 'damaged'}", "format=json") == 1
    findings = json.loads(capfd.readouterr().out)["findings"]
    assert {each["defect"] for each in findings} >= {"inverted", "shifted", "dropout", "gain", "duplicate"}
