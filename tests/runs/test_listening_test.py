"""python src/listen.py format=webmushra."""

import json

import pytest
import soundfile
import yaml


@pytest.fixture
def arguments(musdb_tree, tmp_path):
    data = ["data=musdb18hq", f"data.root={musdb_tree}", "data.validation_tracks=[Actions - One Minute Smile]"]
    return ["ckpt=[oracle:irm1,oracle:ibm1]", *data, f"paths.out={tmp_path}", "format=webmushra"]


def test_a_listening_test_has_a_trial_per_source_with_the_scores_of_its_clips(cli, capfd, arguments, tmp_path):
    assert cli("listen", *arguments, f"out={tmp_path / 'My Test'}", "seconds=1.5") == 0
    configuration = yaml.safe_load((tmp_path / "My Test" / "configs" / "my-test.yaml").read_text())
    trials = configuration["pages"][2][1:]
    assert [page["name"] for page in trials] == ["vocals", "drums", "bass", "other"]
    assert list(trials[0]["stimuli"]) == ["anchor35", "anchor70", "mixture", "C1", "C2"]
    samples, rate = soundfile.read(tmp_path / "My Test" / trials[0]["stimuli"]["C1"])
    assert (rate, samples.shape) == (44100, (round(1.5 * 44100), 2))
    key = json.loads((tmp_path / "My Test" / "key.json").read_text())["trials"]
    assert key["t01"]["conditions"] == {"C1": "oracle-irm1", "C2": "oracle-ibm1"}
    for trial in key.values():
        assert set(trial["scores"]["C1"]) == {"SDR", "SIR", "ISR", "SAR", "uSDR", "SI-SDR", "SI-SAR"}
        assert trial["scores"]["C1"]["uSDR"] > 0
    printed = "".join(capfd.readouterr())
    assert "4 trials" in printed
    assert f"python src/ratings.py results=mushra.csv 'key={tmp_path / 'My Test' / 'key.json'}'" in printed


def test_what_is_no_listening_test_is_one_line(cli, capfd, arguments, tmp_path):
    (tmp_path / "taken").mkdir()
    for extra, line in [
        (["serve=true"], "serve: got true, a page is served, but format=webmushra writes files for webMUSHRA"),
        (["seconds=12.5"], "seconds: got 12.5, format=webmushra allows 12 or less (BS.1534-3)"),
        ([f"out={tmp_path / 'taken'}"], "taken exists, perhaps a test that people have taken: name another folder"),
        (["loudness=1"], "loudness: got 1, allowed -70 up to 0"),
        (["tracks=nope"], "tracks: got 'nope', allowed "),
    ]:
        assert cli("listen", *arguments, *extra) == 2
        error = capfd.readouterr().err.strip().splitlines()[-1]
        assert line in error
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_nine_methods_are_too_many(musdb_tree, tmp_path):
    import torch

    from unmix.reports.listening_page import Excerpt
    from unmix.runs import listening_test

    clip = torch.randn(2, 44100)
    excerpt = Excerpt("song", 0, 44100, clip, [{"vocals": clip}] * 10)
    with pytest.raises(ValueError, match="ckpt: got 9 methods, a MUSHRA trial has room for 8"):
        listening_test.export(tmp_path / "test", [f"m{i}" for i in range(9)], [excerpt], -23.0)
    assert not (tmp_path / "test").exists()


def test_sources_that_are_silent_or_that_no_method_estimates_have_no_trial(tmp_path):
    import torch

    from unmix.reports.listening_page import Excerpt
    from unmix.runs import listening_test

    clip = torch.randn(2, 44100)
    references = {"vocals": clip, "drums": torch.zeros(2, 44100), "bass": clip}
    excerpt = Excerpt("song", 22050, 44100, clip, [references, {"vocals": clip, "drums": clip}, {"vocals": clip / 2}])
    listening_test.export(tmp_path / "test", ["A", "B"], [excerpt], -23.0)
    trials = json.loads((tmp_path / "test" / "key.json").read_text())["trials"]
    assert [(trial["target"], trial["start"]) for trial in trials.values()] == [("vocals", 0.5)]
    other = Excerpt("song", 0, 22050, clip, [{"vocals": clip}] * 3)
    with pytest.raises(ValueError, match="tracks: got sample rates of 22050, 44100 Hz"):
        listening_test.export(tmp_path / "rates", ["A", "B"], [excerpt, other], -23.0)
