"""Ratings of listening tests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from unmix.evaluation import ratings
from unmix.evaluation.ratings import Rating

WEBMUSHRA = "session_test_id,email,session_uuid,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n"
PYMUSHRA = "questionaire_uuid;wm_id;wm_type;responses_stimulus;responses_score\n"


def write(tmp_path, text):
    path = tmp_path / "mushra.csv"
    path.write_text(text)
    return path


def test_both_kinds_of_file_are_read(tmp_path):
    expected = [Rating("u1", "t01", "reference", 100.0), Rating("u1", "t01", "C1", 42.5)]
    webmushra = WEBMUSHRA + 'band,"a, b",u1,t01,reference,100,9,\nband,,u1,t01,C1,42.5,9,"good; ""nice"""\n'
    pymushra = PYMUSHRA + "u1;t01;mushra;reference;100\nu1;t02;paired_comparison;C1;\nu1;t01;mushra;C1;42.5\n"
    assert ratings.read(write(tmp_path, webmushra)) == expected
    assert ratings.read(write(tmp_path, pymushra)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", " is not a file of MUSHRA ratings: its first line must name the columns session_uuid, trial_id"),
        ("track,target,SDR\na,b,1\n", " is not a file of MUSHRA ratings"),
        ("session_uuid,trial_id\nu,t\n", " is not a file of MUSHRA ratings"),
        (WEBMUSHRA, " has no rating"),
        (WEBMUSHRA + "b,,u1,t01,C1,101,9,\n", ", line 2: score: got '101', allowed 0 to 100"),
        (WEBMUSHRA + "b,,u1,t01,C1,,9,\n", ", line 2: score: got '', allowed 0 to 100"),
        (WEBMUSHRA + "b,,u1,t01,C1,nan,9,\n", ", line 2: score: got 'nan', allowed 0 to 100"),
        (WEBMUSHRA + "b,,u1\n", ", line 2: listener, trial and condition must not be empty"),
        (WEBMUSHRA + 2 * "b,,u1,t01,C1,5,9,\n", ", line 3: listener u1 rates C1 of t01 twice"),
    ],
)
def test_a_corrupt_file_is_named_with_its_line(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(ValueError, match=f"results: {path}{message}".replace("(", r"\(")):
        ratings.read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "mushra.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="is not a text file"):
        ratings.read(path)


def session(listener, references, anchors=None):
    anchors = anchors or [50.0] * len(references)
    for i, (reference, anchor) in enumerate(zip(references, anchors, strict=True)):
        yield Rating(listener, f"t{i}", "reference", reference)
        yield Rating(listener, f"t{i}", "anchor70", anchor)


def test_who_misses_the_hidden_reference_in_more_than_15_percent_of_the_trials_is_excluded():
    keen = session("keen", [100.0] * 17 + [89.0] * 3)  # 15 %
    deaf = session("deaf", [100.0] * 16 + [89.0] * 4)  # 20 %
    exact = session("exact", [90.0] * 20)
    assert ratings.excluded([*keen, *deaf, *exact]) == {
        "deaf": "rated the hidden reference below 90 in 20% of the trials"
    }


def test_who_takes_the_middle_anchor_for_excellent_is_excluded_unless_a_quarter_does_so():
    others = [rating for i in range(4) for rating in session(f"o{i}", [100.0] * 4)]
    kind = list(session("kind", [100.0] * 4, [91.0, 50.0, 50.0, 50.0]))
    assert ratings.excluded([*others, *kind]) == {"kind": "rated the middle anchor above 90 in 25% of the trials"}
    second = list(session("second", [100.0] * 4, [91.0, 90.0, 50.0, 50.0]))
    assert ratings.excluded([*others, *kind, *second]) == {}, "a third of all finds the anchor of t0 excellent"


def test_the_interval_counts_each_listener_once():
    scores = {"a": [60.0, 70.0], "b": [50.0, 60.0], "c": [80.0, 80.0]}
    given_ratings = [Rating(who, f"t{i}", "C1", score) for who, pair in scores.items() for i, score in enumerate(pair)]
    mean = ratings.mean(given_ratings)
    low, high = stats.t.interval(0.95, 2, np.mean([65, 55, 80]), stats.sem([65, 55, 80]))
    assert (mean.mean, mean.num_listeners) == (pytest.approx(200 / 3), 3)
    assert (mean.low, mean.high) == (pytest.approx(low), pytest.approx(high))
    alone = ratings.mean(given_ratings[:2])
    assert alone.mean == 65.0
    assert np.isnan([alone.low, alone.high]).all()


@given(st.lists(st.floats(-20, 20), min_size=3, max_size=8, unique=True))
def test_ratings_in_the_order_of_a_metric_have_rank_correlation_1(values):
    metric = {("t", f"C{i}"): value for i, value in enumerate(values)}
    order = sorted(metric, key=metric.__getitem__)
    heard = [Rating("a", *clip, 10.0 * i) for i, clip in enumerate(order)]
    result = ratings.correlate(metric | {("t", "unheard"): 1.0, ("t", "C0b"): np.nan}, heard)
    assert result.spearman == pytest.approx(1.0)
    assert result.num_clips == len(values)


def test_a_linear_metric_has_correlation_1_and_a_constant_one_none():
    heard = [Rating("a", "t", f"C{i}", 10.0 * i) for i in range(4)]
    assert ratings.correlate({("t", f"C{i}"): 3.0 - i for i in range(4)}, heard).pearson == pytest.approx(-1.0)
    assert np.isnan(ratings.correlate({("t", f"C{i}"): 3.0 for i in range(4)}, heard).pearson)
    assert np.isnan(ratings.correlate({("t", f"C{i}"): float(i) for i in range(2)}, heard).pearson)
