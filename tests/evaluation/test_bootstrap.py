"""Intervals of scores over tracks."""

import math

import numpy as np
import pytest
from scipy import stats

from unmix.evaluation import bootstrap

SCORES = np.random.default_rng(2).normal(5, 2, (3, 20))


@pytest.mark.parametrize(("over_tracks", "average"), [("median", np.median), ("mean", np.mean)])
def test_the_interval_of_a_score_is_scipys_percentile_bootstrap_over_tracks(over_tracks, average):
    expected = stats.bootstrap(
        (SCORES[0],), average, n_resamples=1999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    found = bootstrap.score_interval(SCORES[:1], over_tracks)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_sources_are_averaged_over_the_same_tracks():
    opposite = np.stack([SCORES[0], -SCORES[0]])
    assert bootstrap.score_interval(opposite, "mean") == pytest.approx((0, 0), abs=1e-12)


def test_tracks_without_a_score_of_any_source_are_left_out():
    damaged = SCORES.copy()
    damaged[1, 4], damaged[2, 7] = math.nan, math.inf
    assert bootstrap.score_interval(damaged, "median") == bootstrap.score_interval(
        np.delete(SCORES, [4, 7], axis=1), "median"
    )


def test_one_track_has_no_interval():
    assert bootstrap.score_interval(SCORES[:, :1], "mean") is None
    assert bootstrap.score_interval(np.full((1, 5), math.nan), "mean") is None


def test_the_same_numbers_of_items_are_drawn_once_and_cannot_be_changed():
    tracks, runs = bootstrap.drawn(20, 3)
    assert bootstrap.drawn(20, 3)[0] is tracks
    assert (tracks.shape, runs.shape) == ((1999, 20), (1999, 3))
    with pytest.raises(ValueError, match="read-only"):
        tracks[0, 0] = 1
