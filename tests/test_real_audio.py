"""The whole way on real music: the excerpt of MUSDB18 that ships inside the stempeg package."""

import csv
import shutil

import museval
import norbert
import numpy as np
import pandas as pd
import pytest
import soundfile
import stempeg
import torch
import torchaudio

from unmix.data.datamodule import SeparationDataModule
from unmix.data.doctor.examination import examine_track
from unmix.data.tracks import SOURCES
from unmix.dsp.stft import Stft
from unmix.dsp.wiener import wiener
from unmix.evaluation.bss_eval import bss_eval

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


def test_streams_encoded_one_by_one_are_a_note_and_a_defect_of_their_mixture_is_an_error(real_tree, tmp_path):
    root = shutil.copytree(real_tree, tmp_path / "tree")
    defective = root / "test" / "Some - Test Track"
    stems = {stem: soundfile.read(defective / f"{stem}.wav")[0] for stem in STEMS}
    samples = np.roll(stems["mixture"] - 2 * stems["vocals"], 3, axis=0)
    soundfile.write(defective / "mixture.wav", samples, 44100, subtype="PCM_16")
    splits = SeparationDataModule(root, name="t", cache=tmp_path).splits
    good, wrong = (examine_track(track, tmp_path) for track in (*splits.train, *splits.test))
    assert good.residual_db == pytest.approx(-15.4, abs=0.1)
    notes = {finding.defect for finding in good.findings if finding.severity == "note"}
    assert {"not_a_sum", "low_pass"} <= notes
    assert [finding.what for finding in wrong.findings if finding.severity == "error"] == [
        "mixture is 3 samples later than the sum of its sources",
        "vocals is inverted in the mixture",
    ]


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


@pytest.fixture(scope="module")
def real_stems():
    """Sources of the clip, (sources, channels, samples)."""
    audio, _ = stempeg.read_stems(stempeg.example_stem_path())
    return torch.from_numpy(np.stack([audio[STEMS.index(name)].T for name in SOURCES]).astype(np.float32))


@pytest.mark.slow
def test_scores_of_real_music_are_museval_s(real_stems):
    """The clip is coded with loss, so its Gram matrix is nearly singular.

    With the mixture as estimate, SAR is what is left of rounding, some 160 dB, and no number to compare.
    """
    mixture = real_stems.sum(dim=0)
    muffled = torchaudio.functional.lowpass_biquad(real_stems, 44100, 3000)
    for estimates, metrics in ((muffled + 0.1 * mixture, 4), ((mixture / 4).expand(4, -1, -1), 3)):
        ours = bss_eval(real_stems, estimates, window=44100, hop=44100)
        axes = (stems.transpose(1, 2).double().numpy() for stems in (real_stems, estimates))
        theirs = museval.evaluate(*axes, win=44100, hop=44100)
        for one, other in list(zip((ours.sdr, ours.isr, ours.sir, ours.sar), theirs, strict=True))[:metrics]:
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-4, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [1, 2])
def test_the_wiener_filter_of_real_music_is_norbert_s(real_stems, iterations):
    stft = Stft(center=True)
    spectrograms = stft(real_stems)[None]
    noise = 0.5 + torch.rand(spectrograms.shape, generator=torch.Generator().manual_seed(0))
    magnitudes, mixture = spectrograms.abs() * noise, spectrograms.sum(dim=1)
    ours = wiener(magnitudes, mixture.to(torch.complex128), iterations=iterations)
    v, x = magnitudes[0].permute(3, 2, 1, 0).numpy(), mixture[0].permute(2, 1, 0).numpy().astype(np.complex128)
    theirs = torch.from_numpy(norbert.wiener(v, x, iterations, use_softmask=False)).permute(3, 2, 1, 0)
    assert (ours[0] - theirs).abs().max() <= 1e-6 * theirs.abs().max()


@pytest.mark.slow
def test_workers_and_either_engine_find_the_same_scores(real_tree, cli, tmp_path, trained):
    """The folder's name says what can change a score; engine and workers are not in it."""
    tables = []
    for i, options in enumerate((["evaluation.workers=2"], ["evaluation.engine=museval"])):
        out = tmp_path / str(i)
        files = ",".join(str(path) for path in trained.glob("*/checkpoints/best.ckpt"))
        data = ["data=musdb18hq", f"data.root={real_tree}", f"paths.out={out}"]
        assert cli("evaluate", f"ckpt=[{files}]", *data, *options) == 0
        (folder,) = (out / "evaluations").iterdir()
        assert not list(folder.glob(".*.f32"))
        tables.append((folder.name, pd.read_csv(folder / "scores.csv").query("method != 'mixture'")))
    assert tables[0][0] == tables[1][0]
    pd.testing.assert_frame_equal(tables[0][1], tables[1][1], rtol=0, atol=1e-4)
