"""The commands as a user types them, in this process: argv in, exit code, message and files out."""

import csv
import json
import re
import shutil
from pathlib import Path

import museval
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

import unmix
from unmix.data.tracks import SOURCES
from unmix.weights import checkpoint

pytestmark = pytest.mark.slow


def test_training_writes_a_self_contained_run_folder(trained):
    run = trained / "drums-s42"
    assert {path.name for path in run.iterdir()} == {
        ".guard",
        "checkpoints",
        "config.yaml",
        "env.json",
        "metrics.csv",
        "status.json",
        "train.log",
    }
    for name in ("best", "last"):
        content = torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True)
        assert content["unmix"]["targets"] == ["drums"]
        assert content["unmix"]["config"]["model"]["hidden_size"] == 16
        assert content["unmix"]["metrics"]["val/loss"] > 0
        assert content["unmix"]["data_fingerprint"]


def test_metrics_csv_has_a_row_an_epoch(trained):
    rows = list(csv.DictReader((trained / "drums-s42" / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert {"train/loss", "val/loss", "val/sdr", "lr", "step"} <= set(rows[0])
    assert [int(row["step"]) for row in rows] == [2, 4]


def test_the_same_command_again_says_done_and_changes_no_weight(trained, train_arguments, cli):
    before = (trained / "drums-s42" / "checkpoints" / "best.ckpt").read_bytes()
    assert cli("train", *train_arguments, "target=drums", f"paths.out={trained.parents[1]}") == 0
    assert (trained / "drums-s42" / "checkpoints" / "best.ckpt").read_bytes() == before


def test_training_twice_gives_the_same_weights(trained, train_arguments, cli, tmp_path):
    assert cli("train", *train_arguments, "target=drums", f"paths.out={tmp_path}") == 0
    first, second = (
        checkpoint.read(root / "drums-s42" / "checkpoints" / "last.ckpt").state
        for root in (trained, next((tmp_path / "runs").iterdir()))
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_the_four_targets_of_an_experiment_share_its_folder(trained):
    assert sorted(path.name for path in trained.iterdir()) == ["bass-s42", "drums-s42", "other-s42", "vocals-s42"]


@pytest.fixture(scope="module")
def evaluation(trained, cli):
    assert cli("evaluate", f"ckpt={trained}", "evaluation.save_estimates=true") == 0
    return next((trained / "eval").iterdir())


def test_evaluation_writes_scores_summary_picture_and_report(evaluation):
    assert {"boxplot.png", "inputs.json", "report.html", "scores.csv", "summary.json", "status.json", ".guard"} | {
        "tracks",
        "mixture",
        "estimates",
        "pace",
        "passages",
        "typical",
        "clips",
    } == {path.name for path in evaluation.iterdir()}
    assert evaluation.name.startswith("musdb18hq-test-")


def test_scores_csv_has_sisec_s_columns_and_two_methods(evaluation, trained):
    scores = pd.read_csv(evaluation / "scores.csv")
    assert list(scores.columns)[:7] == ["method", "track", "target", "SDR", "SIR", "ISR", "SAR"]
    assert list(scores.columns)[7:] == ["uSDR", "scenario", "definitions"]
    assert set(scores.method) == {trained.name, "mixture"}
    assert len(scores) == 2 * 1 * 4
    assert np.isfinite(scores.SDR).all()


def test_museval_reads_its_own_json_back(evaluation):
    path = next((evaluation / "tracks").glob("*.json"))
    frame = museval.aggregate.json2df(json.loads(path.read_text()), path.stem)
    ours = pd.read_csv(evaluation / "scores.csv").query("method != 'mixture' and target == 'bass'").SDR.item()
    windows = frame[(frame.target == "bass") & (frame.metric == "SDR")].score
    assert ours == pytest.approx(windows.median(), abs=1e-5)


def test_mixture_row_is_the_mixture_divided_by_the_number_of_sources(evaluation, musdb_tree):
    folder = next((musdb_tree / "test").iterdir())
    names = ("vocals", "drums", "bass", "other")
    references = np.stack([soundfile.read(folder / f"{name}.wav")[0] for name in names])
    mixture = soundfile.read(folder / "mixture.wav")[0] / 4
    sdr, *_ = museval.evaluate(references, np.stack([mixture] * 4))
    scores = pd.read_csv(evaluation / "scores.csv").query("method == 'mixture'").set_index("target").SDR
    assert np.allclose([scores[name] for name in names], np.nanmedian(sdr, axis=1), atol=1e-3)


def test_a_second_evaluation_separates_nothing_again(evaluation, trained, cli, monkeypatch):
    stamps = {path: path.stat().st_mtime_ns for path in (evaluation / "tracks").glob("*.json")}
    monkeypatch.setattr("unmix.runs.candidates.load", None)  # would raise if called
    assert cli("evaluate", f"ckpt={trained}") == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps


@pytest.mark.usefixtures("short_filters")
def test_other_evaluation_settings_go_to_another_folder(evaluation, trained, cli):
    assert cli("evaluate", f"ckpt={trained}", "separator.niter=0") == 0
    folders = sorted(path.name for path in (trained / "eval").iterdir())
    assert len(folders) == 2
    shutil.rmtree(trained / "eval" / next(name for name in folders if name != evaluation.name))


@pytest.mark.usefixtures("short_filters")
def test_published_settings_show_the_difference_from_what_was_published(evaluation, trained, cli, capfd):
    assert cli("evaluate", f"ckpt={trained}", "evaluation=published", "separator.niter=1") == 0
    said = capfd.readouterr()
    assert "umxhq as published" in said.out
    assert "published scores are of MUSDB18's 50 test tracks" in said.out + said.err
    folder = next(path for path in (trained / "eval").iterdir() if path != evaluation)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["published"]["umxhq"]["vocals"]["SDR"] == 6.25
    assert summary["windows_that_count"] == {"Some Test - Track": [2, 2]}
    assert "umxhq as published" in (folder / "report.html").read_text()
    shutil.rmtree(folder)
    assert cli("evaluate", f"ckpt={trained}", "evaluation.compare=umxh") == 2


def test_missing_targets_are_scored_as_a_residual_on_request(trained, cli, tmp_path, musdb_tree, capfd):
    ckpt = f"ckpt={next(trained.glob('vocals-*'))}"
    assert cli("evaluate", ckpt, f"paths.out={tmp_path}") == 2
    said = capfd.readouterr().err
    assert "evaluation.residual=true" in said
    assert re.search(r"holds vocals \(val/sdr -?[0-9.]+ dB\) and lacks drums, bass, other", said)
    assert cli("evaluate", f"ckpt={trained}", "evaluation.residual=true") == 2
    assert "evaluation.residual: got true, but" in capfd.readouterr().err
    assert cli("evaluate", ckpt, f"paths.out={tmp_path}", "evaluation.residual=true") == 0
    folder = next((next(trained.glob("vocals-*")) / "eval").iterdir())
    scores = pd.read_csv(folder / "scores.csv")
    method = next(name for name in scores.method if name != "mixture")
    assert method.endswith(", vocals + residual")
    assert set(scores.target) == {"vocals", "residual"}

    track = next((musdb_tree / "test").iterdir())
    vocals, *others = (soundfile.read(track / f"{name}.wav")[0] for name in ("vocals", "drums", "bass", "other"))
    mixture = soundfile.read(track / "mixture.wav")[0] / 2
    sdr, *_ = museval.evaluate(np.stack([vocals, sum(others)]), np.stack([mixture, mixture]))
    ours = scores.query("method == 'mixture'").set_index("target").SDR
    assert np.allclose([ours["vocals"], ours["residual"]], np.nanmedian(sdr, axis=1), atol=1e-3)
    shutil.rmtree(folder.parent)

    accompanied = ["evaluation.residual=true", "evaluation.scenario=vocals", "metrics=csdr"]
    assert cli("evaluate", ckpt, f"paths.out={tmp_path}", *accompanied) == 0
    (folder,) = folder.parent.iterdir()
    assert set(pd.read_csv(folder / "scores.csv").scenario) == {"vocals, accompaniment"}
    shutil.rmtree(folder.parent)


@pytest.mark.usefixtures("short_filters")
def test_an_oracle_is_evaluated_as_a_separator_is(cli, tmp_path, musdb_tree, capfd):
    data = ["data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={tmp_path}"]
    assert cli("evaluate", "ckpt=oracle:irm1", *data) == 0
    (folder,) = (tmp_path / "evaluations").iterdir()
    scores = pd.read_csv(folder / "scores.csv").set_index(["method", "target"]).SDR
    assert (scores["oracle-irm1"] > scores["mixture"]).all()
    assert cli("evaluate", "ckpt=oracle:irm1") == 2
    assert "data: needed, as oracle:irm1 names none: add data=musdb18hq" in capfd.readouterr().err
    assert cli("evaluate", "ckpt=oracle:irm", *data) == 2
    assert "ckpt: got 'oracle:irm', allowed oracle:irm1, oracle:irm2" in capfd.readouterr().err


def test_vocals_and_accompaniment_are_a_scenario_of_their_own(cli, tmp_path, musdb_tree, capfd):
    command = ["ckpt=oracle:irm1", "data=musdb18hq", f"data.root={musdb_tree}", f"paths.out={tmp_path}", "metrics=csdr"]
    assert cli("evaluate", *command) == 0
    assert cli("evaluate", *command, "evaluation.scenario=vocals") == 0
    assert "scenario: vocals, accompaniment" in capfd.readouterr().out
    tables = {path.parent: pd.read_csv(path) for path in (tmp_path / "evaluations").glob("*/scores.csv")}
    scenarios = {" ".join(table.scenario.unique()): path for path, table in tables.items()}
    assert set(scenarios) == {"4 stems: vocals, drums, bass, other", "vocals, accompaniment"}
    folder = scenarios["vocals, accompaniment"]
    assert json.loads((folder / "summary.json").read_text())["scenario"] == ["vocals", "accompaniment"]

    track = next((musdb_tree / "test").iterdir())
    vocals, *others = (soundfile.read(track / f"{name}.wav")[0] for name in SOURCES)
    mixture = soundfile.read(track / "mixture.wav")[0] / 2
    sdr, *_ = museval.evaluate(np.stack([vocals, sum(others)]), np.stack([mixture, mixture]))
    ours = tables[folder].query("method == 'mixture'").set_index("target").cSDR
    assert np.allclose([ours["vocals"], ours["accompaniment"]], np.nanmedian(sdr, axis=1), atol=1e-5)

    assert cli("report", f"ckpt=[{','.join(map(str, scenarios.values()))}]", f"paths.out={tmp_path}") == 2
    said = capfd.readouterr().err
    assert "oracle-irm1 has 2 evaluations that could be meant, name one of them" in said
    assert f"{folder} (vocals, accompaniment)" in said
    assert cli("evaluate", *command, "evaluation.scenario=vocal") == 2
    assert "evaluation.scenario: got 'vocal', allowed vocals, drums" in capfd.readouterr().err
    assert cli("evaluate", *command, "evaluation.scenario=vocals", "evaluation.compare=umxhq") == 2
    assert "which was not published in the scenario vocals, accompaniment" in capfd.readouterr().err


@pytest.mark.usefixtures("short_filters")
def test_a_list_of_checkpoints_is_evaluated_outside_any_experiment(trained, cli, tmp_path, evaluation):
    files = ",".join(str(path) for path in trained.glob("*/checkpoints/best.ckpt"))
    assert cli("evaluate", f"ckpt=[{files}]", f"paths.out={tmp_path}") == 0
    assert next((tmp_path / "evaluations").iterdir()).name.startswith("musdb18hq-test-")


@pytest.mark.usefixtures("short_filters")
def test_several_separators_are_evaluated_and_stand_side_by_side(trained, cli, tmp_path, capfd, evaluation):
    runs = tmp_path / "runs"
    for name, targets in (("one", SOURCES), ("two", SOURCES), ("begun", ("vocals",)), ("empty", ())):
        (runs / name).mkdir(parents=True)
        for target in targets:
            shutil.copytree(trained / f"{target}-s42", runs / name / f"{target}-s42")
    out = f"paths.out={tmp_path / 'out'}"
    assert cli("evaluate", f"ckpt={runs}/*", out, "evaluation.compare=umxhq") == 0
    said = capfd.readouterr()
    assert f"{runs / 'begun'}: left out, it lacks drums, bass, other" in said.out + said.err
    assert f"{runs / 'empty'}: left out, it lacks checkpoints" in said.out + said.err
    assert "umxhq as published" in said.out
    (page,) = (tmp_path / "out" / "evaluations").glob("comparison-*/comparison.html")
    assert "../../../runs/one/eval/" in page.read_text()
    scores = pd.read_csv(page.with_name("scores.csv"))
    assert list(scores.method.unique()) == ["mixture", "one", "two"]
    assert cli("evaluate", f"ckpt=[{runs / 'one'},oracle:irm1]", out) == 0, "the oracle takes the data of the other"
    assert "oracle-irm1" in capfd.readouterr().out
    assert cli("evaluate", f"ckpt=[{runs / 'one'},{runs / 'on'}]", out) == 2
    assert f"ckpt: {runs / 'on'} does not exist" in capfd.readouterr().err


@pytest.mark.usefixtures("short_filters")
def test_own_networks_and_those_of_others_make_one_separator(trained, cli, tmp_path, capfd):
    assert cli("export", f"ckpt={trained}", f"out={tmp_path / 'umx'}") == 0
    for path in (tmp_path / "umx").glob("vocals*"):
        path.unlink()
    (tmp_path / "own").mkdir()
    shutil.copytree(trained / "vocals-s42", tmp_path / "own" / "vocals-s42")
    ckpt, out = f"ckpt=[{tmp_path / 'umx'},{tmp_path / 'own'}]", f"paths.out={tmp_path / 'out'}"
    assert cli("evaluate", ckpt, out) == 0, capfd.readouterr()
    (where,) = (tmp_path / "out" / "evaluations").iterdir()
    said = json.loads((where / "summary.json").read_text())["checkpoints"]
    assert {target: Path(path).is_relative_to(tmp_path / "own") for target, path in said.items()} == {
        "vocals": True,
        "drums": False,
        "bass": False,
        "other": False,
    }


def test_separate_writes_stems_next_to_the_song(trained, cli, tmp_path):
    song = tmp_path / "It's (a) song, déjà = vu.wav"
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (48000, 2))
    soundfile.write(song, samples, 48000)
    assert cli("separate", f"ckpt={trained}", f"input={song}") == 0
    for target in ("vocals", "drums", "bass", "other"):
        stem, rate = soundfile.read(tmp_path / f"{song.stem}.{target}.wav")
        assert (stem.shape, rate) == ((48000, 2), 48000)


def test_separate_keeps_a_mono_song_mono(trained, cli, tmp_path):
    soundfile.write(tmp_path / "mono.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 44100), 44100)
    assert cli("separate", f"ckpt={trained}", f"input={tmp_path / 'mono.wav'}") == 0
    assert soundfile.info(tmp_path / "mono.vocals.wav").channels == 1


def test_load_separator_takes_an_experiment_folder(trained):
    separator = unmix.load_separator(str(trained), device="cpu")
    assert separator.targets == ("vocals", "drums", "bass", "other")
    assert separator.sample_rate == 44100
    mixture = torch.randn(2, 2, 30_001) * 0.1
    estimates = separator(mixture)
    assert estimates.shape == (2, 4, 2, 30_001)
    assert (estimates.sum(dim=1) - mixture).abs().max() < 1e-4  # the Wiener filter shares everything out
    assert unmix.load_separator(trained, targets=["bass"], niter=0)(mixture).shape == (2, 1, 2, 30_001)


def fill_the_disk(*_, **__):
    raise OSError("no space left")


@pytest.mark.usefixtures("short_filters")
def test_the_last_of_four_targets_evaluates_the_experiment(train_arguments, cli, tmp_path, capfd, monkeypatch):
    arguments = [*train_arguments, f"paths.out={tmp_path}", "evaluation.after_training=true", "trainer.max_epochs=1"]
    assert cli("train", "-m", *arguments, "target=vocals,drums,bass") == 0
    experiment = next((tmp_path / "runs").iterdir())
    assert not (experiment / "eval").exists()
    with monkeypatch.context() as patch:
        patch.setattr("unmix.evaluation.track_scoring.score_track", fill_the_disk)
        assert cli("train", *arguments, "target=other") == 2
    assert not list((experiment / "eval").glob("*/scores.csv"))
    assert cli("train", *arguments, "target=other") == 0
    assert (next((experiment / "eval").glob("*-test-*")) / "scores.csv").is_file()
    assert "vocals" in capfd.readouterr().out
    monkeypatch.setattr("unmix.runs.evaluate.after_training", fill_the_disk)
    assert cli("train", *arguments, "target=other") == 0  # done, the evaluation too
