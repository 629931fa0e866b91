"""python src/ratings.py."""

import numpy as np
import pytest

from unmix.reports.webmushra import Export, Trial


@pytest.fixture
def exported(tmp_path):
    clip = 0.1 * np.random.default_rng(0).normal(size=(2, 22050))
    export = Export(tmp_path / "test", "band", 44100, -23.0)
    export.add(Trial("song", "vocals", 0.0, clip, clip, {"A": clip, "B": clip}, {"A": {"SDR": 9.0}, "B": {"SDR": 1.0}}))
    export.finish({})
    return tmp_path


def write_results(folder, reference=100):
    lines = ["session_uuid,trial_id,rating_stimulus,rating_score"]
    for listener in "ab":
        scores = {"reference": reference, "anchor70": 40, "anchor35": 20, "mixture": 5, "C1": 80, "C2": 60}
        lines += [f"{listener},t01,{name},{score}" for name, score in scores.items()]
    (folder / "mushra.csv").write_text("\n".join(lines))
    return f"results={folder / 'mushra.csv'}"


def test_results_become_two_tables_beside_the_key(cli, capfd, exported):
    assert cli("ratings", write_results(exported), f"key={exported / 'test' / 'key.json'}") == 0
    assert "vocals,A,80.0000,80.0000,80.0000,2" in (exported / "test" / "ratings.csv").read_text()
    assert "SDR,vocals,,,2" in (exported / "test" / "correlations.csv").read_text()
    assert "Mean rating of 2 listeners" in capfd.readouterr().out


def test_another_folder_is_named_with_out(cli, exported):
    key = f"key={exported / 'test' / 'key.json'}"
    assert cli("ratings", write_results(exported), key, f"out={exported / 'elsewhere'}") == 0
    assert (exported / "elsewhere" / "ratings.csv").exists()
    assert not (exported / "test" / "ratings.csv").exists()


def test_what_cannot_be_summarised_is_one_line(cli, capfd, exported):
    key, results = f"key={exported / 'test' / 'key.json'}", write_results(exported)
    for arguments, line in [
        ([results], "ratings: key: needed; write key=..., --help says what it may be"),
        ([results, "key=nope.json"], "ratings: key: there is no file nope.json"),
        (["results=nope.csv", key], "ratings: results: there is no file nope.csv"),
        ([results, f"key={exported / 'mushra.csv'}"], "mushra.csv is not key.json of a listening test"),
        ([write_results(exported, reference=50), key], "BS.1534-3 excludes 2 listeners, which is everyone"),
    ]:
        assert cli("ratings", *arguments) == 2
        error = capfd.readouterr().err.strip()
        assert line in error
        assert "\n" not in error
    assert not (exported / "test" / "ratings.csv").exists()
