"""A closed pipe ends nothing, and is not reported."""

import logging
import os
import sys
from contextlib import contextmanager, redirect_stdout

import pytest

from unmix import console


@pytest.fixture
def pipe():
    """Both ends of a pipe: a descriptor to read from, and a text stream to write to."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        yield reader, stream


@contextmanager
def printing_to(stream):
    with redirect_stdout(stream), console.patient():
        yield


def test_lines_are_written_to_an_open_pipe(pipe):
    reader, stream = pipe
    with printing_to(stream):
        print("epoch 1")
    assert os.read(reader, 100) == b"epoch 1\n"
    os.close(reader)


def test_lines_for_a_closed_pipe_are_discarded_without_a_word(pipe, capfd):
    reader, stream = pipe
    os.close(reader)
    with printing_to(stream):
        for epoch in (1, 2):
            logging.StreamHandler(sys.stdout).handle(logging.makeLogRecord({"msg": f"epoch {epoch}"}))
        print("a table", flush=True)
        print("a table in the buffer")
    assert not capfd.readouterr().err


def test_other_errors_of_logging_are_shown(pipe, capfd):
    reader, stream = pipe
    with printing_to(stream):
        logging.StreamHandler(sys.stdout).handle(logging.makeLogRecord({"msg": "epoch %d", "args": ("one",)}))
    os.close(reader)
    assert "Logging error" in capfd.readouterr().err


@pytest.mark.parametrize("command", [["dashboard"], ["train", "--help"], ["train", "--cfg", "job"]])
def test_a_command_whose_output_nobody_reads_ends_as_always(pipe, capfd, cli, command):
    reader, stream = pipe
    os.close(reader)
    with redirect_stdout(stream):
        assert cli(*command) == 0
    assert all(line.startswith("next: ") for line in capfd.readouterr().err.splitlines())
