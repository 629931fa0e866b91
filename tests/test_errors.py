"""Error messages are one line: the name, what was got, what is allowed, and the nearest."""

import pytest

from unmix import errors


def test_an_unknown_value_is_named_with_what_is_allowed_and_what_is_near():
    message = errors.unknown("target", "vocal", ["bass", "vocals"])
    assert message == "target: got 'vocal', allowed bass, vocals; did you mean 'vocals'?"


def test_nothing_is_suggested_when_nothing_is_near_or_allowed():
    assert errors.unknown("seed", 3, ["vocals"]) == "seed: got '3', allowed vocals"
    assert errors.unknown("seed", 3, []) == "seed: got '3', allowed nothing"


def test_only_some_of_many_allowed_values_are_listed_on_request():
    message = errors.unknown("sort", "sdr.vocal", ["a", "b", "c", "sdr.vocals"], most=2)
    assert message == "sort: got 'sdr.vocal', allowed a, b and 2 more; did you mean 'sdr.vocals'?"
    assert errors.unknown("sort", "x", ["a", "b"], most=2) == "sort: got 'x', allowed a, b"


def test_the_closing_line_of_a_sweep_names_several_failed_jobs_and_counts_the_others():
    line = "train: 3 of 5 jobs failed; a: full | b: NaN | c: killed"
    assert errors.failed_jobs("train", ["a: full", "b: NaN", "c: killed"], 5) == line
    many = errors.failed_jobs("train", ["a: full", "b: NaN", "c: killed", "d", "e"], 5)
    assert many == "train: 5 of 5 jobs failed; a: full | b: NaN | c: killed | and 2 more"
    assert errors.failed_jobs("check", ["a"], 1) == "check: 1 of 1 job failed; a"


@pytest.mark.parametrize(("number", "text"), [(0, "0 tracks"), (1, "1 track"), (2, "2 tracks")])
def test_a_number_of_things_has_its_plural(number, text):
    assert errors.counted(number, "track") == text
    is_or_are = "is" if number == 1 else "are"
    assert errors.counted(number, "track is", "tracks are") == f"{text} {is_or_are}"


def caused(message, cause):
    error = RuntimeError(message)
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a:\n  b\tc "), "a: b c"),
        (ValueError(""), "ValueError"),
        (caused("", OSError("no space")), "no space"),
        (caused("", caused("", KeyError())), "KeyError"),
        (caused("itself", OSError("its cause")), "itself"),
    ],
)
def test_an_error_is_one_line_of_its_own_message_or_its_cause_s(error, line):
    assert errors.one_line(error) == line
