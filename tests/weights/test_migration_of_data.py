"""Data configurations of earlier checkpoints are converted to current ones."""

from functools import partial

import pytest
import torch
from hydra.utils import instantiate

from unmix.demo import tree
from unmix.weights import checkpoint
from unmix.weights.migration import migrated_data

DATA = {"_target_": "unmix.data.datamodule.SeparationDataModule", "root": "/nowhere", "name": "tiny"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"target": "bass"}, {}),
        ({"storage": "ram"}, {"storage": "disk"}),
        ({"storage": "gpu"}, {"storage": "gpu"}),
        ({"prepare": None}, {"prepare": None}),
        ({"prepare": {"_target_": "mine.make", "seed": 1}}, {"prepare": {"_target_": "mine.make", "seed": 1}}),
        ({"prepare": {"_target_": "unmix.data.preview.download", "_partial_": True}}, {}),
        ({"prepare": {"_target_": "unmix.data.library.download_preview", "_partial_": True}}, {}),
        ({"download": True}, {"download": False}),
    ],
)
def test_removed_arguments_and_values_are_dropped_or_replaced_and_others_kept(old, new):
    before = dict(old)
    assert migrated_data({**DATA, **old}) == {**DATA, **new}
    assert old == before


def test_a_function_that_moved_is_found_under_its_new_name():
    prepare = {"_target_": "unmix.data.demo.write_tree", "_partial_": True}
    data = migrated_data({**DATA, "target": "bass", "storage": "ram", "prepare": prepare})
    module = instantiate(data)
    assert isinstance(module.library.prepare, partial)
    assert module.library.prepare.func is tree.write_tree


@pytest.mark.parametrize("schema", [1, 2])
def test_storage_ram_in_a_checkpoint_of_either_schema_is_read_as_disk(tmp_path, schema):
    model = {"_target_": "unmix.models.open_unmix.OpenUnmix", "hidden_size": 8, "num_bins": 257}
    config = {
        "model": model,
        "stft": {"_target_": "unmix.dsp.stft.Stft", "fft_size": 512, "hop_size": 128},
        "data": {**DATA, "sample_rate": 44100, "storage": "ram"},
    }
    record = {"schema": schema, "target": "bass", "targets": ["bass"], "config": config, "metrics": {}}
    torch.save({"state_dict": {}, "unmix": record}, tmp_path / "a.ckpt")
    assert checkpoint.read(tmp_path / "a.ckpt").config["data"]["storage"] == "disk"
