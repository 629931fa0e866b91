"""With all augmentations, batches depend neither on storage, workers and ranks nor on an interruption."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import trees
from unmix.augmentation_settings import AUGMENTATIONS
from unmix.data import store
from unmix.data.augmentations.selections import Gain, SameTrack, Swap
from unmix.data.datamodule import SeparationDataModule
from unmix.data.pcm import Header
from unmix.data.sampling import Recipe
from unmix.data.tracks import SOURCES, AudioFile, Track
from unmix.data.training_set import find_errors

ALL = [
    *(name for name in AUGMENTATIONS if name not in ("remix", "speed", "mixup", "tilt", "band_limit")),
    {"speed": {"probability": 0.5}},
    {"mixup": {"probability": 0.5}},
    {"tilt": {"probability": 0.5}},
    {"band_limit": {"probability": 0.5}},
]
NAMES = ("Some Band - Track", "Other Band - Song", "Third Band - Tune")
RATE = 8000


def write_track(folder, seconds, sounding=None, num_channels=2):
    """Write noise; of the sources in `sounding`, only between two times in seconds."""
    generator, times = np.random.default_rng(len(folder.name)), np.arange(round(seconds * RATE)) / RATE
    folder.mkdir(parents=True)
    for stem in ("mixture", *SOURCES):
        samples = generator.uniform(-0.3, 0.3, (len(times), num_channels))
        first, last = (sounding or {}).get(stem, (0, seconds))
        samples[(times < first) | (times >= last)] = 0
        soundfile.write(folder / f"{stem}.wav", samples, RATE, subtype="PCM_16")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Three tracks of 2, 3 and 4 s; the vocals of the first sound for half a second, those of the third never."""
    root = tmp_path_factory.mktemp("augmented") / "tree"
    for name, seconds, vocals in zip(NAMES, (2, 3, 4), ((1, 1.5), (0, 3), (0, 0)), strict=True):
        write_track(root / "train" / name, seconds, {"vocals": vocals})
    write_track(root / "train" / "Held Out", 1)
    return root


def make_module(root, augmentations=tuple(ALL), **changes):
    settings = {"name": "tiny", "sample_rate": RATE, "segment_seconds": 0.25, "samples_per_track": 8, "batch_size": 8}
    settings |= {"validation_tracks": ["Held Out"], "cache": root.parent / "cache", "augmentations": augmentations}
    return SeparationDataModule(root, **(settings | changes))


def sources_of(module, epoch=1):
    """Mixtures and sources of an epoch, (samples, 5, channels, samples)."""
    loader = module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return torch.cat([torch.stack([*module.on_after_batch_transfer(batch, 0).values()], dim=1) for batch in loader])


@pytest.fixture(scope="module")
def whole(tree):
    return sources_of(make_module(tree))


def as_rank(module, rank, world_size):
    module.trainer = SimpleNamespace(
        global_rank=rank,
        world_size=world_size,
        strategy=SimpleNamespace(root_device=torch.device("cpu")),
        precision_plugin=SimpleNamespace(convert_input=lambda batch: batch),
    )
    return module


def test_the_defaults_are_the_augmentations_of_umx(tree):
    module = SeparationDataModule(tree, name="tiny")
    assert module.recipe.augmentations == {"gain": Gain((0.25, 1.25)), "swap": Swap(0.5)}
    assert make_module(tree, []).recipe.augmentations == {}


def test_mixtures_are_the_sums_of_the_augmented_sources(whole):
    assert whole.shape == (24, 5, 2, 2000)
    torch.testing.assert_close(whole[:, 0], whole[:, 1:].sum(dim=1))
    assert whole.isfinite().all()


def test_batches_do_not_depend_on_the_number_of_workers(tree, whole):
    assert torch.equal(sources_of(make_module(tree, num_workers=2)), whole)


def test_batches_do_not_depend_on_where_the_stems_are(tree, whole, monkeypatch):
    monkeypatch.setattr(store, "choose", lambda *_: ("gpu", "replaced by a test"))
    assert torch.equal(sources_of(make_module(tree)), whole)


@pytest.mark.parametrize("storage", ["disk", "gpu"])
def test_every_tensor_of_a_batch_moves_to_the_device(tree, storage, monkeypatch):
    monkeypatch.setattr(store, "choose", lambda *_: (storage, "replaced by a test"))
    module = make_module(tree)
    batch = next(iter(module.train_dataloader()))
    moved = module.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert type(moved) is type(batch)
    assert {tensor.device.type for tensor in tensors(moved)} == {"meta"}
    assert len(tensors(moved)) == len(tensors(batch)) > 10


