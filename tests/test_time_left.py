"""The time left is estimated from what is done, and shown in words; a log has a line now and then."""

import logging
import sys

import pytest

from unmix import time_left
from unmix.time_left import Lines, Watch, in_words, seconds_left, seconds_to_limit, with_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand: `clock[0]` is the time."""
    now = [1000.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    return now


@pytest.mark.parametrize(
    ("elapsed", "num_done", "num_total", "expected"),
    [(60, 3, 12, 180), (60, 0, 12, None), (0, 0, 0, None), (10, 4, 4, 0), (10, 5, 4, 0), (9, 1.5, 3, 9)],
)
def test_the_rest_takes_as_long_as_what_is_done_did(elapsed, num_done, num_total, expected):
    assert seconds_left(elapsed, num_done, num_total) == expected


@pytest.mark.parametrize(
    ("begun", "now", "limits", "expected"),
    [
        ((0, 0), (2, 200), (10, None), 80),
        ((0, 0), (2, 200), (None, 300), 10),
        ((0, 0), (2, 200), (10, 300), 10),
        ((0, 0), (2, 200), (3, 10_000), 10),
        ((4, 400), (6, 600), (10, None), 40),  # resumed: the epochs of earlier attempts took other time
        ((0, 0), (0, 0), (10, 300), None),
        ((0, 0), (2, 200), (None, None), None),
    ],
)
def test_the_limit_that_is_reached_first_counts(begun, now, limits, expected):
    assert seconds_to_limit(20, begun, now, limits) == expected


def test_words_are_empty_when_nothing_is_known_or_left():
    assert (in_words(192), in_words(0), in_words(None)) == ("3.2 min left", "", "")


def test_what_was_done_before_counts_neither_as_work_nor_as_time(clock):
    watch = Watch(100, num_done=80)
    clock[0] += 30
    assert watch.left(90) == "30 s left"


def test_a_line_about_the_last_thing_says_no_time(clock):
    watch = Watch(3)
    clock[0] += 40
    assert watch.numbered(2, "song") == "[2/3] song (20 s left)"
    assert watch.numbered(3, "song") == "[3/3] song"


def test_a_log_has_a_line_when_half_a_minute_has_passed_and_none_for_the_last_step(clock, caplog):
    with caplog.at_level(logging.INFO):
        lines = Lines("decoding", 8, "file")
        for num_done in range(1, 9):
            clock[0] += 12
            lines(num_done)
    assert caplog.messages == ["decoding: 3 of 8 files, 60 s left", "decoding: 6 of 8 files, 24 s left"]


def test_without_a_noun_a_line_has_percents(clock, caplog):
    with caplog.at_level(logging.INFO):
        lines = Lines("song.wav", 44100)
        clock[0] += 60
        lines(4410)
    assert caplog.messages == ["song.wav: 10 %, 9 min left"]


def test_items_pass_unchanged_and_nothing_is_printed_without_a_terminal(capfd, caplog):
    with caplog.at_level(logging.INFO):
        assert list(with_progress(iter("abc"), "building", 3, "track")) == ["a", "b", "c"]
        assert list(with_progress([], "building", 0, "track")) == []
    assert (capfd.readouterr(), caplog.messages) == (("", ""), [])


def test_a_terminal_has_a_bar_on_the_error_stream(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert list(with_progress([1, 2], "building", 2, "track")) == [1, 2]
    out, err = capsys.readouterr()
    assert (out, "building" in err) == ("", True)
