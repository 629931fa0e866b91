"""The table of a paper: what stands in it, what is bold, and what does not compare."""

import csv
import math
from dataclasses import replace

import pytest

from stored_evaluations import TARGETS, TRACKS, seeds, store, store_run, values
from unmix.evaluation.metrics import BSS_EVAL, USDR, Definition, to_json
from unmix.reports import methods, paper, paper_formats, stored

LOW, HIGH = (dict.fromkeys(TARGETS, values(level)) for level in (3.0, 5.0))


def built(out, *entries, metric="SDR", tracks="all", compare=()):
    rows = methods.group({str(entry): stored.select(str(entry), out) for entry in entries}, metric, lambda path: True)
    return paper.build(rows, metric=metric, tracks=tracks, compare=compare, out=out)


def two(out, first, second, **facts):
    store(out, "A", first, name="hq-test-a")
    return store(out, "B", second, name="hq-test-b", **facts)


def test_a_table_has_medians_over_tracks_and_the_mean_over_sources(tmp_path):
    two(tmp_path, {"vocals": values(3.0), "bass": values(5.0)}, HIGH)
    table = built(tmp_path, "A", "B")
    assert table.columns == ["vocals", "bass", "mean"]
    assert [table.rows[0].cells[column].value for column in table.columns] == pytest.approx([8.5, 10.5, 9.5])
    assert (table.test_set, len(table.tracks), table.left_out) == ("hq-test", 12, [])


def test_the_best_is_marked_where_the_second_best_is_shown_to_be_worse(tmp_path):
    two(tmp_path, {"vocals": values(3.0), "bass": values(5.2, alternating=0.5)}, HIGH)
    a, b = built(tmp_path, "A", "B").rows
    assert b.cells["vocals"].is_best
    assert not a.cells["vocals"].is_best
    assert a.cells["bass"].value > b.cells["bass"].value
    assert not a.cells["bass"].is_best
    assert not b.cells["bass"].is_best


def test_nothing_is_marked_when_two_are_alike_at_the_top(tmp_path):
    two(tmp_path, LOW, HIGH)
    store(tmp_path, "C", HIGH, name="hq-test-c")
    assert not any(cell.is_best for row in built(tmp_path, "A", "B", "C").rows for cell in row.cells.values())


def test_one_method_alone_has_no_best(tmp_path):
    store(tmp_path, "A", LOW)
    table = built(tmp_path, "A")
    assert not any(cell.is_best for cell in table.rows[0].cells.values())
    assert table.comparisons == {"vocals": [], "bass": [], "mean": []}


def test_oracles_come_after_the_methods_and_do_not_compete(tmp_path):
    store(tmp_path, "oracle-irm1", dict.fromkeys(TARGETS, values(9.0)), name="hq-test-o", weights={"oracle": "irm1"})
    two(tmp_path, LOW, HIGH)
    table = built(tmp_path, "oracle:irm1", "A", "B")
    assert [(row.name, row.kind) for row in table.rows] == [("A", "method"), ("B", "method"), ("oracle-irm1", "oracle")]
    assert table.rows[1].cells["vocals"].is_best
    assert [(pair.first, pair.second) for pair in table.comparisons["bass"]] == [("A", "B")]


def test_oracles_alone_compete(tmp_path):
    for name, level in (("irm1", 5.0), ("mwf", 6.0)):
        facts = {"weights": {"oracle": name}}
        store(tmp_path, f"oracle-{name}", dict.fromkeys(TARGETS, values(level)), name=f"hq-test-{name}", **facts)
    assert built(tmp_path, "oracle:irm1", "oracle:mwf").rows[1].cells["bass"].is_best


def test_seeds_give_a_mean_and_a_standard_deviation(tmp_path):
    seeds(tmp_path, "umx-1", 5.0, (1, 2, 3))
    (row,) = built(tmp_path, tmp_path / "runs" / "umx-1").rows
    assert row.seeds == ["1", "2", "3"]
    assert row.cells["vocals"].value == pytest.approx(10.7)
    assert row.cells["vocals"].deviation == pytest.approx(0.2)
    assert row.cells["mean"].deviation == pytest.approx(0.2)