def tensors(batch):
    """All tensors within a batch."""
    if isinstance(batch, torch.Tensor):
        return [batch]
    items = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else ()
    return [tensor for item in items for tensor in tensors(item)]


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_batches_of_all_ranks_together_are_those_of_one(tree, whole, world_size):
    ranks = [sources_of(as_rank(make_module(tree), rank, world_size)) for rank in range(world_size)]
    joined = torch.stack([shares.unflatten(0, (3, 8 // world_size)) for shares in ranks], dim=1)
    assert torch.equal(joined.flatten(0, 2), whole)


def test_a_loader_that_starts_within_an_epoch_gives_its_rest(tree, whole):
    module = make_module(tree)
    module.start_at(1, 2)
    assert torch.equal(sources_of(module), whole[16:])


def test_another_epoch_is_another_draw_unless_epochs_are_repeated(tree, whole):
    assert not torch.equal(sources_of(make_module(tree), 2), whole)
    repeated = make_module(tree, repeat_epoch=True)
    assert torch.equal(sources_of(repeated, 0), sources_of(repeated, 5))


def test_every_augmentation_reaches_the_batches(tree, whole):
    for entry in ALL:
        others = make_module(tree, [item for item in ALL if item is not entry])
        assert not torch.equal(sources_of(others), whole), entry


def test_remix_takes_sources_of_some_samples_from_other_tracks(tree):
    plain, remixed = (sources_of(make_module(tree, names, random_mix=False)) for names in ([], ["remix"]))
    is_same = (plain == remixed).flatten(1).all(dim=1)
    assert 0 < is_same.sum() < len(is_same)


def test_channels_of_mono_sources_are_not_swapped(tmp_path):
    write_track(tmp_path / "tree" / "train" / "Mono", 2, num_channels=1)
    kept, swapped = (make_module(tmp_path / "tree", names, swap_probability=1) for names in ([], ["swap"]))
    assert torch.equal(sources_of(kept), sources_of(swapped))
    assert sources_of(make_module(tmp_path / "tree")).isfinite().all()


def levels_of(module, epochs=4):
    """Root mean square of every source of every sample, (samples, sources)."""
    return torch.cat([sources_of(module, epoch)[:, 1:] for epoch in range(epochs)]).square().mean(dim=(2, 3)).sqrt()


def test_activity_draws_a_source_only_where_it_sounds(tree):
    everywhere, sounding = (
        levels_of(make_module(tree, names, segment_seconds=0.75)) for names in ([], [{"activity": {"share": 0.4}}])
    )
    assert (everywhere == 0).any(dim=0).tolist() == [True, False, False, False]
    assert (sounding > 0).all()


def test_activity_that_no_track_has_is_refused_with_the_source_and_the_settings(tree):
    module = make_module(tree, [{"activity": {"threshold_db": -0.1}}])
    message = r"^data.augmentations.activity: of vocals, no track sounds at -0.1 dB or more in 0.5 of a segment: lower"
    with pytest.raises(ValueError, match=message):
        module.train_dataloader()


def tracks_of(module):
    """Shares of the tracks among the draws, (sources, tracks)."""
    draws = module.train_dataloader().dataset.draws[0, 0, 3000]
    return np.stack([np.bincount(column, minlength=3) / 3000 for column in draws.tracks.numpy().T])


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ("duration", [2 / 9, 3 / 9, 4 / 9]),
        ({"Some Band - Track": 3}, [1 / 5, 3 / 5, 1 / 5]),
        ({"Third Band - Tune": 0, "Other Band - Song": 0.5}, [1 / 3, 2 / 3, 0]),
    ],
)
@pytest.mark.parametrize("random_mix", [True, False])
def test_tracks_are_drawn_in_proportion_to_their_weights(tree, weights, expected, random_mix):
    module = make_module(tree, track_weights=weights, random_mix=random_mix, augmentations=[])
    names = [track.name for track in module.splits.train]
    if isinstance(weights, dict):
        shares = np.array([weights.get(name, 1) for name in names])
        expected = shares / shares.sum()
    else:
        expected = [expected[NAMES.index(name)] for name in names]
    np.testing.assert_allclose(tracks_of(module), np.tile(expected, (4, 1)), atol=0.035)


def test_weights_by_activity_are_the_time_that_each_source_sounds(tree):
    module = make_module(tree, track_weights="activity", augmentations=[])
    names = [track.name for track in module.splits.train]
    shares = tracks_of(module)
    assert shares[0, names.index("Third Band - Tune")] == 0
    assert shares[0, names.index("Some Band - Track")] == pytest.approx(0.5 / 3.5, abs=0.06)  # in blocks of 0.13 s
    assert shares[1, names.index("Third Band - Tune")] == pytest.approx(4 / 9, abs=0.03)


def test_weights_of_zero_are_refused_before_training(tree):
    with pytest.raises(ValueError, match=r"^data.track_weights: got 0 for all tracks, a weight above 0 is needed$"):
        make_module(tree, track_weights=dict.fromkeys(NAMES, 0)).check_training()


def test_tracks_are_drawn_in_proportion_to_a_column_of_their_table(tmp_path):
    trees.write_csv(tmp_path, trees.songs({"train": ["A", "B", "C"], "valid": ["V"]}, seconds=0.1))
    table, weights = tmp_path / "files.csv", {"A": "3", "B": "", "C": "0", "V": "-0"}

    def module_of(**changed):
        header, *rows = table.read_text().splitlines()
        given = {**weights, **changed}
        lines = [f"{row},{given[row.split(',')[2]]}" for row in rows]
        (tmp_path / "weighted.csv").write_text("\n".join([f"{header},weight", *lines]))
        options = {"layout": "csv", "validation_tracks": None, "segment_seconds": 0.05, "sample_rate": 44100}
        return make_module(tmp_path / "weighted.csv", [], track_weights="weight", **options)

    module = module_of()
    module.prepare_data()
    module.check_training()
    np.testing.assert_allclose(tracks_of(module), np.tile([3 / 4, 1 / 4, 0], (4, 1)), atol=0.035)
    assert module_of(B="2").splits.fingerprint() != module.splits.fingerprint() == module_of(B="1").splits.fingerprint()
    with pytest.raises(ValueError, match=r"^data.track_weights: got 0 for all tracks, a weight above 0 is needed$"):
        module_of(A="0", B="0").check_training()


def test_weights_that_leave_no_track_where_a_source_sounds_are_refused(tree):
    module = make_module(tree, ["activity"], track_weights=dict.fromkeys(NAMES[:2], 0))
    with pytest.raises(ValueError, match=r"^data.track_weights: of vocals, no track has a weight above 0: change the"):
        module.train_dataloader()


def test_a_weight_of_an_unknown_track_is_refused_before_training(tree):
    with pytest.raises(
        ValueError, match=r"^data.track_weights.Some Band: got 'Some Band', allowed .*did you mean 'Some"
    ):
        make_module(tree, track_weights={"Some Band": 2}).check_training()
    make_module(tree, track_weights={NAMES[0]: 2}).check_training()


def test_tracks_shorter_than_a_segment_at_the_fastest_speed_are_refused_before_training(tree):
    message = r"^data.segment_seconds: got 1.9 s \(2.09 s at the fastest speed\), but 1 of 3 tracks are shorter"
    with pytest.raises(ValueError, match=message):
        make_module(tree, ["speed"], segment_seconds=1.9).check_training()
    make_module(tree, ["gain"], segment_seconds=1.9).check_training()


def test_what_a_list_gets_wrong_is_refused_when_the_data_module_is_made(tree):
    with pytest.raises(ValueError, match=r"^data.augmentations.shift.max_seconds: got -1, allowed above 0"):
        make_module(tree, [{"shift": {"max_seconds": -1}}])
    with pytest.raises(ValueError, match=r"^data.augmentations: got same_track, which changes nothing"):
        make_module(tree, ["same_track"], random_mix=False)


def test_same_track_is_refused_when_a_track_lacks_a_source():
    files = {stem: AudioFile(Path("a.wav"), Header(RATE, 2, RATE, 44), 0) for stem in ("mixture", *SOURCES)}
    whole, part = Track("Whole", files), Track("Part", {stem: files[stem] for stem in ("mixture", "vocals")})
    recipe = Recipe(100, augmentations={"same_track": SameTrack()})
    assert not list(find_errors([whole], SOURCES, recipe, "uniform"))
    (message,) = find_errors([whole, part], SOURCES, recipe, "uniform")
    assert message == "data.augmentations: got same_track, but Part lacks sources: leave same_track out"


def test_loose_files_have_weights_and_activity_of_their_own(tmp_path):
    """Layout `sources`: two files of vocals, of which one is silent, and one file of each other source."""
    root = tmp_path / "tree"
    for split in ("train", "valid"):
        for source in SOURCES:
            (root / split / source).mkdir(parents=True)
            samples = np.random.default_rng(1).uniform(-0.3, 0.3, (2 * RATE, 2))
            soundfile.write(root / split / source / "a.wav", samples, RATE, subtype="PCM_16")
    soundfile.write(root / "train" / "vocals" / "silent.wav", np.zeros((4 * RATE, 2)), RATE, subtype="PCM_16")
    options = {"layout": "sources", "validation_tracks": None, "track_weights": "duration"}
    plain = make_module(root, [], **options)
    silent = [track.name for track in plain.splits.train if "vocals" in track.files].index("silent")
    drawn = plain.train_dataloader().dataset.draws[0, 0, 3000].tracks[:, 0]
    assert (drawn == silent).float().mean() == pytest.approx(2 / 3, abs=0.04)
    augmented = make_module(root, [item for item in ALL if item != "same_track"], **options)
    assert (sources_of(augmented)[:, 1:].square().mean(dim=(2, 3)) > 0).all()
    errors = make_module(root, ["same_track"], **options).training_errors()
    assert "data.augmentations: got same_track, but a lacks sources: leave same_track out" in errors, errors
