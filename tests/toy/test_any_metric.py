"""A metric of the user's own: one class, one YAML."""

import csv
import json

import pytest

OWN = ["--config-dir", "my_conf", "plugins=[my_package]"]


@pytest.fixture
def oracle(small_tree, tmp_path):
    """Options that score an oracle on the small tree."""
    return [
        "ckpt=oracle:irm1",
        "data=musdb18hq",
        f"data.root={small_tree}",
        "data.sample_rate=8000",
        "data.validation_tracks=[Held Out]",
        "evaluation.gpus=0",
        f"paths.out={tmp_path}",
    ]


@pytest.mark.slow
def test_it_stands_in_every_table_and_file_beside_the_others(oracle, cli, capfd, tmp_path):
    assert cli("evaluate", *OWN, *oracle, "metrics=[csdr,peak_error]", "metrics.peak_error.full_scale=2") == 0
    text = capfd.readouterr().out
    assert "peak error: largest error of a sample, of 2: whole track, mean over tracks" in text
    assert "cSDR: SDR without distortion filters, dB: median over windows of 1 s, then median over tracks" in text
    (folder,) = (tmp_path / "evaluations").iterdir()
    rows = list(csv.DictReader((folder / "scores.csv").open()))
    assert 0 < float(rows[0]["peak error"]) < 1
    summary = json.loads((folder / "summary.json").read_text())
    assert list(summary["definitions"]) == ["cSDR", "peak error"]
    assert "largest error of a sample, of 2" in (folder / "report.html").read_text()
    (file,) = (folder / "tracks").iterdir()
    assert json.loads(file.read_text())["definitions"]["peak error"]["better"] == "low"


@pytest.mark.slow
def test_other_metrics_are_another_evaluation_and_the_default_has_no_name_in_its_folder(oracle, cli, tmp_path):
    for chosen in ("metrics=usdr", "metrics=csdr", "metrics=[usdr,csdr]", "metrics=[csdr,usdr]"):
        assert cli("evaluate", *oracle, chosen) == 0
    folders = list((tmp_path / "evaluations").iterdir())
    assert len(folders) == 3, "the order does not matter"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["metrics=peak"], "metrics: got 'peak', allowed aura_mrstft,"),
        (["metrics=peak_error"], "metrics: got 'peak_error', allowed aura_mrstft,"),
        ([*OWN[:2], "metrics=peak_error"], "metrics.peak_error._target_: got the class 'my_package.metric.PeakError'"),
        (["metrics=[]"], "metrics: got none, name at least one, as metrics=[museval,usdr]"),
        (["metrics=usdr", "metrics.usdr=null"], "metrics: got none, name at least one, as metrics=[museval,usdr]"),
        (["metrics=csdr", "metrics.csdr.window_seconds=-1"], "window_seconds: got -1, allowed above 0"),
        (
            ["metrics=[csdr,usdr]", "evaluation.compare=umxhq"],
            "evaluation.compare: published scores are SDR, SIR, ISR, SAR of museval, metrics=... computes cSDR, uSDR: "
            "add museval, as metrics=[museval,csdr,usdr]",
        ),
    ],
)
def test_what_cannot_be_computed_is_refused_before_anything_is_written(oracle, refused, options, message):
    assert message in refused("evaluate", *oracle, *options)
