"""The status of a run: what it says, and files of older versions."""

import json

import pytest

from unmix.experiments import status
from unmix.experiments.status import Status


@pytest.mark.parametrize(
    ("epoch", "step", "batch", "duration"),
    [
        (2, 120, 0, "2 epochs"),
        (1, 60, 0, "1 epoch"),
        (2, 130, 10, "130 steps"),
        (0, 1, 1, "1 step"),
        (0, 7, 0, "7 steps"),  # written by a version that did not count batches
    ],
)
def test_a_run_that_ended_within_an_epoch_counts_its_steps(epoch, step, batch, duration):
    assert Status("e", "done", epoch=epoch, step=step, batch=batch).duration == duration


def test_a_file_of_an_older_version_is_read(tmp_path):
    status.write(tmp_path, Status("e", "done", epoch=2, step=120))
    path = tmp_path / status.FILE
    content = json.loads(path.read_text())
    for name in ("targets", "batch", "earlier"):
        del content[name]
    path.write_text(json.dumps(content))
    assert status.read(tmp_path) == Status("e", "done", epoch=2, step=120, earlier=None)


def test_the_time_of_all_attempts_is_known_unless_one_was_of_an_older_version():
    assert Status("e", "done", started=100.0, heartbeat=160.0).seconds == 60
    assert Status("e", "done", started=100.0, heartbeat=160.0, earlier=30.0).seconds == 90
    assert Status("e", "done", started=100.0, heartbeat=90.0, earlier=30.0).seconds == 30, "the clock was put back"
    assert Status("e", "done", started=100.0, heartbeat=160.0, earlier=None).seconds is None
