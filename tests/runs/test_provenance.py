"""What a run records of itself."""

import json
import logging
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import torch
import yaml

from unmix.runs.provenance import logged, say_what_begins, shared, write_provenance

CONFIG = {"name": "umx", "model": {"hidden_size": 8, "dropout": 0.4}, "seed": 42}


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], CONFIG),
        ([CONFIG], CONFIG),
        ([{**CONFIG, "seed": 43}], {"name": "umx", "model": {"hidden_size": 8, "dropout": 0.4}}),
        ([{"name": "umx", "model": {"hidden_size": 9, "dropout": 0.4}}], {"name": "umx", "model": {"dropout": 0.4}}),
        ([{"name": "umx", "model": None}], {"name": "umx"}),
    ],
)
def test_configurations_share_the_settings_that_are_alike(others, expected):
    assert shared([CONFIG, *others]) == expected


def test_nothing_is_shared_by_no_configuration():
    assert shared([]) == {}


def test_loggers_get_the_experiment_and_the_sweep_beside_the_configuration():
    assert logged(CONFIG, {"experiment": "umx-1", "sweep": "s"}) == {**CONFIG, "experiment": "umx-1", "sweep": "s"}
    assert logged(CONFIG, {}) == {**CONFIG, "experiment": None, "sweep": None}


def test_a_run_records_configuration_and_machine_and_warns_when_it_resumes_elsewhere(tmp_path, caplog):
    write_provenance(tmp_path, CONFIG, None)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text()) == CONFIG
    environment = json.loads((tmp_path / "env.json").read_text())
    assert environment["threads"] == torch.get_num_threads()
    assert environment["versions"]["torch"] == version("torch")
    start = SimpleNamespace()
    write_provenance(tmp_path, CONFIG, start)
    assert "last bits" not in caplog.text
    (tmp_path / "env.json").write_text(json.dumps({**environment, "threads": 99}))
    write_provenance(tmp_path, CONFIG, start)
    assert f"threads: was 99, is {torch.get_num_threads()}: the result may differ in its last bits" in caplog.text


@pytest.mark.parametrize(
    ("limit", "expected"),
    [(1.0, "32 batches"), (0.25, "8 batches"), (2, "2 batches"), (1, "1 batch"), (50, "32 batches")],
)
def test_a_limit_on_batches_counts_in_the_batches_of_an_epoch(caplog, limit, expected):
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    trainer = SimpleNamespace(world_size=1, strategy=strategy, limit_train_batches=limit)
    caplog.set_level(logging.INFO)
    data = SimpleNamespace(steps_per_epoch=32, batch_size=4)
    say_what_begins(SimpleNamespace(run="run"), None, trainer, data, torch.nn.Linear(1, 1))
    assert f"  2 parameters, {expected} of 4 an epoch, " in caplog.text
