"""Keys name every sample of an epoch once, and a dataset gives the same batch for the same key."""

import numpy as np
import pytest
import torch

from unmix.data import pcm
from unmix.data.augmentations.selections import Gain
from unmix.data.datamodule import SeparationDataModule
from unmix.data.datasets import BatchKey, BatchKeys, DrawDataset, RepeatedKeys, StemDataset, TrackDataset
from unmix.data.sampling import Recipe
from unmix.data.store import DiskStore
from unmix.data.tracks import SOURCES


@pytest.fixture(scope="module")
def tracks(musdb_tree):
    return SeparationDataModule(musdb_tree, name="tiny").splits.train


@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
@pytest.mark.parametrize("num_samples", [16, 17, 1])
def test_keys_of_all_ranks_name_every_index_of_an_epoch_once(num_samples, world_size):
    ranks = [list(BatchKeys(num_samples, 8, rank=rank, world_size=world_size)) for rank in range(world_size)]
    for step, keys in enumerate(zip(*ranks, strict=True)):
        indices = [index for key in keys for index in range(key.first, key.first + key.num_samples)]
        assert indices == list(range(8 * step, 8 * step + 8))
        assert {key.num_samples for key in keys} == {8 // world_size}
    assert len(ranks[0]) == len(BatchKeys(num_samples, 8, rank=0, world_size=1)) == -(-num_samples // 8)


def test_keys_carry_the_epoch_that_was_set():
    keys = BatchKeys(8, 4, rank=0, world_size=1)
    assert [key.epoch for key in keys] == [0, 0]
    keys.set_epoch(7)
    assert list(keys) == [(7, 0, 4), (7, 4, 4)]


@pytest.mark.parametrize("start", [(0, 0), (0, 1), (3, 2)])
def test_the_first_iteration_starts_where_a_run_is_resumed_and_the_next_at_batch_zero(start):
    keys = BatchKeys(12, 4, rank=0, world_size=1, start=start)
    epoch, batch = start
    assert list(keys) == [(epoch, first, 4) for first in (0, 4, 8)][batch:]
    keys.set_epoch(epoch + 1)
    assert list(keys) == [(epoch + 1, first, 4) for first in (0, 4, 8)]


def test_repeated_keys_are_those_of_the_first_epoch_whatever_epoch_is_set():
    keys = RepeatedKeys(8, 4, rank=0, world_size=1)
    expected = [(0, 0, 4), (0, 4, 4)]
    assert list(keys) == expected
    keys.set_epoch(5)
    assert list(keys) == expected


def test_stems_of_a_key_are_gathered_from_its_draws(tracks):
    draws = DrawDataset(tracks, Recipe(100, augmentations={"gain": Gain()}), 7, SOURCES)
    on_disk = DiskStore([[track.files[source] for track in tracks] for source in SOURCES])
    key = BatchKey(1, 4, 3)
    batch, again = StemDataset(draws, on_disk)[key], draws[key].gather(on_disk)
    for values, same in zip(batch[:3], again[:3], strict=True):
        assert torch.equal(values, same)
    assert torch.equal(batch.gains, draws[key].gains)
    assert not torch.equal(batch.gains, draws[BatchKey(2, 4, 3)].gains)


def test_a_track_dataset_gives_complete_tracks_of_the_named_stems(tracks):
    dataset = TrackDataset(tracks, ("mixture", "bass"))
    assert len(dataset) == len(tracks)
    for position, track in enumerate(tracks):
        stems = dataset[position]
        assert list(stems) == ["mixture", "bass"]
        for stem, samples in stems.items():
            np.testing.assert_array_equal(samples, pcm.read_int16(track.path(stem)))