def test_facts_come_from_summaries_and_runs(tmp_path):
    seeds(tmp_path, "umx-1", 5.0, parameters=8900000, seconds_per_second=0.5)
    for run in ("vocals-s1", "bass-s1", "vocals-s2", "bass-s2"):
        store_run(tmp_path, f"umx-1/{run}", hours=2 if run.endswith("2") else 1, gpus=["H100", "H100"])
    (row,) = built(tmp_path, tmp_path / "runs" / "umx-1").rows
    assert (row.parameters, row.pace, row.hardware) == (8900000, 0.5, "2 x H100")
    assert row.training == (2 + 4) / 2 * 3600


def test_facts_that_were_not_recorded_are_left_out(tmp_path):
    seeds(tmp_path, "umx-1", 5.0)
    store_run(tmp_path, "umx-1/vocals-s1", earlier=None)
    (row,) = built(tmp_path, tmp_path / "runs" / "umx-1").rows
    assert (row.parameters, row.pace, row.training, row.hardware) == (None, None, None, "4 CPU cores")


def test_published_scores_are_rows_that_do_not_compete(tmp_path):
    sources = {name: values(1.0) for name in ("vocals", "drums", "bass", "other")}
    store(tmp_path, "A", sources)
    table = built(tmp_path, "A", compare=["umxl"])
    assert [(row.name, row.kind) for row in table.rows] == [("A", "method"), ("umxl as published", "published")]
    assert table.rows[1].cells["vocals"].value == 7.21
    assert table.rows[1].cells["mean"].value == pytest.approx(6.3175)
    assert math.isnan(built(tmp_path, "A", metric="SAR", compare=["umxl"]).rows[1].cells["bass"].value)


def test_a_source_without_any_score_has_none_and_no_mean(tmp_path):
    silent = {"vocals": values(5.0), "bass": dict.fromkeys(TRACKS, math.nan)}
    two(tmp_path, silent, silent)
    table = built(tmp_path, "A", "B")
    assert math.isnan(table.rows[0].cells["bass"].value)
    assert math.isnan(table.rows[0].cells["mean"].value)
    assert table.comparisons["bass"][0].tracks == 0
    assert table.rows[0].cells["vocals"].value == pytest.approx(10.5)


def test_one_track_has_scores_and_no_interval(tmp_path):
    two(tmp_path, *({target: {"Song": level} for target in TARGETS} for level in (5.0, 1.0)))
    table = built(tmp_path, "A", "B")
    assert table.rows[0].cells["vocals"].value == 5.0
    assert table.comparisons["vocals"][0].interval is None
    assert not table.rows[0].cells["vocals"].is_best


def test_another_metric_is_a_column_of_the_scores(tmp_path):
    store(tmp_path, "A", LOW)
    assert built(tmp_path, "A", metric="SIR").rows[0].cells["vocals"].value == pytest.approx(13.5)
    with pytest.raises(ValueError, match=r"^metric: got 'SDRR', but A has SDR, SIR, ISR, SAR; evaluate all by"):
        built(tmp_path, "A", metric="SDRR")


def test_other_tracks_are_refused_by_name_or_left_out_on_request(tmp_path):
    two(tmp_path, LOW, dict.fromkeys(TARGETS, values(5.0, tracks=TRACKS[1:])))
    with pytest.raises(
        ValueError,
        match=r"^tracks: .*hq-test-b lacks 'Song 1', which others have; tracks=common compares the 11 tracks that all",
    ):
        built(tmp_path, "A", "B")
    table = built(tmp_path, "A", "B", tracks="common")
    assert (len(table.tracks), table.left_out) == (11, ["Song 1"])
    assert {pair.tracks for pair in table.comparisons["vocals"]} == {11}


@pytest.mark.parametrize("rule", ["all", "common"])
def test_methods_without_a_common_track_are_refused(rule, tmp_path):
    two(tmp_path, LOW, dict.fromkeys(TARGETS, values(5.0, tracks=["Another"])))
    with pytest.raises(ValueError, match=r"^tracks: "):
        built(tmp_path, "A", "B", tracks=rule)


def test_many_missing_tracks_are_counted(tmp_path):
    two(tmp_path, LOW, dict.fromkeys(TARGETS, values(5.0, tracks=TRACKS[6:])))
    with pytest.raises(ValueError, match=r"lacks 'Song 1', 'Song 2', 'Song 3' and 3 more, which"):
        built(tmp_path, "A", "B")


