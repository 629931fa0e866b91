"""python src/check.py: the report on a data set, and its exit code."""

import json
import logging
import shutil

import numpy as np
import pytest
import soundfile

from unmix.data.library import Library

pytestmark = pytest.mark.slow

VALIDATION = "Actions - One Minute Smile"


@pytest.fixture
def tree(musdb_tree, tmp_path):
    return shutil.copytree(musdb_tree, tmp_path / "tree")


@pytest.fixture
def report(cli, capfd):
    """Exit code and what was printed."""

    def run(root, *arguments):
        options = [f"data.root={root}", f"data.validation_tracks=[{VALIDATION}]", "data.segment_seconds=1"]
        code = cli("check", *options, *arguments)
        return code, capfd.readouterr().out

    return run


@pytest.fixture
def failing(report):
    def run(*arguments):
        code, text = report(*arguments)
        assert code == 1
        return text

    return run


def rewrite(path, change, **options):
    samples, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, change(samples), rate, **options)


def test_a_sound_tree_is_described(report, musdb_tree):
    code, text = report(musdb_tree)
    assert code == 0
    assert "4 tracks of the shape {train,test}/<track>/{mixture,vocals,drums,bass,other}.wav" in text
    assert "mixture is exactly the sum of its sources in every track" in text
    assert "an epoch is 2 tracks x 64 = 128 samples of 1 s, 8 steps of 16; data fingerprint" in text
    rows = {
        line.split("│")[1].strip(): [cell.strip() for cell in line.split("│")[2:-1]]
        for line in text.splitlines()
        if "│" in line
    }
    assert rows["train"] == ["2", "0:04", "0:02", "0:02", "44100 Hz", "2", "0.00 GB"]
    assert (rows["valid"][0], rows["test"][0]) == ("1", "1")


def test_a_tree_without_test_tracks_is_noted_with_the_command_that_scores_the_others(report, tree):
    _, text = report(tree, "listen=false")
    assert "no track in test" not in text
    shutil.rmtree(tree / "test")
    code, text = report(tree, "listen=false")
    assert code == 0
    (line,) = [line for line in text.splitlines() if "no track in test" in line]
    assert line.startswith(f"note    data.root: {tree} has no track in test, so nothing is evaluated after training; ")
    assert line.endswith(
        "python src/evaluate.py ckpt=outputs/runs/<experiment> subset=valid scores the validation tracks"
    )


def test_a_wrong_mixture_of_musdb18_as_published_is_a_note(report, tree):
    folder = tree / "train" / "Some Band - Track"
    rewrite(folder / "mixture.wav", lambda samples: samples * np.int16([0, 1]))
    folder.rename(tree / "train" / "PR - Oh No")
    code, text = report(tree)
    assert code == 0, "what MUSDB18 is known for is no error"
    assert "note    mixture is not the sum of its sources in 1 track: PR - Oh No (" in text
    assert "is not the sum of the sources (MUSDB18's errata) in 1 track: PR - Oh No" in text


def shift(samples):
    return np.roll(samples, 441, axis=0)


