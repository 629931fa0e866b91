"""Differences between methods: how large, how sure, and in which words."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from unmix.evaluation import published, statistics
from unmix.evaluation.metrics import BSS_EVAL, USDR, Definition
from unmix.evaluation.scores import TrackScore

PEAK = Definition("peak", "largest error", unit="", better="low")
TARGETS = ("vocals", "accompaniment", "drums", "bass", "other")
# Friedman's chi-squared as printed in SiSEC 2018's notebook; our scores have three decimals, so that some are equal
FRIEDMAN = {
    "vocals": 1386.6372580645166,
    "accompaniment": 1167.5993650793653,
    "drums": 858.86961038961,
    "bass": 731.9675835735994,
    "other": 833.9625974025976,
}


def published_significance():
    """Published classes of significance: target -> (method, other method) -> `3`, `2`, `1` or `-`."""
    tables, methods = {}, []
    for line in (Path(__file__).parent / "sisec18_significance.txt").read_text().splitlines():
        if line.startswith("["):
            table, methods = tables.setdefault(line.strip("[]"), {}), []
        elif not line.startswith("#"):
            name, classes = line[:5].strip(), line[5:]
            table.update({(other, name): kind for other, kind in zip(methods, classes, strict=True)})
            methods.append(name)
    return tables


SIGNIFICANCE = published_significance()


def scores_of(target):
    return {name: list(runs[0].values()) for name, runs in statistics.runs_of(published.sisec18(), target).items()}


def vocals_of(*names):
    methods = statistics.runs_of(published.sisec18(), "vocals")
    return {name: methods[name] for name in names}


def conover_iman(groups):
    """P-values of all pairs by Conover and Iman's test on ranks, as scikit-posthocs computes them: (groups, groups)."""
    values = np.concatenate(groups)
    ranks, count = stats.rankdata(values), len(values)
    variance = (np.sum(ranks**2) - count * (count + 1) ** 2 / 4) / (count - 1)
    spread = (count - 1 - stats.kruskal(*groups).statistic) / (count - len(groups))
    means = ranks.reshape(len(groups), -1).mean(axis=1)
    t = np.abs(means[:, None] - means) / np.sqrt(variance * spread * 2 * len(groups) / count)
    return 2 * stats.t.sf(t, count - len(groups))


def class_of(p_value):
    return next((kind for kind, bound in (("3", 0.001), ("2", 0.01), ("1", 0.05)) if p_value < bound), "-")


def runs(*scores):
    return [dict(zip("abcdefghijklmnopqrstuvwxyz", of_run, strict=False)) for of_run in scores]


@pytest.mark.parametrize("target", TARGETS)
def test_the_published_tables_of_significance_of_sisec_2018_come_out_of_the_shipped_scores(target):
    scores = scores_of(target)
    names = list(scores)
    p_values = conover_iman([scores[name] for name in names])
    ours = {pair: class_of(p_values[names.index(pair[0]), names.index(pair[1])]) for pair in SIGNIFICANCE[target]}
    assert len(ours) == len(names) * (len(names) - 1) // 2
    assert ours == SIGNIFICANCE[target]


@pytest.mark.parametrize("target", TARGETS)
def test_friedmans_test_gives_the_published_value(target):
    scores = scores_of(target).values()
    assert stats.friedmanchisquare(*scores).statistic == pytest.approx(FRIEDMAN[target], rel=3e-4)


def test_paired_comparison_shows_every_difference_that_sisec_2018_calls_certain_and_more():
    methods = statistics.runs_of(published.sisec18(), "bass")
    shown = {(pair.first, pair.second): pair.is_shown for pair in statistics.compare(methods)}
    by_class = {kind: [] for kind in "321-"}
    for (first, second), kind in SIGNIFICANCE["bass"].items():
        by_class[kind].append(shown.get((first, second), shown.get((second, first))))
    assert all(by_class["3"])
    assert 0 < sum(by_class["-"]) < len(by_class["-"])  # not everything


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [  # R's p.adjust(..., "holm")
        ([0.01, 0.02, 0.03, 0.04], [0.04, 0.06, 0.06, 0.06]),
        ([0.04, 0.01, 0.03, 0.005], [0.06, 0.03, 0.06, 0.02]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.03], [0.03]),
        ([0.01, 0.01], [0.02, 0.02]),
        ([], []),
    ],
)
def test_holms_correction_gives_known_values_in_the_given_order(p_values, expected):
    assert statistics.holm(p_values) == pytest.approx(expected)


def test_a_clear_difference_is_said_with_its_interval_and_certainty():
    better = [5 + 0.1 * i for i in range(12)]
    (pair,) = statistics.compare({"A": runs([b - 0.5 + 0.01 * i for i, b in enumerate(better)]), "B": runs(better)})
    assert pair.difference == pytest.approx(-0.445)
    assert pair.p_value == pair.uncorrected == pytest.approx(2 / 2**12)
    assert pair.in_words() == "B is 0.45 dB better than A (95 % interval 0.42 to 0.48, p < 0.001, 12 tracks)"