def test_other_audio_of_the_same_name_is_refused(tmp_path):
    two(tmp_path, LOW, HIGH, windows_that_count={track: [2, 7] for track in TRACKS})
    with pytest.raises(
        ValueError, match=r"^ckpt: 'Song 1' has 7 windows in .*hq-test-b and 30 in .*hq-test-a: other audio"
    ):
        built(tmp_path, "A", "B")


def test_other_scenarios_definitions_and_formats_are_refused(tmp_path):
    two(tmp_path, LOW, {"vocals": values(5.0), "accompaniment": values(9.0)})
    with pytest.raises(
        ValueError,
        match=r"^ckpt: .*hq-test-b was scored in the scenario vocals, accompaniment, unlike .*-a in vocals, bass; ",
    ):
        built(tmp_path, "A", "B")
    store(tmp_path, "C", LOW, name="hq-test-c", format=1)
    with pytest.raises(
        ValueError, match=r"hq-test-c was scored in format 1, unlike .*hq-test-a in 2; these do not compare"
    ):
        built(tmp_path, "A", "C")
    newer = [replace(definition, version="5") for definition in BSS_EVAL]
    store(tmp_path, "D", LOW, name="hq-test-d", definitions=to_json(newer), means={})
    with pytest.raises(
        ValueError,
        match=r"hq-test-d was scored by SDR with version '5' instead of '4', unlike .*hq-test-a; these do not",
    ):
        built(tmp_path, "A", "D")


LOUD = Definition("SDR", "distance of levels", unit="", over_tracks="mean", better="low")


def test_a_definition_says_how_scores_are_averaged_and_which_are_better(tmp_path):
    facts = {"definitions": to_json([LOUD]), "means": {}}
    store(tmp_path, "A", LOW, name="hq-test-a", **facts)
    store(tmp_path, "B", HIGH | {"vocals": values(5.0) | {"Song 1": 17.0}}, name="hq-test-b", **facts)
    table = built(tmp_path, "A", "B")
    assert table.metric == LOUD
    assert table.rows[1].cells["vocals"].value == pytest.approx(10.5 + 1)
    assert table.rows[0].cells["bass"].is_best
    assert table.comparisons["bass"][0].in_words().startswith("A is 2.00 lower (better) than B (")
    with pytest.raises(
        ValueError, match=r"^compare: published scores are SDR, .* not SDR: choose metric=SDR, or leave"
    ):
        built(tmp_path, "A", compare=["umxl"])


@pytest.mark.parametrize(
    ("metric", "words", "number"),
    [
        ("uSDR", "B is 2.50 dB better than A (95 % interval ", "13.00"),
        ("peak error", "B is 0.0050 lower (better) than A (95 % interval ", "0.013"),
    ],
)
def test_any_metric_of_an_evaluation_can_be_shown(metric, words, number, tmp_path):
    for name, level, error in (("A", 3.0, 0.018), ("B", 5.0, 0.013)):
        # one track apart moves a mean, and no median
        of_tracks = values(level) | {"Song 1": level + 6 * (name == "B")}
        further = {USDR: lambda sdr: sdr + 2, replace(LOUD, name="peak error"): lambda sdr, error=error: error}
        store(tmp_path, name, dict.fromkeys(TARGETS, of_tracks), name=f"hq-test-{name}", further=further)
    table = built(tmp_path, "A", "B", metric=metric)
    assert table.rows[1].cells["mean"].is_best
    assert table.comparisons["mean"][0].in_words().startswith(words)
    text = paper_formats.to_markdown(table)
    assert f"| B | **{number}** |" in text
    assert "interval of the mean difference without zero" in text
    assert ("Lower is better." in text) == (metric == "peak error")
    (row, *_) = csv.DictReader(paper_formats.comparisons_to_csv(table).splitlines())
    assert (row["metric"], row["better"], row["over_tracks"]) == (metric, table.metric.better, "mean")


def test_sources_in_another_order_compare(tmp_path):
    two(tmp_path, LOW, dict(reversed(HIGH.items())))
    assert built(tmp_path, "A", "B").columns == ["vocals", "bass", "mean"]
