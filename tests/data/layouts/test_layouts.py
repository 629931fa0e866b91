"""What is particular to folders of sources, aligned pairs, MoisesDB, and tracks that lack sources."""

import json
import shutil

import numpy as np
import pytest

import trees
from unmix.data import library, pcm
from unmix.data.datamodule import SeparationDataModule


def make(root, tmp_path, **options):
    given = {"root": root, "layout": "auto", "sources": trees.SOURCES, "sample_rate": 44100}
    return library.from_settings({**given, **options}, tmp_path / "cache")


def make_module(root, tmp_path, **options):
    given = {"name": "t", "layout": "auto", "segment_seconds": 0.02, "samples_per_track": 8, "batch_size": 8}
    return SeparationDataModule(root, cache=tmp_path / "cache", **{**given, **options})


@pytest.fixture
def loose(tmp_path):
    """One folder per source; there are three files of vocals and one of each other source in every split."""
    songs = trees.songs({"train": ["A", "B", "C"], "valid": ["A", "B"]}, seconds=0.1)
    trees.write_sources(tmp_path / "loose", songs)
    for source in ("drums", "bass", "other"):
        for name in ("B", "C"):
            (tmp_path / "loose" / "train" / source / f"{name} {source}.wav").unlink()
    return tmp_path / "loose"


def test_each_source_is_drawn_from_its_own_files(loose, tmp_path):
    module = make_module(loose, tmp_path)
    module.prepare_data()
    module.check_training()
    assert module.samples_per_epoch == 3 * 8
    batch = module.train_dataloader().dataset[0, 0, 8]
    draws = module.train_dataloader().dataset.draws[0, 0, 64]
    for sample in range(8):
        for position, source in enumerate(trees.SOURCES):
            files = sorted((loose / "train" / source).iterdir())
            start = int(draws.starts[sample, position])
            samples = pcm.read_int16(files[int(draws.tracks[sample, position])], start=start, num_samples=882)
            np.testing.assert_array_equal(batch.stems[sample, position], samples)
    assert set(draws.tracks[:, 0].tolist()) == {0, 1, 2}


def test_loose_files_are_validated_in_their_order_cut_to_the_shortest(loose, tmp_path):
    short = loose / "valid" / "bass" / "B bass.wav"
    trees.write(short, pcm.read_int16(short).T[:2000])
    data = make(loose, tmp_path)
    data.make()
    assert [(track.name, track.num_samples) for track in data.scan.splits.valid] == [
        ("valid mix 0001", 4410),
        ("valid mix 0002", 2000),
    ]


def test_loose_files_without_partners_are_counted(loose, tmp_path):
    (loose / "valid" / "bass" / "B bass.wav").unlink()
    data = make(loose, tmp_path)
    assert data.listing.warnings == [
        "data.root: valid has 2 of vocals, 2 of drums, 1 of bass, 2 of other: files without partners are left out"
    ]


def test_loose_files_can_only_be_mixed_at_random(loose, tmp_path):
    module = make_module(loose, tmp_path, random_mix=False)
    module.library.make()
    (error,) = module.training_errors()
    assert error.startswith("data.random_mix: got false, but 6 of 6 training tracks lack sources, such as 'A bass'")


def test_input_statistics_of_loose_files_are_those_of_their_mixtures_in_order(loose, tmp_path):
    from unmix.data import statistics

    module = make_module(loose, tmp_path)
    module.prepare_data()
    mixed = statistics.mixtures(module.splits.train, trees.SOURCES)
    assert [len(track.files) for track in mixed] == [4, 4, 4]
    assert [track.path("vocals").name[0] for track in mixed] == ["A", "B", "C"]
    assert {track.path("bass").name for track in mixed} == {"A bass.wav"}


def test_tracks_that_lack_a_source_are_trained_on_where_that_is_asked_for(tmp_path):
    root = tmp_path / "tree"
    trees.write_musdb(root, trees.songs({"train": ["A", "B"], "valid": ["C"]}, seconds=0.1))
    (root / "train" / "A" / "bass.wav").unlink()
    assert "A lacks bass.wav" in make_module(root, tmp_path).training_errors()[0]
    module = make_module(root, tmp_path, absent="skip")
    module.check_training()
    draws = module.train_dataloader().dataset.draws[0, 0, 64]
    assert set(draws.tracks[:, 2].tolist()) == {0}
    assert set(draws.tracks[:, 0].tolist()) == {0, 1}
    (root / "train" / "B" / "bass.wav").unlink()
    (error,) = make_module(root, tmp_path, absent="skip").training_errors()
    assert "no training track has bass" in error


def test_a_track_that_lacks_a_source_cannot_be_held_out(tmp_path):
    root = tmp_path / "tree"
    trees.write_musdb(root, trees.songs({"train": ["A", "B"]}, seconds=0.1))
    (root / "train" / "A" / "bass.wav").unlink()
    module = make_module(root, tmp_path, absent="skip", validation_tracks=["A"])
    assert "A lacks bass.wav" in module.training_errors()[0]


