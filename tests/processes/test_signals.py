"""Signals become `Interrupted`, even when cleanup code fails on the way out."""

import os
import signal
import subprocess
import sys

import pytest

from unmix.experiments import status
from unmix.experiments.hold import hold
from unmix.processes import signals


def test_an_error_in_cleanup_code_does_not_hide_the_signal(tmp_path):
    with pytest.raises(signals.Interrupted, match="SIGTERM") as caught, signals.handled(), hold(tmp_path, "e"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise AttributeError("half-built object")
    assert caught.value.code == signals.TEMPORARY_FAILURE
    assert (status.read(tmp_path).state, status.read(tmp_path).reason) == ("interrupted", "SIGTERM")


def test_an_error_without_a_signal_is_raised_unchanged():
    with pytest.raises(AttributeError, match="unrelated"), signals.handled():
        raise AttributeError("unrelated")


def test_a_first_signal_is_deferred_and_a_second_one_raises():
    with signals.handled(), signals.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received() == signal.SIGINT
        with pytest.raises(signals.Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.code == signals.INTERRUPTED


@pytest.mark.parametrize(("first", "code"), [("SIGINT", signals.INTERRUPTED), ("SIGTERM", signals.TEMPORARY_FAILURE)])
def test_a_further_signal_on_the_way_out_keeps_the_exit_code_of_the_first(first, code):
    program = (
        "import os, signal; from unmix.processes import signals\n"
        "try:\n"
        "    with signals.handled():\n"
        f"        os.kill(os.getpid(), signal.{first})\n"
        "finally:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == code


def test_the_previous_handlers_are_restored():
    before = signal.getsignal(signal.SIGTERM)
    with signals.handled():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
