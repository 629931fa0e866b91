"""Every layout trains, evaluates and separates by the commands, without being named."""

import pytest

import trees

SONGS = {"train": ["Song A", "Song B"], "valid": ["Song C"], "test": ["Song D"]}
TINY = [
    "data=own",
    "data.name=tiny",
    "data.segment_seconds=0.2",
    "data.samples_per_track=2",
    "data.batch_size=2",
    "model.hidden_size=16",
    "trainer.gpus=0",
    "trainer.max_epochs=1",
    "evaluation.after_training=false",
]
TREES = {**trees.WRITERS, "parquet": trees.write_parquet}
SETTINGS = {**trees.SETTINGS, "parquet": ["data.track_weights=weight"]}


@pytest.mark.slow
def test_activity_of_a_silent_source_is_refused_before_there_is_a_run(cli, capfd, tmp_path):
    songs = trees.songs(SONGS, seconds=0.3)
    for song in songs["train"].values():
        song["bass"] *= 0
    trees.write_musdb(tmp_path / "silent", songs)
    options = [f"data.root={tmp_path / 'silent'}", f"paths.out={tmp_path / 'out'}", "target=vocals"]
    assert cli("train", *TINY, *options, "data.augmentations=[gain,activity]") == 2
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("train: ")]
    assert line.startswith("train: data.augmentations.activity: of bass, no track sounds at -60 dB or more in 0.5 of a")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", TREES)
def test_a_layout_trains_evaluates_and_separates(cli, tmp_path, short_filters, name):
    if name == "parquet":
        pytest.importorskip("pyarrow")
    root = tmp_path / name
    TREES[name](root, trees.songs(SONGS))
    target = "speech" if name == "aligned" else "vocals"
    options = [f"data.root={root}", *SETTINGS.get(name, []), f"paths.out={tmp_path / 'out'}"]
    listen = f"listen={name != 'stems'}".lower()  # its tracks are copies of one, which check.py would hear
    assert cli("check", "data=own", *options[:-1], "data.segment_seconds=0.2", listen) == 0
    assert cli("train", *TINY, *options, f"target={target}") == 0
    (experiment,) = (tmp_path / "out" / "runs").iterdir()
    subset = "valid" if name == "moisesdb" else "test"  # MoisesDB has no test tracks
    assert (
        cli("evaluate", f"ckpt={experiment}", f"subset={subset}", "evaluation.workers=0", "evaluation.residual=true")
        == 0
    )
    (scores,) = experiment.glob("eval/*/summary.json")
    assert target in scores.read_text()
    song = next(file for ending in ("wav", "mp4") for file in root.rglob(f"*.{ending}"))
    out = tmp_path / "stems"
    assert cli("separate", f"ckpt={experiment}", f"input={song}", "duration=0.5", "residual=true", f"out={out}") == 0
    assert {file.stem.rpartition(".")[2] for file in out.rglob("*.wav")} == {target, "residual"}
