"""The whole way on real music: the excerpt of MUSDB18 that ships inside the stempeg package."""

import csv

import pytest
import soundfile
import stempeg

STEMS = ("mixture", "drums", "bass", "other", "vocals")  # order of the streams in a MUSDB18 file


@pytest.fixture(scope="module")
def real_tree(tmp_path_factory):
    """The clip (6.08 s) as a training track, a validation track and a test track of a MUSDB18-HQ tree."""
    root = tmp_path_factory.mktemp("musdb18hq")
    audio, rate = stempeg.read_stems(stempeg.example_stem_path())
    for folder in ("train/The Easton Ellises - Falcon 69", "train/Leaf - Summerghost", "test/Some - Test Track"):
        (root / folder).mkdir(parents=True)
        for stem, samples in zip(STEMS, audio, strict=True):
            soundfile.write(root / folder / f"{stem}.wav", samples, int(rate), subtype="PCM_16")
    return root


@pytest.mark.slow
def test_real_music_is_trained_on_evaluated_and_separated(real_tree, cli, tmp_path):
    arguments = [
        f"data.root={real_tree}",
        f"paths.out={tmp_path}",
        "data.num_workers=0",
        "data.segment_seconds=2",
        "data.batch_size=4",
        "data.samples_per_track=8",
        "model.hidden_size=32",
        "trainer.gpus=0",
        "trainer.max_steps=2",
        "evaluation.after_training=false",
        "hydra/launcher=basic",
    ]
    assert cli("train", "-m", *arguments, "target=vocals,drums,bass,other") == 0
    experiment = next((tmp_path / "runs").iterdir())
    assert cli("evaluate", f"ckpt={experiment}") == 0
    scores = list(csv.DictReader(next((experiment / "eval").glob("*/scores.csv")).open()))
    ours = {row["target"]: float(row["SDR"]) for row in scores if row["method"] != "mixture"}
    assert set(ours) == {"vocals", "drums", "bass", "other"}
    assert all(-30 < sdr < 30 for sdr in ours.values())

    song = tmp_path / "song.wav"
    song.write_bytes((real_tree / "test" / "Some - Test Track" / "mixture.wav").read_bytes())
    assert cli("separate", f"ckpt={experiment}", f"input={song}") == 0
    stems = sum(soundfile.read(tmp_path / f"song.{target}.wav")[0] for target in ours)
    # Bins that all four masks close are lost, which after two steps are a few.
    mixture = soundfile.read(song)[0]
    assert (stems - mixture).std() < 0.01 * mixture.std()
