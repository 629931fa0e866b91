"""A closed pipe ends nothing, and is not reported; other errors of logging are."""

import logging
import os

import pytest

from unmix.console import Console


@pytest.fixture
def pipe():
    """Both ends of a pipe: a descriptor to read from, and a text stream to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream


def emit(stream, *arguments):
    Console(stream).handle(logging.makeLogRecord({"msg": "epoch %d", "args": arguments}))


def test_lines_are_written_to_an_open_pipe(pipe, capfd):
    reader, stream = pipe
    emit(stream, 1)
    assert os.read(reader, 100) == b"epoch 1\n"
    os.close(reader)
    assert not capfd.readouterr().err


def test_lines_for_a_closed_pipe_are_discarded_without_a_word(pipe, capfd):
    reader, stream = pipe
    os.close(reader)
    for epoch in (1, 2):
        emit(stream, epoch)
    print("a table", file=stream, flush=True)
    assert not capfd.readouterr().err


def test_other_errors_of_logging_are_shown(pipe, capfd):
    reader, stream = pipe
    emit(stream, "one")
    os.close(reader)
    assert "Logging error" in capfd.readouterr().err
