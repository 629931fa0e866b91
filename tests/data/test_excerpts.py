"""Tracks are drawn in proportion to their weights, and segments from where they may start."""

import numpy as np
import pytest

from unmix.data.activity import BLOCK, Starts
from unmix.data.excerpts import Excerpts

LENGTHS = np.array([100, 200, 10 * BLOCK])
BOTH = [LENGTHS, LENGTHS]
ALMOST_ONE = np.nextafter(1.0, 0.0)


def numbers(count, num_sources=2, seed=0):
    return np.random.default_rng(seed).random((2, count, num_sources))


def shares(tracks):
    return np.stack([np.bincount(column, minlength=3) / len(tracks) for column in tracks.T])


def test_tracks_are_drawn_in_proportion_to_the_weights_of_each_source():
    weights = [np.array([1.0, 2.0, 1.0]), np.array([0.0, 0.0, 3.0])]
    tracks, starts = Excerpts(BOTH, 100, weights).draw(*numbers(4000))
    np.testing.assert_allclose(shares(tracks), [[0.25, 0.5, 0.25], [0, 0, 1]], atol=0.03)
    assert (starts >= 0).all()
    assert (starts <= LENGTHS[tracks] - 100).all()


@pytest.mark.parametrize("number", [0.0, 0.25, 0.5, ALMOST_ONE])
def test_a_track_of_weight_zero_is_never_drawn(number):
    weights = [np.array([0.0, 1.0, 0.0])]
    tracks, _ = Excerpts([LENGTHS], 100, weights).draw(*np.full((2, 1, 1), number))
    assert tracks.tolist() == [[1]]


def test_equal_weights_draw_as_none_do():
    track, start = numbers(500)
    plain, weighted = Excerpts(BOTH, 100), Excerpts(BOTH, 100, [np.full(3, 0.7)] * 2)
    for values, same in zip(plain.draw(track, start), weighted.draw(track, start), strict=True):
        np.testing.assert_array_equal(values, same)


def test_sources_of_one_moment_share_a_track_drawn_by_the_sum_of_their_weights():
    weights = [np.array([1.0, 0.0, 1.0]), np.array([0.0, 2.0, 0.0])]
    tracks, starts = Excerpts(BOTH, 100, weights).draw_together(*numbers(4000))
    np.testing.assert_array_equal(tracks[:, 0], tracks[:, 1])
    np.testing.assert_array_equal(starts[:, 0], starts[:, 1])
    np.testing.assert_allclose(shares(tracks)[0], [0.25, 0.5, 0.25], atol=0.03)


def test_segments_start_in_the_allowed_blocks_and_tracks_without_any_are_left_out():
    starts = [Starts(np.array([2, 5]), np.array([0, 0, 2])), Starts(np.array([0]), np.array([1, 0, 0]))]
    tracks, positions = Excerpts(BOTH, 100, starts=starts).draw(*numbers(4000))
    assert set(tracks[:, 0]) == {2}
    assert set(tracks[:, 1]) == {0}
    assert set(positions[:, 0] // BLOCK) == {2, 5}
    assert (positions[:, 0] // BLOCK == 2).mean() == pytest.approx(0.5, abs=0.03)
    assert len(set(positions[:, 0] % BLOCK)) > 1000
    assert not positions[:, 1].any()  # the track is as long as a segment


def test_weights_count_among_the_tracks_that_have_an_allowed_block():
    starts = [Starts(np.array([0, 0]), np.array([1, 1, 0]))]
    tracks, _ = Excerpts([LENGTHS], 100, [np.array([1.0, 3.0, 6.0])], starts).draw(*numbers(4000, 1))
    np.testing.assert_allclose(shares(tracks)[0], [0.25, 0.75, 0], atol=0.03)


def test_last_start_of_a_longer_excerpt():
    excerpts, tracks = Excerpts(BOTH, 100), np.array([[1, 2]])
    assert excerpts.last_start(tracks).tolist() == [[100, 10 * BLOCK - 100]]
    assert excerpts.last_start(tracks, 150).tolist() == [[50, 10 * BLOCK - 150]]


def test_each_source_is_drawn_of_its_own_tracks():
    excerpts = Excerpts([np.array([100]), np.array([100, 300, 200])], 100)
    tracks, starts = excerpts.draw(*numbers(500))
    assert set(tracks[:, 0]) == {0}
    assert set(tracks[:, 1]) == {0, 1, 2}
    assert (starts <= excerpts.last_start(tracks)).all()
    assert starts[:, 1].max() > 150