def test_silence_is_as_long_as_its_track(tmp_path):
    root = tmp_path / "tree"
    trees.write_musdb(root, trees.songs({"train": ["A", "B"], "valid": ["C"]}, seconds=0.1))
    (root / "train" / "A" / "bass.wav").unlink()
    data = make(root, tmp_path, absent="silence")
    data.make()
    samples = pcm.read_int16(data.scan.splits.train[0].path("bass"))
    assert samples.shape == (2, 4410)
    assert not samples.any()


@pytest.mark.parametrize("shape", ["folders", "tracks"])
def test_the_second_source_of_a_pair_is_the_rest_of_the_input(tmp_path, shape):
    songs = trees.songs({"train": ["A"], "test": ["B"]}, seconds=0.1)
    trees.write_aligned(tmp_path / "pairs", songs)
    if shape == "tracks":
        for file in list((tmp_path / "pairs").rglob("*.wav")):
            target = file.parents[1] / file.stem / f"{file.parent.name}.wav"
            target.parent.mkdir(exist_ok=True)
            file.rename(target)
            if not any(file.parent.iterdir()):
                file.parent.rmdir()
    data = make(tmp_path / "pairs", tmp_path, sources=("speech", "noise"), validation_tracks=["A"])
    data.make()
    assert (data.layout.name, data.scan.errors) == ("aligned", ())
    (track,) = data.scan.splits.test
    noise = sum(songs["test"]["B"].values()) - songs["test"]["B"]["vocals"]
    np.testing.assert_array_equal(pcm.read_int16(track.path("noise")), noise.T)


def test_a_pair_without_its_output_is_named(tmp_path):
    trees.write_aligned(tmp_path / "pairs", trees.songs({"train": ["A", "B"]}, seconds=0.1))
    (tmp_path / "pairs" / "train" / "clean" / "A.wav").unlink()
    data = make(tmp_path / "pairs", tmp_path, sources=("speech", "noise"), validation_tracks=["B"])
    data.make()
    (error,) = data.scan.errors
    assert "noisy/A.wav lacks speech.wav" in error


def test_aligned_pairs_need_two_sources(tmp_path):
    trees.write_aligned(tmp_path / "pairs", trees.songs({"train": ["A"]}, seconds=0.1))
    with pytest.raises(
        ValueError, match=r"data.sources: got vocals, .*; data.layout=aligned needs two, as \[speech,noise\]"
    ):
        _ = make(tmp_path / "pairs", tmp_path, layout="aligned").entries


@pytest.fixture
def moises(tmp_path):
    trees.write_moisesdb(tmp_path / "moises", trees.songs({"train": ["A", "B"]}, seconds=0.1))
    return tmp_path / "moises"


def test_recordings_of_moisesdb_are_summed_and_padded_to_the_longest(moises, tmp_path):
    folder = moises / "moisesdb_v0.1" / "A-0"
    short = folder / "vocals" / "a.wav"
    trees.write(short, pcm.read_int16(short).T[:1000])
    data = make(moises, tmp_path, other="rest", validation_tracks=["Band - B"])
    data.make()
    (track,) = data.scan.splits.train
    assert (track.name, data.scan.errors, data.scan.warnings) == ("Band - A", (), ())
    expected = pcm.read_int16(folder / "vocals" / "b.wav")
    expected[:, :1000] += pcm.read_int16(short)
    np.testing.assert_array_equal(pcm.read_int16(track.path("vocals")), expected)
    guitar = sum(pcm.read_int16(folder / "guitar" / f"{part}.wav") for part in "ab")
    np.testing.assert_array_equal(pcm.read_int16(track.path("other")), guitar)


def test_stems_of_moisesdb_that_no_source_has_are_noted(moises, tmp_path):
    data = make(moises, tmp_path, sources=("vocals", "drums"), validation_tracks=["Band - B"])
    assert data.listing.warnings == [
        "data.root: 8 files belong to no source, such as 'bass/a.wav' of Band - A: mixtures go without; "
        "data.rename names them, data.other=rest sums them"
    ]


@pytest.mark.parametrize("content", ["{", "{}", '{"song": "A", "artist": "B", "stems": 3}'])
def test_a_description_of_another_kind_is_refused(moises, tmp_path, content):
    (moises / "moisesdb_v0.1" / "A-0" / "data.json").write_text(content)
    with pytest.raises(ValueError, match=r"data.json is not a description of MoisesDB .*: fetch it again"):
        _ = make(moises, tmp_path).entries


def test_two_tracks_of_the_same_name_are_refused(moises, tmp_path):
    path = moises / "moisesdb_v0.1" / "B-1" / "data.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"song": "A"}))
    assert (
        make(moises, tmp_path, other="rest", validation_share=0.99)
        .listing.errors[0]
        .startswith("data.root: two tracks of ")
    )


def test_a_copy_of_a_training_track_among_test_tracks_is_refused(tmp_path, write_tree):
    root = write_tree(tmp_path / "tree", ("A", "B"), ("C",), num_samples=500)
    shutil.copytree(root / "train" / "B", root / "test" / "B")
    (error,) = make(root, tmp_path, validation_tracks=["A"]).scan.errors
    assert error == "data.root: track 'B' is in train and in test: remove it from one of them"


