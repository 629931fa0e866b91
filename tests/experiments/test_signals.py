"""Signals end a job as an interruption, whatever stands in their way."""

import os
import signal

import pytest

from unmix.experiments import signals, status
from unmix.experiments.hold import hold


def test_a_cleanup_that_fails_on_the_way_out_does_not_hide_the_signal(tmp_path):
    with pytest.raises(signals.Interrupted, match="SIGTERM") as caught, signals.handled(), hold(tmp_path, "e"):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise AttributeError("of what was left half made")
    assert caught.value.code == signals.TEMPORARY_FAILURE
    assert (status.read(tmp_path).state, status.read(tmp_path).reason) == ("interrupted", "SIGTERM")


def test_an_error_without_a_signal_stays_what_it_is():
    with pytest.raises(AttributeError, match="mine"), signals.handled():
        raise AttributeError("mine")


def test_a_deferred_signal_waits_and_the_second_one_ends():
    with signals.handled(), signals.deferred():
        os.kill(os.getpid(), signal.SIGINT)
        assert signals.received() == signal.SIGINT
        with pytest.raises(signals.Interrupted) as caught:
            os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.code == signals.INTERRUPTED


def test_the_handlers_from_before_are_put_back():
    before = signal.getsignal(signal.SIGTERM)
    with signals.handled():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
