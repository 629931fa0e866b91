"""Batches do not depend on workers or ranks; training mixes stems, validation reads complete files."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from unmix.data import library, pcm, sampling, store
from unmix.data.augmentations.selections import Gain, Swap
from unmix.data.datamodule import SeparationDataModule
from unmix.data.datasets import DrawBatch
from unmix.data.mixing import StemBatch, render
from unmix.data.pcm import Header
from unmix.data.scan import Scan
from unmix.data.tracks import SOURCES, AudioFile, Splits, Track

VALIDATION = "Actions - One Minute Smile"
SEGMENT = 441


def make_module(root, **changes):
    settings = {"name": "tiny", "segment_seconds": 0.01, "samples_per_track": 5, "batch_size": 4}
    return SeparationDataModule(root, **(settings | changes))


@pytest.fixture
def module(musdb_tree):
    return make_module(musdb_tree)


def epoch_of(loader, epoch=0):
    """All batches of an epoch; as Lightning does, set the epoch of the sampler before iterating."""
    loader.sampler.set_epoch(epoch)
    return list(loader)


def assert_equal(batches, others):
    assert len(batches) == len(others) > 0
    for batch, other in zip(batches, others, strict=True):
        for values, same in zip(batch[:3], other[:3], strict=True):  # there are no effects by default
            assert torch.equal(values, same)


def fake_track(name, num_samples):
    files = {
        stem: AudioFile(Path(f"/nowhere/train/{name}/{stem}.wav"), Header(44100, 2, num_samples, 44), 0)
        for stem in ("mixture", *SOURCES)
    }
    return Track(name, files)


def holding(module, train, valid=(), test=()):
    """Give the data module these tracks without a scan."""
    module.library.__dict__["scan"] = Scan(Splits(tuple(train), tuple(valid), tuple(test)))
    return module


def fake_trainer(rank, world_size, **trained):
    """A trainer of this rank, whose LightningModule has the attributes `trained`."""
    return SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        lightning_module=SimpleNamespace(**trained),
    )


def test_training_batch_is_int16_stems_with_gains_and_swaps(module):
    stems, gains, swaps, effects = next(iter(module.train_dataloader()))
    assert not effects
    assert (stems.shape, stems.dtype) == ((4, 4, 2, SEGMENT), torch.int16)
    assert (gains.shape, gains.dtype) == ((4, 4), torch.float32)
    assert (swaps.shape, swaps.dtype) == ((4, 4), torch.bool)


def test_training_batches_do_not_depend_on_the_number_of_workers_in_any_epoch(musdb_tree):
    alone, helped = (make_module(musdb_tree, num_workers=workers).train_dataloader() for workers in (0, 2))
    for epoch in (0, 1):
        assert_equal(epoch_of(alone, epoch), epoch_of(helped, epoch))


@pytest.mark.parametrize("epoch", [0, 2])
def test_a_loader_that_starts_within_an_epoch_gives_its_rest_and_then_whole_ones(module, musdb_tree, epoch):
    resumed = make_module(musdb_tree)
    resumed.start_at(epoch, 1)
    loader, whole = resumed.train_dataloader(), module.train_dataloader()
    assert_equal(epoch_of(loader, epoch), epoch_of(whole, epoch)[1:])
    assert_equal(epoch_of(loader, epoch + 1), epoch_of(whole, epoch + 1))


def test_a_batch_of_draws_is_gathered_where_the_stems_are(module, musdb_tree, monkeypatch):
    """Storage `gpu`, with the CPU as the device that holds all samples."""
    monkeypatch.setattr(store, "choose", lambda *_: ("gpu", "replaced by a test"))
    on_device = make_module(musdb_tree, num_workers=2)
    loader = on_device.train_dataloader()
    assert loader.num_workers == 0
    for draws, batch in zip(epoch_of(loader, 1), epoch_of(module.train_dataloader(), 1), strict=True):
        assert isinstance(draws, DrawBatch)
        ours, theirs = on_device.on_after_batch_transfer(draws, 0), module.on_after_batch_transfer(batch, 0)
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize("world_size", [2, 4])
def test_batches_of_all_ranks_together_are_those_of_one(module, world_size):
    whole = epoch_of(module.train_dataloader(), 3)
    shares = []
    for rank in range(world_size):
        module.trainer = fake_trainer(rank, world_size)
        shares.append(epoch_of(module.train_dataloader(), 3))
    joined = [
        [torch.cat(parts) for parts in zip(*(batch[:3] for batch in batches), strict=True)]
        for batches in zip(*shares, strict=True)
    ]
    assert_equal(whole, joined)


def test_another_epoch_has_other_batches_and_the_same_epoch_the_same(module):
    loader = module.train_dataloader()
    first, other, again = (epoch_of(loader, epoch) for epoch in (0, 1, 0))
    assert_equal(first, again)
    assert not any(torch.equal(batch.gains, fresh.gains) for batch, fresh in zip(first, other, strict=True))
    assert not any(torch.equal(batch.stems, fresh.stems) for batch, fresh in zip(first, other, strict=True))


def test_another_seed_has_other_batches(musdb_tree):
    first, other = (next(iter(make_module(musdb_tree, seed=seed).train_dataloader())) for seed in (1, 2))
    assert not torch.equal(first.gains, other.gains)


@pytest.mark.parametrize(
    ("num_tracks", "samples_per_track", "batch_size", "num_steps"),
    [(86, 64, 16, 344), (2, 4, 4, 2), (2, 5, 4, 3), (3, 3, 4, 3), (1, 1, 16, 1)],
)
def test_an_epoch_has_as_many_steps_as_samples_need(num_tracks, samples_per_track, batch_size, num_steps):
    module = make_module("/nowhere", samples_per_track=samples_per_track, batch_size=batch_size, storage="disk")
    holding(module, [fake_track(str(index), 10**7) for index in range(num_tracks)])
    assert module.steps_per_epoch == num_steps
    assert len(module.train_dataloader()) == num_steps
    module.trainer = fake_trainer(0, 1)
    assert len(module.train_dataloader()) == num_steps


@pytest.mark.parametrize("random_mix", [True, False])
def test_sources_of_a_sample_are_the_drawn_excerpts_of_the_drawn_tracks(musdb_tree, random_mix):
    module = make_module(musdb_tree, random_mix=random_mix, seed=5)
    tracks = module.splits.train
    batch = module.train_dataloader().dataset[2, 7, 3]
    lengths = np.array([track.num_samples for track in tracks])
    draws = sampling.draw(5, 2, 7, 3, track_lengths=[lengths] * 4, recipe=module.recipe)
    for sample in range(3):
        for position, source in enumerate(SOURCES):
            track, start = tracks[draws.tracks[sample, position]], draws.starts[sample, position]
            whole = pcm.read_int16(track.path(source))
            np.testing.assert_array_equal(batch.stems[sample, position], whole[:, start : start + SEGMENT])
    np.testing.assert_array_equal(batch.gains, draws.gains)
    np.testing.assert_array_equal(batch.swaps, draws.swaps)


def test_settings_of_the_module_reach_the_draws(musdb_tree):
    settings = {"random_mix": False, "gain": [0.5, 0.75], "swap_probability": 1.0}
    dataset = make_module(musdb_tree, segment_seconds=0.02, seed=7, **settings).train_dataloader().dataset
    assert dataset.draws.seed == 7
    assert dataset.draws.recipe == sampling.Recipe(882, False, {"gain": Gain((0.5, 0.75)), "swap": Swap(1.0)})


def test_training_never_sees_a_validation_or_test_track(module):
    files = [file.path for row in module.train_dataloader().dataset.store.files for file in row]
    assert {path.parent.name for path in files} == {"Other Band - Song", "Some Band - Track"}
    assert [track.name for track in module.splits.train] == ["Other Band - Song", "Some Band - Track"]


def test_validation_names_can_be_chosen(musdb_tree):
    module = make_module(musdb_tree, validation_tracks=["Some Band - Track"])
    assert [track.name for track in module.splits.valid] == ["Some Band - Track"]


def test_validation_reads_the_whole_mixture_file_and_all_sources(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ("Some Band - Track", VALIDATION), num_samples=500)
    mixture = root / "train" / VALIDATION / "mixture.wav"
    soundfile.write(mixture, np.random.default_rng(0).integers(-999, 999, (941, 2)).astype(np.int16), 44100)
    (batch,) = make_module(root).val_dataloader()
    assert list(batch) == ["mixture", *SOURCES]
    for stem, samples in batch.items():
        assert (samples.shape, samples.dtype) == ((1, 2, 941), torch.int16)
        np.testing.assert_array_equal(samples[0], pcm.read_int16(mixture.with_name(f"{stem}.wav")))


def test_validation_reads_only_the_sources_that_the_trained_module_names(module):
    module.trainer = fake_trainer(0, 1, validation_sources=("bass",))
    (batch,) = module.val_dataloader()
    assert list(batch) == ["mixture", "bass"]


def test_validation_gives_each_track_once_and_whole(musdb_tree):
    module = make_module(musdb_tree, validation_tracks=("Some Band - Track", VALIDATION))
    lengths = [batch["mixture"].shape[-1] for batch in module.val_dataloader()]
    assert lengths == [track.num_samples for track in module.splits.valid] == [88200 + 441, 88200]


def test_training_batch_becomes_float_waveforms_by_name(module):
    batch = next(iter(module.train_dataloader()))
    waveforms = module.on_after_batch_transfer(batch, 0)
    assert list(waveforms) == ["mixture", *SOURCES]
    for name, expected in render(batch).items():
        assert waveforms[name].shape == (4, 2, SEGMENT)
        assert torch.equal(waveforms[name], expected)


def test_batch_moved_by_lightning_is_still_told_from_a_validation_batch(module):
    moved = module.transfer_batch_to_device(next(iter(module.train_dataloader())), torch.device("cpu"), 0)
    assert isinstance(moved, StemBatch)
    assert "drums" in module.on_after_batch_transfer(moved, 0)


def test_validation_batch_becomes_float_waveforms_by_name(module):
    (batch,) = module.val_dataloader()
    waveforms = module.on_after_batch_transfer(batch, 0)
    track = module.splits.valid[0]
    assert list(waveforms) == ["mixture", *SOURCES]
    for stem, waveform in waveforms.items():
        np.testing.assert_array_equal(waveform[0], pcm.read_float(track.path(stem)))


@pytest.mark.parametrize("world_size", [3, 8])
def test_batch_size_that_does_not_divide_by_the_ranks_is_refused(module, world_size):
    module.trainer = fake_trainer(0, world_size)
    with pytest.raises(ValueError, match=f"data.batch_size: got 4, which does not divide by the {world_size} ranks"):
        module.train_dataloader()


def test_check_accepts_what_can_be_trained_on_and_refuses_the_same_tree_once_a_file_is_gone(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ("Some Band - Track", VALIDATION), num_samples=500)
    module = make_module(root)
    assert module.training_errors() == []
    module.check_training()
    (root / "train" / VALIDATION / "bass.wav").unlink()
    with pytest.raises(ValueError, match=r"One Minute Smile lacks bass.wav"):
        make_module(root).check_training()


def test_check_refuses_a_tree_without_training_tracks(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", (), ("Some Test - Track",), num_samples=500)
    with pytest.raises(ValueError, match=r"data.root: .*train holds no track to train on"):
        make_module(root).check_training()


def test_check_refuses_a_tree_whose_training_tracks_are_all_for_validation(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", (VALIDATION,), num_samples=500)
    with pytest.raises(ValueError, match="holds no track to train on"):
        make_module(root).check_training()


def test_check_refuses_a_missing_tree(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        make_module(tmp_path / "nowhere").check_training()


def test_check_refuses_tracks_shorter_than_a_segment_and_names_the_shortest():
    module, whole = make_module("/nowhere", segment_seconds=6.0), 6 * 44100
    long, short = fake_track("Long", whole), fake_track("Short", whole - 1)
    message = r"segment_seconds: got 6 s, but 1 of 2 tracks are shorter, .*Short has 6.00 s: take shorter segments"
    with pytest.raises(ValueError, match=message):
        holding(module, [long, short]).check_training()
    with pytest.raises(ValueError, match="2 of 2 tracks are shorter"):
        holding(module, [short, short]).check_training()
    holding(module, [long, long], valid=[short], test=[short]).check_training()


def test_data_is_prepared_once_and_only_where_there_is_none(tmp_path, write_tree):
    calls = []

    def prepare(root):
        calls.append(root)
        write_tree(root, ("Some Band - Track", VALIDATION), num_samples=500)

    for _ in range(2):
        module = make_module(tmp_path / "tree", prepare=prepare)
        module.prepare_data()
        module.prepare_data()
    assert calls == [tmp_path / "tree"]
    module.check_training()


def test_data_that_cannot_be_prepared_is_left_missing(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        make_module(tmp_path / "tree").prepare_data()
    assert not (tmp_path / "tree").exists()


def test_tracks_are_scanned_once(module, monkeypatch):
    calls, scan = [], library.scan
    monkeypatch.setattr(library, "scan", lambda *a, **k: (calls.append(a), scan(*a, **k))[1])
    for _ in range(3):
        module.check_training()
    assert len(calls) == 1
