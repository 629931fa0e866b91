"""Rows of tables: evaluations that differ in the seed are one."""

import json

import pytest

from stored_evaluations import TARGETS, seeds, store, values
from unmix.evaluation.metrics import Definition, to_json
from unmix.reports import methods, stored

BOTH = dict.fromkeys(TARGETS, values(5.0))


def grouped(out, *entries, test_set=None, metric=None, current=lambda path: True):
    every = {str(entry): stored.select(str(entry), out) for entry in entries}
    chosen = methods.on_test_set(every, test_set)
    return methods.group(chosen, metric or methods.first_metric(chosen), current)


def test_seeds_of_an_experiment_are_one_row_in_their_order(tmp_path):
    seeds(tmp_path, "umx-1a2b3c4d", 5.0, (10, 9))
    (row,) = grouped(tmp_path, tmp_path / "runs" / "umx-1a2b3c4d")
    assert (row.name, row.seeds) == ("umx", ["9", "10"])
    assert [run["Song 1"] for run in row.runs("bass", "SDR")] == [5.2, 5.0]
    assert [run["Song 1"] for run in row.runs_of_mean("SDR")] == [5.2, 5.0]


def test_seeds_that_are_named_one_by_one_are_one_row(tmp_path):
    paths = seeds(tmp_path, "umx-1", 5.0)
    (row,) = grouped(tmp_path, *paths)
    assert row.seeds == ["1", "2"]


def test_two_seeds_take_precedence_over_the_best_of_both_which_takes_it_over_one(tmp_path):
    own = seeds(tmp_path, "umx-1", 5.0)
    runs = ["umx-1/vocals-s1", "umx-1/bass-s2"]
    best = store(tmp_path, "umx-1", BOTH, runs=runs, name="hq-test-b")
    (row,) = grouped(tmp_path, tmp_path / "runs" / "umx-1")
    assert [each.path for each in row.evaluations] == own
    (row,) = grouped(tmp_path, own[0], best)
    assert ([each.path for each in row.evaluations], row.seeds) == ([best], [])


def test_names_have_the_hash_only_where_two_experiments_share_a_name(tmp_path):
    for experiment in ("umx-1a2b3c4d", "umx-2a2b3c4d", "demo-3a2b3c4d"):
        seeds(tmp_path, experiment, 5.0, (1,))
    store(tmp_path, "oracle-irm1", BOTH, weights={"oracle": "irm1"})
    rows = grouped(tmp_path, tmp_path / "runs" / "*", "oracle:irm1")
    assert [row.name for row in rows] == ["demo", "umx-1a2b3c4d", "umx-2a2b3c4d", "oracle-irm1"]
    assert [row.is_oracle for row in rows] == [False, False, False, True]


def test_settings_of_the_separator_are_rows_of_their_own(tmp_path):
    seeds(tmp_path, "umx-1", 5.0, (1,))
    store(tmp_path, "umx-1", BOTH, runs=["umx-1/vocals-s1"] * 2, name="hq-test-n", separator={"niter": 0})
    assert [row.name for row in grouped(tmp_path, tmp_path / "runs" / "umx-1")] == [
        "umx-1 (niter=1)",
        "umx-1 (niter=0)",
    ]


def test_methods_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for number in (1, 2):
        store(tmp_path, "checkpoints", BOTH, name=f"hq-test-{number}")
    rows = grouped(tmp_path, *sorted((tmp_path / "evaluations").iterdir()))
    assert [row.name for row in rows] == ["checkpoints (hq-test-1)", "checkpoints (hq-test-2)"]


def test_of_several_evaluations_of_a_seed_that_of_the_present_weights_counts(tmp_path):
    runs = ["umx-1/vocals-s1"] * 2
    old, new = (store(tmp_path, "umx-1", BOTH, runs=runs, name=f"hq-test-{name}") for name in ("old", "new"))
    (row,) = grouped(tmp_path, tmp_path / "runs" / "umx-1", current=lambda path: path == new)
    assert [each.path for each in row.evaluations] == [new]
    with pytest.raises(
        ValueError, match=r"^ckpt: umx-1 has 2 evaluations that could be meant, name one of them: .*new and .*old$"
    ):
        grouped(tmp_path, tmp_path / "runs" / "umx-1", current=lambda path: False)
    (row,) = grouped(tmp_path, old, current=lambda path: False)
    assert [each.path for each in row.evaluations] == [old]


