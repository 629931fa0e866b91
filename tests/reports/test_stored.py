"""Stored evaluations are found by what was evaluated."""

import json

import pytest

from stored_evaluations import TARGETS, seeds, store, values
from unmix.reports import stored

BOTH = dict.fromkeys(TARGETS, values(5.0))


def paths(entry, out):
    return [each.path for each in stored.select(str(entry), out)]


def test_an_experiment_has_the_evaluations_in_its_folder_and_those_of_its_runs(tmp_path):
    own = seeds(tmp_path, "umx-1a2b3c4d", 5.0, (1,))
    joined = store(
        tmp_path, "checkpoints", BOTH, runs=["umx-1a2b3c4d/vocals-s2"] * 2, place="evaluations", name="hq-test-1"
    )
    of_run = store(tmp_path, "all-s3", BOTH, runs=["umx-1a2b3c4d/all-s3"] * 2, place="runs/umx-1a2b3c4d/all-s3/eval")
    store(
        tmp_path,
        "checkpoints",
        BOTH,
        runs=["umx-1a2b3c4d/vocals-s2", "other-1/bass-s2"],
        place="evaluations",
        name="x-y-2",
    )
    assert paths(tmp_path / "runs" / "umx-1a2b3c4d", tmp_path) == [*own, of_run, joined]
    assert paths(tmp_path / "runs" / "umx-1a2b3c4d" / "all-s3", tmp_path) == [of_run]
    assert paths(tmp_path / "runs" / "*-1a2b3c4d", tmp_path) == [*own, of_run, joined]


def test_a_pattern_of_runs_names_the_evaluation_of_all_of_them(tmp_path):
    for target in TARGETS:
        (tmp_path / "runs" / "umx-1" / f"{target}-s2" / "checkpoints").mkdir(parents=True)
    runs = [f"umx-1/{target}-s2" for target in TARGETS]
    joined = store(tmp_path, "checkpoints", BOTH, runs=runs, place="evaluations")
    assert paths(tmp_path / "runs" / "umx-1" / "*-s2", tmp_path) == [joined]
    with pytest.raises(FileNotFoundError, match="vocals-s2 has no finished evaluation"):
        paths(tmp_path / "runs" / "umx-1" / "vocals-s2", tmp_path)


def test_releases_oracles_and_files_are_named_as_they_were_evaluated(tmp_path):
    release = store(tmp_path, "umxhq", BOTH, name="hq-test-1")
    oracle = store(tmp_path, "oracle-irm1", BOTH, name="hq-test-2", weights={"oracle": "irm1"})
    (tmp_path / "net.safetensors").write_text("")
    file = store(tmp_path, "net.safetensors", BOTH, name="hq-test-3")
    assert paths("umxhq", tmp_path) == [release]
    assert paths("oracle:irm1", tmp_path) == [oracle]
    assert paths(tmp_path / "net.safetensors", tmp_path) == [file]
    assert paths(release, tmp_path) == [release]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("umxl", r"^ckpt: umxl has no evaluation, and is no path: python src/evaluate\.py ckpt=umxl$"),
        ("oracle:mwf", r"^ckpt: oracle:mwf has no finished evaluation: .*evaluate\.py ckpt=oracle:mwf data=\.\.\.$"),
    ],
)
def test_what_was_not_evaluated_is_refused_with_the_command(entry, message, tmp_path):
    with pytest.raises(FileNotFoundError, match=message):
        stored.select(entry, tmp_path)


def test_an_experiment_without_an_evaluation_is_refused_with_the_command(tmp_path):
    (tmp_path / "runs" / "umx-1").mkdir(parents=True)
    with pytest.raises(
        FileNotFoundError, match=r"umx-1 has no finished evaluation: python src/evaluate\.py ckpt=.*umx-1$"
    ):
        stored.select(str(tmp_path / "runs" / "umx-1"), tmp_path)


def test_runs_tell_experiment_and_seed(tmp_path):
    (evaluation,) = stored.select(str(seeds(tmp_path, "umx-1", 5.0, (7,))[0]), tmp_path)
    assert (evaluation.experiment, evaluation.seed, evaluation.test_set) == ("umx-1", "7", "hq-test")
    runs = ["umx-1/vocals-s1", "umx-1/bass-s2"]
    mixed = stored.read(store(tmp_path, "umx-1", BOTH, runs=runs, name="hq-test-9"))
    assert (mixed.experiment, mixed.seed) == ("umx-1", None)
    named = stored.read(store(tmp_path, "umx-1", BOTH, runs=["umx-1/my-stuff"] * 2, name="hq-test-8"))
    assert (named.experiment, named.seed) == ("umx-1", None)
    release = stored.read(store(tmp_path, "umxhq", BOTH))
    assert (release.experiment, release.seed, release.runs) == (None, None, [])


def test_scores_are_those_of_the_method_alone(tmp_path):
    evaluation = stored.read(store(tmp_path, 'a, "b" & c', BOTH))
    assert len(evaluation.rows) == 24
    assert evaluation.rows[0].metrics == {"SDR": 5.0, "SIR": 10.0, "ISR": 10.0, "SAR": 6.0}
    assert (evaluation.targets, len(evaluation.tracks)) == (["vocals", "bass"], 12)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 4],  # fewer tracks
        lambda text: text.replace("5.00000", "5.0zz00", 1),
        lambda text: "\n".join(line.rpartition(",")[0] for line in text.splitlines()[1:]),
        lambda text: "",
    ],
)
def test_damaged_scores_are_refused_in_a_line(damage, tmp_path):
    path = store(tmp_path, "umxhq", BOTH)
    file = path / "scores.csv"
    file.write_text(damage(file.read_text()))
    with pytest.raises(
        ValueError, match=r"^ckpt: .*scores\.csv is damaged \(.*\); remove .* and evaluate again$"
    ) as refused:
        stored.read(path).rows  # noqa: B018
    assert "\n" not in str(refused.value)


def test_missing_scores_are_refused(tmp_path):
    path = store(tmp_path, "umxhq", BOTH)
    (path / "scores.csv").unlink()
    with pytest.raises(ValueError, match=r"scores\.csv is damaged"):
        stored.read(path).rows  # noqa: B018


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", '{"medians": {"a": 1}}'),
        json.dumps({"medians": {}, "num_tracks": 3}),
        json.dumps({"medians": {"a": {}}, "num_tracks": "three"}),
        json.dumps({"medians": {"a": {}}, "num_tracks": 3, "checkpoints": ["a.ckpt"]}),
    ],
)
def test_a_damaged_summary_is_refused(text, tmp_path):
    path = store(tmp_path, "umxhq", BOTH)
    (path / "summary.json").write_text(text)
    with pytest.raises(ValueError, match=r"^ckpt: .*summary\.json is damaged \(.*\); evaluate again$"):
        stored.select("umxhq", tmp_path)
