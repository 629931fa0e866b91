"""A model from outside of this project goes through every command as Open-Unmix does."""

import csv
import json

import pytest
import torch

from unmix.experiments import status


def test_a_model_and_an_objective_of_a_user_are_trained(toy_run):
    content = torch.load(toy_run / "checkpoints" / "best.ckpt", weights_only=True)
    assert content["unmix"]["targets"] == ["vocals", "drums", "bass", "other"]
    assert content["unmix"]["config"]["model"]["_target_"] == "my_package.model.MyModel"
    assert status.read(toy_run).state == "done"
    rows = list(csv.DictReader((toy_run / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["3", "6"]
