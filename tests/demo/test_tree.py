"""The synthetic data set: layout, sums, determinism, and that it appears complete or not at all."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from unmix.data.tracks import MUSDB_VALIDATION_TRACKS
from unmix.demo import instruments
from unmix.demo import tree as tree_module

pytestmark = pytest.mark.slow

STEMS = ("drums", "bass", "other", "vocals")
NUM_TRACKS, SECONDS = 6, 2.5


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("demo") / "made" / "tree"
    tree_module.write_tree(root, num_tracks=NUM_TRACKS, seconds=SECONDS, seed=3)
    return root


def folders(root: Path) -> list[Path]:
    return sorted(root.glob("*/*"))


def read(path: Path) -> np.ndarray:
    """(channels, samples), int16."""
    return soundfile.read(path, dtype="int16", always_2d=True)[0].T


def contents(root: Path) -> dict[Path, bytes]:
    return {file.relative_to(root): file.read_bytes() for file in root.rglob("*.wav")}


def test_tree_holds_five_equally_long_cd_quality_files_per_track(tree: Path) -> None:
    assert len(folders(tree)) == NUM_TRACKS
    for folder in folders(tree):
        assert {file.name for file in folder.iterdir()} == {f"{name}.wav" for name in ("mixture", *STEMS)}
        for file in folder.iterdir():
            info = soundfile.info(file)
            assert (info.samplerate, info.channels, info.subtype) == (44100, 2, "PCM_16")
            assert info.frames == round(SECONDS * 44100)


def test_mixture_is_the_exact_sum_of_its_stems(tree: Path) -> None:
    for folder in folders(tree):
        total = sum(read(folder / f"{stem}.wav").astype(np.int32) for stem in STEMS)
        np.testing.assert_array_equal(read(folder / "mixture.wav"), total)


def test_mixture_peaks_near_four_fifths_of_full_scale(tree: Path) -> None:
    for folder in folders(tree):
        peak = np.abs(read(folder / "mixture.wav").astype(np.int32)).max() / 32768
        assert 0.6 < peak < 0.81  # below 0.8 where a stem alone is louder than the mixture


def test_channels_of_every_stem_differ_by_more_than_a_gain(tree: Path) -> None:
    for folder in folders(tree):
        for stem in STEMS:
            left, right = read(folder / f"{stem}.wav").astype(np.float64)
            residual = left - right * (left @ right) / (right @ right)
            assert np.linalg.norm(residual) > 1e-2 * np.linalg.norm(left), (folder.name, stem)


@pytest.mark.parametrize("seconds", [1.0, 4.0])
def test_stems_sound_in_a_third_of_the_track_or_more(seconds: float) -> None:
    for index in range(8):  # every song form occurs
        for stem, samples in tree_module.render_stems(round(seconds * 44100), seed=0, index=index).items():
            windows = np.array_split(samples, round(20 * seconds), axis=1)
            assert np.mean([window.any() for window in windows]) > 1 / 3, (index, stem)


def test_track_of_twenty_seconds_has_a_second_of_exact_silence_in_some_stem() -> None:
    stems = tree_module.render_stems(20 * 44100, seed=0, index=0)
    silences = []
    for samples in stems.values():
        sounding = np.flatnonzero(samples.any(axis=0))
        silences.append(np.diff(sounding, prepend=-1, append=samples.shape[1]).max() - 1)
    assert max(silences) >= 44100


def test_stems_are_within_3_to_12_db_below_the_mixture_on_median() -> None:
    levels = {stem: [] for stem in STEMS}
    for index in range(8):
        stems = tree_module.render_stems(4 * 44100, seed=0, index=index)
        mixture_power = np.mean(sum(samples.astype(np.float64) for samples in stems.values()) ** 2)
        for stem, samples in stems.items():
            levels[stem].append(10 * np.log10(np.mean(samples.astype(np.float64) ** 2) / mixture_power))
    for stem in STEMS:
        assert -12 < np.median(levels[stem]) < -3, stem


def test_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("second", 1), ("third", 2)):
        tree_module.write_tree(tmp_path / name, num_tracks=2, seconds=2, seed=seed)
    assert contents(tmp_path / "first") == contents(tmp_path / "second")
    first, third = contents(tmp_path / "first"), contents(tmp_path / "third")
    assert first.keys() == third.keys()
    assert all(first[path] != third[path] for path in first)


def test_track_does_not_depend_on_the_processes_that_made_the_tree(tree: Path) -> None:
    for index, track in enumerate(tree_module.plan_tracks(NUM_TRACKS)):  # the tree came from a pool, this does not
        for stem, samples in tree_module.render_stems(round(SECONDS * 44100), seed=3, index=index).items():
            np.testing.assert_array_equal(read(tree / track / f"{stem}.wav"), samples)


@pytest.mark.parametrize(
    ("num_tracks", "num_train", "num_valid", "num_test"),
    [(1, 1, 0, 0), (2, 1, 0, 1), (3, 2, 0, 1), (5, 4, 0, 1), (6, 4, 1, 1), (12, 7, 2, 3), (24, 14, 4, 6)],
)
def test_splits_follow_the_number_of_tracks(num_tracks: int, num_train: int, num_valid: int, num_test: int) -> None:
    tracks = tree_module.plan_tracks(num_tracks)
    train = [track.name for track in tracks if track.parent.name == "train"]
    test = [track.name for track in tracks if track.parent.name == "test"]
    assert [name for name in train if name in MUSDB_VALIDATION_TRACKS] == list(MUSDB_VALIDATION_TRACKS[:num_valid])
    assert (len(train), len(test)) == (num_train + num_valid, num_test)
    assert not set(test) & set(MUSDB_VALIDATION_TRACKS)


def test_tree_on_disk_is_the_planned_one(tree: Path) -> None:
    assert {folder.relative_to(tree) for folder in folders(tree)} == set(tree_module.plan_tracks(NUM_TRACKS))


def test_names_are_unique_and_at_most_14_are_for_validation() -> None:
    names = [track.name for track in tree_module.plan_tracks(1000)]
    assert len({name.lower() for name in names}) == 1000
    assert sum(name in MUSDB_VALIDATION_TRACKS for name in names) == 14


def test_second_call_leaves_the_tree_alone(tree: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in [tree, *tree.rglob("*")]}
    tree_module.write_tree(tree, num_tracks=2, seconds=1, seed=9)
    assert {path: path.stat().st_mtime_ns for path in [tree, *tree.rglob("*")]} == before


def test_crashed_build_leaves_no_root_and_the_next_call_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, vocals, calls = tmp_path / "tree", instruments.vocals, []

    def fail_in_the_second_track(*args, **kwargs):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("out of breath")
        return vocals(*args, **kwargs)

    monkeypatch.setattr(instruments, "vocals", fail_in_the_second_track)
    with pytest.raises(RuntimeError, match="out of breath"):
        tree_module.write_tree(root, num_tracks=2, seconds=1)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    tree_module.write_tree(root, num_tracks=2, seconds=1)
    assert len(contents(root)) == 10


def test_removes_what_a_killed_build_left_behind(tmp_path: Path) -> None:
    leftover = tmp_path / ".tree.partial" / "train"
    leftover.mkdir(parents=True)
    tree_module.write_tree(tmp_path / "tree", num_tracks=1, seconds=1)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["tree"]


def test_two_callers_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_track, built = tree_module._write_track, []
    monkeypatch.setattr(tree_module, "_write_track", lambda order: (built.append(order), write_track(order)))
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(tree_module.write_tree, tmp_path / "tree", num_tracks=2, seconds=1) for _ in range(2)]
    assert [call.result() for call in calls] == [None, None]
    assert len(built) == 2


@pytest.mark.parametrize("arguments", [{"num_tracks": 0}, {"seconds": 0.5}, {"seconds": float("nan")}, {"seed": -1}])
def test_refuses_impossible_numbers(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need num_tracks >= 1, seconds >= 1, seed >= 0"):
        tree_module.write_tree(tmp_path / "tree", **arguments)


def test_command_writes_the_tree_and_one_closing_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "it's, (a) tree"
    assert tree_module.main(["--tracks", "1", "--seconds", "1", "--seed", "4", str(root)]) == 0
    output = capsys.readouterr().out
    assert output.count("\n") == 1
    assert output.startswith(f"1 track in {root}: ")
    assert len(contents(root)) == 5


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--tracks", "0", "new"], "need num_tracks >= 1"),
        (["--seconds", "0.5", "new"], "seconds >= 1"),
        (["--seconds", "inf", "new"], "seconds >= 1"),
        (["--tracks", "many", "new"], "invalid int value: 'many'"),
        (["--trakcs", "3", "new"], "unrecognized arguments"),
        ([], "OUT"),
        (["there"], "there exists already"),
        (["there/file/new"], "there/file"),
    ],
)
def test_command_says_in_one_line_what_is_wrong(
    argv: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert tree_module.main(argv) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.count("\n") == 1
    assert message in output.err
