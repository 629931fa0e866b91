"""Listening tests as files for webMUSHRA."""

import dataclasses
import json

import numpy as np
import pytest
import soundfile
import yaml

from unmix.dsp import loudness
from unmix.reports import webmushra
from unmix.reports.webmushra import Export, Trial

RATE = 44100


def trial(target="vocals", methods=("A", "<B> & co")):
    generator = np.random.default_rng(0)
    reference = 0.1 * generator.normal(size=(2, 2 * RATE))
    estimates = {name: reference * (i + 1) for i, name in enumerate(methods)}
    scores = {name: {"SDR": float(i)} for i, name in enumerate(methods)}
    return Trial("Song & <Name>", target, 3.5, reference, 2 * reference, estimates, scores)


@pytest.fixture
def exported(tmp_path):
    export = Export(tmp_path, "band", RATE, -23.0)
    for target in ("vocals", "<b>drums</b>"):
        export.add(trial(target))
    export.finish({"seed": 1})
    return tmp_path


def pages(folder):
    return yaml.safe_load((folder / "configs" / "band.yaml").read_text())["pages"]


def test_every_trial_has_a_hidden_reference_two_anchors_the_mixture_and_all_methods(exported):
    first, second = pages(exported)[2][1:]
    assert pages(exported)[2][0] == "random"
    assert list(first["stimuli"]) == ["anchor35", "anchor70", "mixture", "C1", "C2"]
    for page in (first, second):
        clips = [page["reference"], *page["stimuli"].values()]
        sounds = [soundfile.read(exported / clip, always_2d=True) for clip in clips]
        assert {(rate, samples.shape) for samples, rate in sounds} == {(RATE, (2 * RATE, 2))}
        levels = [loudness.integrated(samples.T, rate) for samples, rate in sounds]
        assert levels == pytest.approx([-23.0] * 6, abs=0.01)
    reference, low = (soundfile.read(exported / clip)[0] for clip in (first["reference"], first["stimuli"]["anchor35"]))
    assert not np.allclose(reference, low, atol=1e-3)


def test_listeners_see_neither_methods_nor_tracks(exported):
    text = (exported / "configs" / "band.yaml").read_text()
    assert "Song" not in text
    assert "co" not in [page["stimuli"] for page in pages(exported)[2][1:]]
    assert "&lt;b&gt;drums&lt;/b&gt;" in text
    assert "<b>drums" not in text
    assert (exported / "key.json").exists()
    assert not (exported / "configs" / "key.json").exists()


def test_the_file_has_no_compact_nested_list_which_webmushra_cannot_read(exported):
    assert "- -" not in (exported / "configs" / "band.yaml").read_text()


def test_the_key_tells_track_methods_and_scores_of_every_condition(exported):
    key = webmushra.read_key(exported / "key.json")
    assert list(key) == ["t01", "t02"]
    assert dataclasses.asdict(key["t01"]) == {
        "track": "Song & <Name>",
        "target": "vocals",
        "start": 3.5,
        "conditions": {"C1": "A", "C2": "<B> & co"},
        "scores": {"C1": {"SDR": 0.0}, "C2": {"SDR": 1.0}},
    }


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"trials": {"t01": {"track": "x"}}}', '{"trials": []}'])
def test_another_file_is_no_key(tmp_path, content):
    path = tmp_path / "key.json"
    path.write_text(content)
    with pytest.raises(
        ValueError, match=f"^key: {path} is not key.json of a listening test, as listen.py format=webmushra"
    ):
        webmushra.read_key(path)


def test_eight_methods_fit_into_a_trial_and_nine_do_not(tmp_path):
    names = [f"m{i}" for i in range(9)]
    export = Export(tmp_path, "band", RATE, -23.0)
    export.add(trial(methods=names[:8]))
    with pytest.raises(ValueError, match="ckpt: got 9 methods, a MUSHRA trial has room for 8: name fewer"):
        export.add(trial(methods=names))


@pytest.mark.parametrize(("text", "name"), [("My Band 2!", "my-band-2"), ("<&>", "listening-test"), ("a" * 9, "a" * 9)])
def test_names_are_made_of_what_webmushra_takes(text, name):
    assert webmushra.test_id(text) == name


def test_settings_are_kept_with_the_key(exported):
    assert json.loads((exported / "key.json").read_text())["settings"] == {"seed": 1}