def test_mixtures_that_train_a_wrong_model_are_errors(failing, tree):
    rewrite(tree / "train" / "Some Band - Track" / "mixture.wav", shift)
    rewrite(tree / "test" / "Some Test - Track" / "mixture.wav", lambda samples: samples // 4)
    text = failing(tree)
    remedy = "write its mixture as the sum of its sources, or remove the track"
    assert f"error   Some Band - Track: mixture is 441 samples later than the sum of its sources; {remedy}" in text
    assert f"error   Some Test - Track: mixture is 12.0 dB quieter than the sum of its sources; {remedy}" in text
    assert "2 errors: training or its scores would be wrong" in text
    assert "above -20 dB" not in text, "errors are not repeated as notes"
    assert failing(tree) == text, "from the cache too"


def test_a_mixture_that_was_mastered_is_a_note(report, tree):
    rewrite(
        tree / "train" / "Some Band - Track" / "mixture.wav",
        lambda samples: np.rint(np.tanh(samples / 9000) * 11000).astype(np.int16),
    )
    code, text = report(tree)
    assert code == 0
    assert "mixture is not the sum of its sources (above -20 dB) in 1 track: Some Band - Track (-1" in text


def test_a_second_look_listens_to_nothing(report, tree, monkeypatch):
    first = report(tree)
    monkeypatch.setattr("unmix.data.doctor.examination._examine", None)
    monkeypatch.setattr("unmix.data.pcm.read_header", None)
    assert report(tree) == first


def test_listening_can_be_left_out(report, tree, monkeypatch):
    monkeypatch.setattr("unmix.data.doctor.examination._examine", None)
    code, text = report(tree, "listen=false")
    assert code == 0
    assert "sum of its sources" not in text


def test_every_error_is_listed_and_the_exit_code_is_1(failing, tree):
    (tree / "train" / "Some Band - Track" / "bass.wav").unlink()
    rewrite(tree / "test" / "Some Test - Track" / "drums.wav", lambda samples: samples[:-1])
    text = failing(tree)
    assert "lacks bass.wav" in text
    assert "drums.wav has" in text
    assert "2 errors: training is refused" in text
    assert "an epoch is" not in text


def test_errors_of_one_job_do_not_stop_the_check_of_another(cli, capfd, musdb_tree):
    options = [f"data.root={musdb_tree}", f"data.validation_tracks=[{VALIDATION}]", "listen=false"]
    assert cli("check", "-m", *options, "data.segment_seconds=6,1") == 1
    printed = capfd.readouterr()
    assert "1 error: training is refused" in printed.out
    assert "an epoch is 2 tracks x 64 = 128 samples of 1 s" in printed.out
    assert printed.err == "check: 1 of 2 jobs failed; data.segment_seconds=6: 1 error: training is refused\n"


def test_tracks_shorter_than_a_segment_are_an_error(failing, tree):
    assert "2 of 2 tracks are shorter" in failing(tree, "data.segment_seconds=6")


def test_a_folder_without_a_data_set_is_refused_in_one_line(cli, capfd, tmp_path):
    assert cli("check", f"data.root={tmp_path}") == 2
    captured = capfd.readouterr()
    assert captured.err.startswith(f"check: data.root: no track in {tmp_path}: looked for")
    assert "found an empty folder" in captured.err


def test_samples_that_are_no_number_are_an_error_of_their_file(failing, tree):
    def spoil(samples):
        return np.where(np.arange(len(samples))[:, None] == 44100, np.nan, samples / 32768)

    rewrite(tree / "train" / "Some Band - Track" / "bass.wav", spoil, subtype="FLOAT")
    text = failing(tree)
    expected = "error   Some Band - Track: bass: 2 samples are NaN or infinite (from 0:01.000); write the file anew"
    assert expected in text


def test_all_findings_are_printed_as_json(failing, tree):
    rewrite(tree / "train" / "Some Band - Track" / "vocals.wav", shift)
    content = json.loads(failing(tree, "format=json"))
    assert content["tracks"] == {"train": 2, "valid": 1, "test": 1}
    (error,) = (finding for finding in content["findings"] if finding["severity"] == "error")
    assert (error["track"], error["defect"], error["values"]["samples"]) == ("Some Band - Track", "shifted", 441)
    assert error["file"] == str(tree / "train" / "Some Band - Track" / "vocals.wav")


def test_json_stands_alone_on_standard_output(cli, musdb_tree, capfd, monkeypatch):
    make = Library.make

    def make_and_say_so(library):
        logging.getLogger("unmix.data").info("decoding 7 files")
        print("fetching")
        make(library)

    monkeypatch.setattr(Library, "make", make_and_say_so)
    options = [
        f"data.root={musdb_tree}",
        f"data.validation_tracks=[{VALIDATION}]",
        "listen=false",
        "data.segment_seconds=1",
    ]
    assert cli("check", *options, "format=json") == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["findings"] == []
    assert captured.err == "decoding 7 files\nfetching\n"
    assert cli("check", *options) == 0
    captured = capfd.readouterr()
    assert captured.out.startswith("decoding 7 files\nfetching\n")
    assert not captured.err


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("format=jsom", "check: format: got 'jsom', allowed text, json; did you mean 'json'?"),
        ("report=/proc/none", "check: report: /proc/none cannot be made, as /proc cannot be written; name a folder"),
    ],
)
def test_a_wrong_format_or_folder_is_refused_before_anything_is_read(cli, capfd, option, expected):
    assert cli("check", "data.root=/nowhere", option) == 2
    assert capfd.readouterr().err.startswith(expected)


def test_the_page_shows_every_finding_and_plays_the_passages(report, tree, tmp_path):
    def clicked(samples):
        changed = samples.copy()
        changed[44100] = 30000
        return changed

    rewrite(tree / "train" / "Some Band - Track" / "bass.wav", clicked)
    code, _ = report(tree, f"report={tmp_path / 'page'}")
    assert code == 0
    page = (tmp_path / "page" / "doctor.html").read_text()
    assert "<h1>musdb18hq: 0 errors, 1 warning, 0 notes</h1>" in page
    assert '<a href="#finding-0">bass has clicks</a>' in page
    assert page.count("<audio") == 3, "the file, the mixture, and what is left of it"
    assert page.count("<svg") == 1
