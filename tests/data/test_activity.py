"""Levels tell where a source sounds, are computed once, and say where segments may start."""

import numpy as np
import pytest
import soundfile

from unmix.data import activity
from unmix.data.activity import BLOCK, compute, find_starts, load_or_compute
from unmix.data.datamodule import SeparationDataModule


def write(path, samples):
    soundfile.write(path, np.round(samples * 32768).astype(np.int16), 44100)
    return path


def test_levels_are_those_of_each_block_over_all_channels(tmp_path):
    half, silence = np.full(BLOCK, 0.5), np.zeros(BLOCK)
    left, right = np.concatenate([half, silence, half[:512]]), np.concatenate([half, silence, silence[:512]])
    levels = compute(write(tmp_path / "a.wav", np.stack([left, right], axis=1)))
    np.testing.assert_allclose(levels, [-6.02, -np.inf, -9.03], atol=0.01)
    assert levels.dtype == np.float32


@pytest.mark.parametrize(("share", "expected"), [(0.01, [1, 2, 3]), (0.5, [1, 2, 3]), (0.51, [2]), (1.0, [2])])
def test_a_segment_may_start_where_enough_of_its_blocks_sound(share, expected):
    levels = np.array([-90, -90, -10, -60, -61, -90], dtype=np.float32)
    starts = find_starts([levels], np.array([6 * BLOCK]), 2 * BLOCK, threshold_db=-60, share=share)
    assert starts.blocks.tolist() == expected
    assert starts.counts.tolist() == [len(expected)]


def test_the_last_start_leaves_room_for_a_segment():
    starts = find_starts([np.zeros(4)], np.array([3 * BLOCK + 10]), 2 * BLOCK, threshold_db=-60, share=0.5)
    assert starts.blocks.tolist() == [0, 1]


def test_positions_of_all_tracks_stand_one_after_the_other():
    loud, quiet = np.zeros(3, dtype=np.float32), np.full(3, -90, dtype=np.float32)
    lengths = np.array([3 * BLOCK] * 3)
    starts = find_starts([loud, quiet, loud], lengths, BLOCK, threshold_db=-60, share=0.5)
    assert starts.counts.tolist() == [3, 0, 3]
    assert starts.blocks.tolist() == [0, 1, 2, 0, 1, 2]
    for track in (0, 2):
        drawn = starts.draw(np.full(3, track), np.array([0.0, 0.5, 0.99]))
        assert drawn.tolist() == [0, int(1.5 * BLOCK), int(2.97 * BLOCK)]


def test_levels_are_computed_once_for_the_same_files(musdb_tree, tmp_path, monkeypatch):
    tracks = SeparationDataModule(musdb_tree, name="tiny").splits.train
    levels = load_or_compute(tracks, "bass", tmp_path)
    assert all(map(np.array_equal, levels, [compute(track.path("bass")) for track in tracks]))
    monkeypatch.setattr(activity, "compute", None)
    assert all(map(np.array_equal, levels, load_or_compute(tracks, "bass", tmp_path)))
    with pytest.raises(TypeError):
        load_or_compute(tracks[:1], "bass", tmp_path)
