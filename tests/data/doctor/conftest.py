"""Four seconds of synthetic music, into which the tests of the doctor put defects."""

import numpy as np
import pytest
import soundfile

from unmix.data.datamodule import SeparationDataModule
from unmix.data.doctor.examination import examine, examine_track
from unmix.demo.tree import render_stems

RATE, SECONDS = 44100, 4
SOURCES = ("vocals", "drums", "bass", "other")


@pytest.fixture(scope="session")
def music():
    """Sources of two songs, name -> (samples, channels), float64 in int16 steps; all of them play at two seconds."""
    songs = []
    for index in (0, 1):
        stems = render_stems(12 * RATE, seed=3, index=index)
        songs.append(
            {name: samples.T[6 * RATE : (6 + SECONDS) * RATE].astype(float) for name, samples in stems.items()}
        )
    return songs


def write(folder, stems, mixture=None):
    """Write a track; without a mixture it is the sum of what was written."""
    folder.mkdir(parents=True)
    integers = {name: np.rint(samples).clip(-32768, 32767).astype(np.int16) for name, samples in stems.items()}
    total = sum(samples.astype(float) for samples in integers.values()) if mixture is None else mixture
    integers["mixture"] = np.rint(total).clip(-32768, 32767).astype(np.int16)
    for name, samples in integers.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="PCM_16")


@pytest.fixture
def findings(tmp_path, music):
    """Findings of a song of which one file was changed: alone, or the mixture with it."""

    def run(stem, change, *, summed=False):
        stems = dict(music[0])
        mixture = sum(stems.values())
        if stem == "mixture":
            mixture = change(mixture)
        else:
            stems[stem] = change(stems[stem])
        write(tmp_path / "tree" / "train" / "A - B", stems, None if summed else mixture)
        (track,) = SeparationDataModule(
            tmp_path / "tree", name="t", validation_tracks=["x"], cache=tmp_path
        ).splits.train
        return list(examine_track(track, tmp_path / "cache").findings)

    return run


@pytest.fixture
def compared(tmp_path):
    """Findings of several songs, folder below the root -> (stems, mixture or None)."""

    def run(songs):
        for folder, (stems, mixture) in songs.items():
            write(tmp_path / "tree" / folder, stems, mixture)
        library = SeparationDataModule(tmp_path / "tree", name="t", validation_tracks=["x"], cache=tmp_path).library
        return examine(library.scan.splits, tmp_path / "cache")[0]

    return run