def test_the_interval_is_scipys_paired_percentile_bootstrap_of_the_median():
    scores = scores_of("vocals")
    first, second = np.array(scores["UHL2"]), np.array(scores["TAK1"])
    (pair,) = statistics.compare(vocals_of("UHL2", "TAK1"))
    expected = stats.bootstrap(
        (first - second,), np.median, n_resamples=1999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert pair.interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert pair.uncorrected == pytest.approx(stats.wilcoxon(first, second).pvalue)


def test_methods_that_differ_by_chance_have_no_difference_shown():
    rng = np.random.default_rng(1)
    scores = rng.normal(5, 2, 20)
    (pair,) = statistics.compare({"A": runs(scores), "B": runs(scores + rng.normal(0, 1, 20))})
    assert not pair.is_shown
    assert pair.in_words().startswith("no difference shown between ")
    assert "95 % interval -" in pair.in_words()
    assert pair.in_words().endswith("20 tracks)")


def test_a_method_does_not_differ_from_itself():
    (pair,) = statistics.compare({"A": runs([1.0, 2.0, 3.0]), "B": runs([1.0, 2.0, 3.0])})
    assert (pair.difference, pair.interval, pair.p_value, pair.is_shown) == (0, (0, 0), 1.0, False)


def test_one_track_has_neither_interval_nor_test():
    (pair,) = statistics.compare({"A": runs([5.42]), "B": runs([5.0])})
    assert (pair.interval, pair.p_value) == (None, None)
    assert pair.in_words() == "no difference shown between A and B (A ahead by 0.42 dB, 1 track, no interval)"


def test_few_tracks_are_said_to_be_too_few():
    (pair,) = statistics.compare({"A": runs([2.0, 3.0, 4.0, 5.0, 6.0]), "B": runs([1.0, 2.1, 3.2, 4.3, 5.4])})
    assert not pair.is_shown
    assert pair.in_words().endswith("p = 0.06, 5 tracks, too few to show one in 1 pair)")


def test_more_pairs_need_more_tracks():
    methods = {name: runs([offset + 1.1**i for i in range(6)]) for offset, name in enumerate("ABC")}
    two_methods = statistics.compare({name: methods[name] for name in "AB"})
    assert [pair.can_be_shown for pair in two_methods] == [True]
    assert [pair.can_be_shown for pair in statistics.compare(methods)] == [False] * 3


def test_tracks_without_a_score_in_either_method_are_left_out_and_counted():
    nan, inf = math.nan, math.inf
    first = {"a": 1.0, "b": nan, "c": 3.0, "d": 4.0, "e": inf, "only first": 1.0}
    second = {"a": 0.5, "b": 1.0, "c": nan, "d": 3.0, "e": 1.0}
    (pair,) = statistics.compare({"A": [first], "B": [second]})
    assert pair.tracks == 2
    assert pair.left_out == ("b", "c", "e", "only first")
    assert "2 tracks, too few to show one in 1 pair, 4 without a score left out)" in pair.in_words()


def test_methods_without_a_common_score_are_not_compared():
    (pair,) = statistics.compare({"A": runs([math.nan] * 3), "B": runs([1.0, 2.0, 3.0])})
    assert math.isnan(pair.difference)
    expected = "no difference shown between A and B (0 tracks, no interval, 3 without a score left out)"
    assert pair.in_words() == expected


def test_pairs_without_a_test_do_not_count_in_the_correction():
    methods = {"A": runs([2.0 + 0.1 * i for i in range(9)]), "B": runs([1.0 + 0.2 * i for i in range(9)])}
    alone = statistics.compare(methods)[0]
    beside = statistics.compare(methods | {"C": runs([math.nan] * 9)})
    assert [pair.p_value for pair in beside] == [alone.uncorrected, None, None]


def test_seeds_widen_the_interval_and_the_test_takes_their_means():
    rng = np.random.default_rng(3)
    tracks = rng.normal(5, 2, 20)
    own = [tracks + offset + rng.normal(0, 0.05, 20) for offset in (0.1, 0.5, 0.9)]  # seeds differ more than tracks
    other = tracks - 0.2
    (seeds,) = statistics.compare({"A": runs(*own), "B": runs(other)})
    (means,) = statistics.compare({"A": runs(np.mean(own, axis=0)), "B": runs(other)})
    assert (seeds.runs, means.runs) == ((3, 1), (1, 1))
    assert seeds.difference == pytest.approx(means.difference)
    assert seeds.p_value == means.p_value
    assert seeds.interval[0] < means.interval[0] - 0.1
    assert seeds.interval[1] > means.interval[1] + 0.1
    assert seeds.in_words().endswith("20 tracks, 3 and 1 seed)")


def test_a_difference_that_another_seed_would_reverse_is_not_shown():
    tracks = [5 + 0.1 * i for i in range(15)]
    own = [[score + offset + 0.001 * i for i, score in enumerate(tracks)] for offset in (-0.3, 1.0)]
    (pair,) = statistics.compare({"A": runs(*own), "B": runs(tracks, tracks)})
    assert pair.p_value < 0.001
    assert pair.interval[0] < 0 < pair.interval[1]
    assert pair.in_words().startswith("no difference shown between A and B (A ahead by 0.3")


def test_a_track_that_a_seed_lacks_is_left_out():
    (pair,) = statistics.compare({"A": runs([1.0, 2.0, 3.0], [1.0, math.nan, 3.0]), "B": runs([0.0, 0.0, 0.0])})
    assert (pair.tracks, pair.left_out) == (2, ("b",))


def test_results_are_the_same_each_time_and_whatever_else_is_compared():
    methods = vocals_of("UHL1", "UHL2", "UHL3")
    first = {(pair.first, pair.second): pair for pair in statistics.compare(methods)}
    again = statistics.compare({name: methods[name] for name in ("UHL1", "UHL2")})
    assert first["UHL1", "UHL2"].interval == again[0].interval
    assert list(first) == [("UHL1", "UHL2"), ("UHL1", "UHL3"), ("UHL2", "UHL3")]


def test_of_a_metric_whose_low_values_are_better_the_lower_one_is_better():
    scores = [1 + 0.1 * i for i in range(12)]
    methods = {"A": runs(scores), "B": runs([score - 0.5 for score in scores])}
    (pair,) = statistics.compare(methods, PEAK)
    assert pair.in_words() == "B is 0.50 lower (better) than A (95 % interval 0.50 to 0.50, p < 0.001, 12 tracks)"
    (pair,) = statistics.compare({name: runs(list(own[0].values())[:1]) for name, own in methods.items()}, PEAK)
    assert pair.in_words() == "no difference shown between B and A (B lower by 0.50, 1 track, no interval)"


def test_a_small_number_without_a_unit_has_the_decimals_that_it_needs():
    scores = [0.01 + 0.001 * i for i in range(12)]
    methods = {"A": runs(scores), "B": runs([0.97 * score - 0.002 for score in scores])}
    in_words = [statistics.compare(methods, each)[0].in_words() for each in (PEAK, replace(PEAK, unit="dB"))]
    assert in_words[0].startswith("B is 0.0025 lower (better) than A (95 % interval 0.0024 to 0.0025, p < 0.001")
    assert in_words[1].startswith("B is 0.00 dB lower (better) than A (95 % interval 0.00 to 0.00, p < 0.001")


def test_a_metric_that_is_averaged_over_tracks_has_the_mean_difference_with_its_interval():
    scores = scores_of("vocals")
    first, second = np.array(scores["UHL2"]), np.array(scores["TAK1"])
    (pair,) = statistics.compare(vocals_of("UHL2", "TAK1"), USDR)
    expected = stats.bootstrap(
        (first - second,), np.mean, n_resamples=1999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert pair.difference == pytest.approx(np.mean(first - second))
    assert pair.difference != pytest.approx(np.median(first - second))
    assert pair.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("definition", [BSS_EVAL[0], USDR], ids=["median", "mean"])
def test_with_seeds_the_interval_is_that_of_scipys_bootstrap_of_tracks_and_seeds(definition):
    rng = np.random.default_rng(4)
    first, second = rng.normal(5, 1, (3, 15)), rng.normal(4, 1, (1, 15))
    average = {"median": np.median, "mean": np.mean}[definition.over_tracks]

    def statistic(tracks, seeds):
        return average((first[seeds].mean(axis=0) - second[0])[tracks])

    levels = (np.arange(15), np.arange(3))
    expected = stats.bootstrap(
        levels, statistic, vectorized=False, n_resamples=1999, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    (pair,) = statistics.compare({"A": runs(*first), "B": runs(*second)}, definition)
    assert pair.interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_method_without_runs_is_refused():
    with pytest.raises(ValueError, match=r"^methods\.B: got no run, need one or more"):
        statistics.compare({"A": runs([1.0]), "B": []})


def test_runs_are_collected_for_one_target_and_metric():
    rows = [
        TrackScore(method, "t", target, {"SDR": sdr, "SIR": 0.0})
        for method, target, sdr in (("A", "vocals", 1.0), ("B", "vocals", 2.0), ("A", "bass", 3.0))
    ]
    assert statistics.runs_of(rows, "vocals") == {"A": [{"t": 1.0}], "B": [{"t": 2.0}]}
    assert statistics.runs_of(rows, "vocals", "SIR") == {"A": [{"t": 0.0}], "B": [{"t": 0.0}]}
