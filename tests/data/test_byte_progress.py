"""Progress is a bar on a terminal and a few lines elsewhere."""

import logging
import sys

from unmix.data.byte_progress import shown


def test_a_log_has_a_line_for_every_tenth_once(caplog):
    with caplog.at_level(logging.INFO), shown("fetching", 10_000_000_000) as progress:
        for percent in (0, 9, 10, 19, 35, 5, 35, 100):
            progress.update(percent * 10**8)
        progress.say("done")
    lines = [f"fetching: {percent} % of 10.0 GB" for percent in (10, 30, 100)]
    assert caplog.messages == [*lines, "done"]


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
