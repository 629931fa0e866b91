"""The excerpt of real music as a data set."""

from itertools import pairwise

import pytest
import soundfile

from unmix.demo import excerpt
from unmix.demo.excerpt import PARTS, write_excerpt


def test_the_excerpt_is_divided_without_overlap(tmp_path):
    root = write_excerpt(tmp_path / "new" / "excerpt")
    seconds = {str(path.relative_to(root).parent): soundfile.info(path).duration for path in root.rglob("bass.wav")}
    assert seconds == pytest.approx({"train/Train": 3.0, "train/Validation": 1.0, "test/Test": 2.08}, abs=0.01)
    assert len(list(root.rglob("*.wav"))) == 15
    edges = sorted(PARTS.values())
    assert all(stop <= start for (_, stop), (start, _) in pairwise(edges))


def test_an_excerpt_that_is_there_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(excerpt, "_write", None)
    assert list(write_excerpt(tmp_path).iterdir()) == []


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("unmix.extras.find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"unmix\.demo\.excerpt: needs the package stempeg, .*'unmix\[museval\]'"):
        write_excerpt(tmp_path / "excerpt")
    assert not (tmp_path / "excerpt").exists()
