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
SUBSET = {"moisesdb": "valid", "stems": "test"}  # MoisesDB has no test tracks


@pytest.mark.slow
@pytest.mark.parametrize("name", trees.WRITERS)
def test_a_layout_trains_evaluates_and_separates(cli, tmp_path, short_filters, name):
    root = tmp_path / name
    trees.WRITERS[name](root, trees.songs(SONGS))
    target = "speech" if name == "aligned" else "vocals"
    options = [f"data.root={root}", *trees.SETTINGS.get(name, []), f"paths.out={tmp_path / 'out'}"]
    listen = f"listen={name != 'stems'}".lower()  # its tracks are copies of one, which check.py would hear
    assert cli("check", "data=own", *options[:-1], "data.segment_seconds=0.2", listen) == 0
    assert cli("train", *TINY, *options, f"target={target}") == 0
    (experiment,) = (tmp_path / "out" / "runs").iterdir()
    subset = SUBSET.get(name, "test")
    assert (
        cli("evaluate", f"ckpt={experiment}", f"subset={subset}", "evaluation.workers=0", "evaluation.residual=true")
        == 0
    )
    (scores,) = experiment.glob("eval/*/summary.json")
    assert target in scores.read_text()
    song = next(root.rglob("*.wav"), None)
    if song is not None:
        out = tmp_path / "stems"
        assert cli("separate", f"ckpt={experiment}", f"input={song}", "residual=true", f"out={out}") == 0
        assert list(out.rglob("*.wav"))
