"""Search spaces, in Hydra's grammar."""

import pytest

from unmix.search.space import Choice, Interval, read


def dimension(text):
    return read({}, [text]).dimensions[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("interval(1e-4,1)", Interval("a.b", 1e-4, 1.0)),
        ("tag(log,interval(1e-4,1))", Interval("a.b", 1e-4, 1.0, is_log=True)),
        ("int(interval(1,8))", Interval("a.b", 1, 8, step=1)),
        ("tag(log,int(interval(8,64)))", Interval("a.b", 8, 64, is_log=True, step=1)),
        ("range(1,9,2)", Interval("a.b", 1, 7, step=2)),
        ("range(9,1,-4)", Interval("a.b", 5, 9, step=4)),
        ("range(0.1,0.5,0.1)", Interval("a.b", 0.1, 0.4, step=0.1)),
        ("tag(log,range(1,9))", Interval("a.b", 1, 8, is_log=True, step=1)),
        ("choice(2,x,true)", Choice("a.b", {2: "2", "x": "x", True: "True"})),
        ("2,3", Choice("a.b", {2: "2", 3: "3"})),
        ("choice([1,2],[3])", Choice("a.b", {"[1,2]": "[1,2]", "[3]": "[3]"})),
    ],
)
def test_every_form_of_hydras_grammar_is_a_dimension(written, expected):
    assert dimension(f"a.b={written}") == expected


def test_values_are_written_as_the_command_line_reads_them():
    assert dimension("a=range(0.1,0.5,0.1)").text(0.1 + 0.2) == "0.3"
    assert dimension("a=interval(0,1)").text(1e-5) == "1e-05"
    assert dimension("a=choice('b c',d)").text("b c") == r"b\ c"
    assert dimension("+a=choice(1,2)").key == "+a"


def test_the_command_line_replaces_what_a_file_says():
    space = read({"a": "interval(0,1)", "b": "choice(1,2)"}, ["a=3", "c=x,y", "c=4,5"])
    assert space.description == {"b": "1 or 2", "c": "4 or 5"}
    assert space.fixed == ("a=3",)


def test_lists_of_targets_and_seeds_make_the_jobs_of_each_trial():
    space = read({"target": "drums,bass"}, ["a=1,2", "seed=1,2", "x=7"])
    assert space.jobs({"a": 2}) == [
        ["x=7", f"target={target}", f"seed={seed}", "a=2"] for target in ("drums", "bass") for seed in (1, 2)
    ]


def test_every_end_of_an_interval_and_every_choice_is_checked_once():
    space = read({}, ["a=interval(0,1)", "b=x,y,z"])
    assert space.probes == [{"a": a, "b": b} for a, b in ((0.0, "x"), (1.0, "x"), (0.0, "y"), (0.0, "z"))]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("interval(0,inf)", "the first number must be below the second"),
        ("tag(log,range(0,4))", "a logarithmic range has whole numbers above 0, in steps of 1"),
        ("tag(log,range(1,9,2))", "in steps of 1"),
        ("range(1,1)", "holds no number"),
    ],
)
def test_what_holds_nothing_is_refused(written, message):
    with pytest.raises(ValueError, match=message):
        dimension(f"a={written}")
