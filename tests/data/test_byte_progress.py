"""Progress is a bar on a terminal and a few lines elsewhere."""

import logging
import sys

from unmix import time_left
from unmix.data.byte_progress import shown


def test_a_log_has_a_line_for_every_tenth_once_with_the_time_left(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), shown("fetching", 10_000_000_000) as progress:
        for percent in (0, 9, 10, 19, 35, 5, 35, 100):
            now[0] += 60
            progress.update(percent * 10**8)
        progress.say("done")
    left = {10: ", 18 min left", 30: ", 7.4 min left", 100: ""}
    assert caplog.messages == [*(f"fetching: {percent} % of 10.0 GB{text}" for percent, text in left.items()), "done"]


def test_a_download_that_goes_on_is_as_fast_as_its_new_part(caplog, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time_left.time, "monotonic", lambda: now[0])
    with caplog.at_level(logging.INFO), shown("fetching", 1_000_000_000) as progress:
        progress.update(750_000_000)
        now[0] += 60
        progress.update(800_000_000)
    assert caplog.messages == ["fetching: 70 % of 1.0 GB", "fetching: 80 % of 1.0 GB, 4 min left"]


def test_nothing_to_do_is_no_error(caplog):
    with shown("unpacking", 0) as progress:
        progress.update(0)


def test_a_terminal_has_a_bar_and_the_lines_above_it(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown("fetching", 10_000_000_000) as progress:
        progress.update(2_500_000_000)
        progress.say("trying again [1]")
    output = capsys.readouterr().err
    assert "2.5/10.0 GB" in output
    assert "trying again [1]\n" in output.replace("\r", "")