def test_a_sum_beyond_full_scale_is_kept_and_said(tmp_path, caplog):
    root = tmp_path / "tree"
    for source in trees.SOURCES:
        trees.write(root / "train" / "A" / f"{source}.wav", np.full((500, 2), 20000, np.int16))
    data = make(root, tmp_path, validation_tracks=["A"])
    data.make()
    (track,) = data.scan.splits.valid
    assert "A: mixture reaches 2.44 of full scale as a sum; the file is kept as float" in caplog.text
    np.testing.assert_allclose(pcm.read_float(track.path("mixture")), 80000 / 32768)


def test_stems_are_built_once_and_anew_when_a_file_changes(tmp_path):
    root = tmp_path / "tree"
    songs = trees.songs({"train": ["A"]}, seconds=0.1)
    for source, samples in songs["train"]["A"].items():
        trees.write(root / "train" / "A" / f"{source}.wav", samples)
    first = make(root, tmp_path, validation_tracks=["A"])
    assert not first.is_prepared
    first.make()
    built = first.scan.splits.valid[0].path("mixture")
    before = built.stat().st_mtime_ns
    again = make(root, tmp_path, validation_tracks=["A"])
    assert again.is_prepared
    again.make()
    assert built.stat().st_mtime_ns == before
    trees.write(root / "train" / "A" / "bass.wav", 2 * songs["train"]["A"]["bass"][:4000])
    assert not make(root, tmp_path, validation_tracks=["A"]).is_prepared


def test_files_of_another_rate_are_refused_with_the_command_that_resamples(tmp_path):
    root = tmp_path / "tree"
    for source, samples in trees.stems(0, seconds=0.1).items():
        trees.write(root / "train" / "A" / f"{source}.wav", samples, 48000)
    data = make(root, tmp_path, validation_tracks=["A"])
    data.make()
    (error,) = data.scan.errors
    assert "vocals.wav has 48000 Hz, data.sample_rate is 44100: set data.sample_rate, or resample" in error
    assert "src/prepare.py" in error


def test_what_is_wrong_is_said_before_anything_is_built(tmp_path):
    root = tmp_path / "tree"
    trees.write_tracks(root, trees.songs({"train": ["A", "B"], "valid": ["C"]}, seconds=0.05))
    rules = {"rename": {"vocals": ["*vox*"], "drums": ["kit"], "bass": ["bs"]}, "other": "rest"}
    make(root, tmp_path, **rules).check_files()
    (root / "train" / "A" / "Kit.wav").unlink()
    with pytest.raises(ValueError, match=r"A lacks drums .*name the files, as data.rename.drums=\[...\], or set"):
        make(root, tmp_path, **rules).check_files()
    with pytest.raises(ValueError, match=r"44100 Hz, data.sample_rate is 22050"):
        make(root, tmp_path, **rules, absent="silence", sample_rate=22050).check_files()
    assert not (tmp_path / "cache" / "built").exists()


ALBUMS = ("Ann/First/Song", "Ann/Second/Song", "Bob/Song", "Single")


def write_albums(root, paths):
    for index, path in enumerate(paths):
        trees.write_musdb(root / path, {"": {"": trees.stems(index, seconds=0.05)}})


@pytest.mark.parametrize("split", ["", "train"])
@pytest.mark.parametrize("lacks", ["", "mixture.wav"])
def test_tracks_in_folders_of_artists_and_albums_are_named_after_these(tmp_path, split, lacks):
    write_albums(tmp_path / "music" / split, ALBUMS)
    if lacks:
        for path in (tmp_path / "music").rglob(lacks):
            path.unlink()
    data = make(tmp_path / "music", tmp_path, validation_tracks=["Single"])
    data.make()
    assert data.layout.name == ("musdb" if split and not lacks else "tracks")
    assert [track.name for track in data.scan.splits.train] == [
        "Ann - First - Song",
        "Ann - Second - Song",
        "Bob - Song",
    ]
    assert [track.name for track in data.scan.splits.valid] == ["Single"]
    np.testing.assert_array_equal(
        pcm.read_int16(data.scan.splits.train[1].path("vocals")).T, trees.stems(1, seconds=0.05)["vocals"]
    )


def test_two_albums_that_give_the_same_name_are_refused(tmp_path):
    write_albums(tmp_path / "music", ["Ann - First/Song", "Ann/First - Song", "Bob/Song"])
    data = make(tmp_path / "music", tmp_path, validation_tracks=["Bob - Song"])
    assert data.listing.errors == ["data.root: two tracks of train are named 'Ann - First - Song': rename one"]


def test_splits_below_the_root_are_never_read_as_albums(tmp_path):
    write_albums(tmp_path / "high", ["musdb/train/A", "musdb/test/B", "more/C"])
    assert [entry.name for entry in make(tmp_path / "high", tmp_path, validation_tracks=["more - C"]).entries] == [
        "more - C"
    ]