CSDR = Definition("cSDR", "a fast one")


def by_csdr(out, method, level, name, **facts):
    """Write an evaluation that has no metric but cSDR."""
    path = store(out, method, dict.fromkeys(TARGETS, values(level)), name=name, **facts)
    scores = (path / "scores.csv").read_text().replace("SDR", "cSDR")
    (path / "scores.csv").write_text(scores)
    summary = json.loads((path / "summary.json").read_text().replace("SDR", "cSDR"))
    (path / "summary.json").write_text(json.dumps(summary | {"definitions": to_json([CSDR]), "means": {}}))
    return path


@pytest.mark.parametrize(("method", "facts"), [("umx-1", {"runs": ["umx-1/vocals-s1"] * 2}), ("umxl", {})])
def test_of_evaluations_by_several_metrics_that_with_the_metric_counts(method, facts, tmp_path):
    facts |= {"weights": dict.fromkeys(TARGETS, "4a5b")}
    usual = store(tmp_path, method, BOTH, name="hq-test-c", **facts)
    fast = [by_csdr(tmp_path, method, 5.0, f"hq-test-{name}", **facts) for name in "ab"]
    entry = tmp_path / "runs" / method if "runs" in facts else method
    for metric, paths in ((None, [usual]), ("SDR", [usual]), ("cSDR", fast[:1])):
        (row,) = grouped(tmp_path, entry, metric=metric)
        assert [each.path for each in row.evaluations] == paths
    with pytest.raises(
        ValueError,
        match=rf"^metric: got 'SDRR', but {method} has cSDR, SDR, SIR, ISR, SAR; evaluate all by one metric$",
    ):
        grouped(tmp_path, entry, metric="SDRR")
    with pytest.raises(ValueError, match=r"; did you mean 'SDR'\?$"):
        grouped(tmp_path, entry, metric="sdr")
    with pytest.raises(ValueError, match=rf"^metric: got 'cSDR', but {method} has SDR, SIR, ISR, SAR; evaluate all"):
        grouped(tmp_path, entry, metric="cSDR", current=lambda path: path == usual)
    by_csdr(tmp_path, method, 6.0, "hq-test-d", **facts)
    with pytest.raises(ValueError, match=rf"^ckpt: {method} has 3 evaluations that could be meant, .*-a and .*-d$"):
        grouped(tmp_path, entry, metric="cSDR")


def test_the_first_metric_is_one_that_all_have(tmp_path):
    store(tmp_path, "A", BOTH, name="hq-test-a")
    by_csdr(tmp_path, "A", 5.0, "hq-test-b")
    by_csdr(tmp_path, "B", 5.0, "hq-test-c")
    entries = {name: stored.select(name, tmp_path) for name in "AB"}
    assert methods.first_metric(entries) == "cSDR"
    assert methods.first_metric({"A": entries["A"]}) == "SDR"
    assert methods.first_metric({"A": entries["A"][:1], "B": entries["B"]}) == "SDR"  # refused, with the reason, later


def test_the_test_set_is_the_one_that_all_have(tmp_path):
    store(tmp_path, "umxhq", BOTH, name="hq-test-1")
    store(tmp_path, "umxhq", BOTH, name="demo-test-1")
    store(tmp_path, "umxl", BOTH, name="hq-test-2")
    rows = grouped(tmp_path, "umxhq", "umxl")
    assert {each.test_set for row in rows for each in row.evaluations} == {"hq-test"}
    with pytest.raises(
        ValueError, match=r"^test_set: not given, and all were scored on demo-test, hq-test: test_set=demo-test$"
    ):
        grouped(tmp_path, "umxhq")
    with pytest.raises(ValueError, match=r"^test_set: got 'demo-test', but umxl was scored on hq-test$"):
        grouped(tmp_path, "umxhq", "umxl", test_set="demo-test")
    store(tmp_path, "umx", BOTH, name="own-test-2")
    with pytest.raises(
        ValueError, match=r"^ckpt: scored on different data: umxl on hq-test; umx on own-test; evaluate all on one"
    ):
        grouped(tmp_path, "umxl", "umx")
