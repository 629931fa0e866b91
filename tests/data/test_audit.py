"""An audit measures peaks, clipping and the residual of every track, and remembers them."""

import math

import numpy as np
import pytest
import soundfile

from unmix.data import audit, pcm
from unmix.data.datamodule import SeparationDataModule


@pytest.fixture
def root(tmp_path, write_tree):
    return write_tree(tmp_path / "tree", ("A - B", "Actions - One Minute Smile"), num_samples=1000)


def measure(root, cache):
    (track,) = SeparationDataModule(root, name="t", cache=cache).splits.train
    (sound,) = audit.listen([track], cache)
    return track, sound


@pytest.mark.parametrize("block", [300, 2000])
def test_peaks_are_those_of_the_files_and_a_mixture_that_is_the_sum_has_no_residual(root, tmp_path, monkeypatch, block):
    monkeypatch.setattr(pcm, "BLOCK", block)
    track, sound = measure(root, tmp_path / "cache")
    assert sound.peaks == {stem: np.abs(pcm.read_int16(track.path(stem)).astype(int)).max() for stem in track.files}
    assert sound.num_clipped == dict.fromkeys(track.files, 0)
    assert sound.residual_db == -math.inf
    assert sound.silent() == []


def test_silence_clipping_and_a_mixture_at_half_level_are_measured(root, tmp_path):
    folder = root / "train" / "A - B"
    stems = {stem: np.zeros((1000, 2), dtype=np.int16) for stem in ("drums", "bass", "other")}
    vocals = np.full((1000, 2), 20000, dtype=np.int16)
    vocals[:3, 0] = [-32768, 32767, -32767]
    stems |= {"vocals": vocals, "mixture": vocals // 2}
    stems["bass"][5, 1] = audit.SILENCE - 1
    for stem, samples in stems.items():
        soundfile.write(folder / f"{stem}.wav", samples, 44100, subtype="PCM_16")
    _, sound = measure(root, tmp_path / "cache")
    assert sound.silent() == ["drums", "bass", "other"]
    assert sound.num_clipped["vocals"] == 3
    assert sound.residual_db == pytest.approx(0, abs=0.05)  # the missing half is as loud as the mixture


def test_a_measurement_is_remembered_until_a_file_changes(root, tmp_path, monkeypatch):
    calls, listen = [], audit._listen
    monkeypatch.setattr(audit, "_listen", lambda track: (calls.append(track), listen(track))[1])
    first = [measure(root, tmp_path / "cache")[1] for _ in range(2)]
    assert first[0] == first[1]
    assert len(calls) == 1
    bass = root / "train" / "A - B" / "bass.wav"
    soundfile.write(bass, np.zeros((1000, 2), dtype=np.int16), 44100, subtype="PCM_16")
    assert measure(root, tmp_path / "cache")[1].silent() == ["bass"]
