"""Tables of a listening test."""

import csv
import io

import numpy as np
import pytest
from rich.console import Console

from unmix.evaluation.ratings import Rating
from unmix.reports import rated
from unmix.reports.webmushra import KeyedTrial

CONDITIONS = {"C1": "good [x]", "C2": "bad"}
KEY = {
    f"t{i}": KeyedTrial(f"song {i}", target, 0.0, CONDITIONS, {"C1": {"SDR": 8.0 + i}, "C2": {"SDR": 2.0 + i}})
    for i, target in enumerate(["vocals", "vocals", "drums"])
}
SCORES = {"reference": 100.0, "anchor70": 50.0, "anchor35": 20.0, "mixture": 10.0, "C1": 80.0, "C2": 40.0}


def votes(listener, change=0.0, reference=100.0):
    for trial in KEY:
        for condition, score in SCORES.items():
            given = reference if condition == "reference" else score + change * condition.startswith("C")
            yield Rating(listener, trial, condition, given)


def test_methods_are_named_and_sorted_and_the_excluded_do_not_count():
    done = rated.results([*votes("a"), *votes("b", 10.0), *votes("deaf", -30.0, reference=20.0)], KEY)
    assert list(done.excluded) == ["deaf"]
    assert done.num_listeners == 3
    assert list(done.means) == ["vocals", "drums", rated.ALL]
    assert list(done.means["vocals"]) == ["reference", "good [x]", "anchor70", "bad", "anchor35", "mixture"]
    mean = done.means["vocals"]["good [x]"]
    assert (mean.mean, mean.num_listeners) == (85.0, 2)
    assert mean.low < 80.0 < 90.0 < mean.high
    assert done.correlations["SDR"][rated.ALL].num_clips == 6
    assert done.correlations["SDR"]["vocals"].pearson > 0.95
    assert np.isnan(done.correlations["SDR"]["drums"].pearson), "two clips are no correlation"


def test_the_tables_read_back_with_the_same_figures():
    done = rated.results([*votes("a"), *votes("b", 10.0)], KEY)
    means = list(csv.DictReader(io.StringIO(rated.means_csv(done))))
    assert means[1] == {
        "source": "vocals",
        "method": "good [x]",
        "mean": "85.0000",
        "low": f"{done.means['vocals']['good [x]'].low:.4f}",
        "high": f"{done.means['vocals']['good [x]'].high:.4f}",
        "listeners": "2",
    }
    correlations = {row["source"]: row for row in csv.DictReader(io.StringIO(rated.correlations_csv(done)))}
    assert correlations["drums"]["pearson"] == ""
    assert float(correlations["vocals"]["spearman"]) == pytest.approx(
        done.correlations["SDR"]["vocals"].spearman, abs=1e-4
    )


@pytest.mark.parametrize("listeners", [1, 2])
def test_the_terminal_shows_means_intervals_and_agreement(listeners):
    text = io.StringIO()
    names = ["a", "b"][:listeners]
    done = rated.results([vote for name in names for vote in votes(name, 10.0 * (name == "b"))], KEY)
    rated.print_tables(done, Console(file=text, width=30))
    assert f"Mean rating of {listeners} listener" in text.getvalue()
    assert ("80.0 " if listeners == 1 else "85.0 [21.5, 148.5]") in text.getvalue()
    assert "good [x]" in text.getvalue()
    assert "- / - (2)" in text.getvalue()


def test_ratings_of_another_test_are_refused():
    with pytest.raises(ValueError, match="key: has no C3 of t0, which was rated: name the key of this test"):
        rated.results([*votes("a"), Rating("a", "t0", "C3", 1.0)], KEY)
    with pytest.raises(ValueError, match="key: has no C1 of t9"):
        rated.results([Rating("a", "t9", "C1", 1.0)], KEY)


def test_a_test_that_everyone_failed_says_so():
    with pytest.raises(ValueError, match=r"results: BS\.1534-3 excludes 1 listener, which is everyone"):
        rated.results(list(votes("deaf", reference=0.0)), KEY)
