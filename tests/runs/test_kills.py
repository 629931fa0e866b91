"""Killed with SIGKILL, again and again: the same command ends as if nothing had been, and leaves no process behind."""

import json
import os
import random
import re
import signal

import psutil
import pytest

from command_process import wait_until
from run_results import results
from unmix.experiments import status

SINGLE = ["data.samples_per_track=12", "trainer.max_epochs=10", "checkpoint.every_minutes=0", "target=drums"]
GRID = ["target=drums,bass", "model.bidirectional=true,false"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arguments(train_arguments):
    return [argument for argument in train_arguments if not argument.startswith("hydra/")]


@pytest.fixture
def finish(start):
    """Run a training to its end."""

    def run(*arguments, log):
        assert start("train", *arguments, log=log).wait() == 0, log.read_text()

    return run


def processes_of(out):
    """Processes that have this folder on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and any(str(out) in part for part in process.info["cmdline"] or []):
            found.append(process)
    return found


def progress_of(out):
    """(finished jobs, steps) of everything below."""
    found = []
    for path in out.glob("runs/*/*/status.json"):
        try:
            found.append(json.loads(path.read_text()))
        except FileNotFoundError:
            continue  # renamed in this moment
    return sum(one["state"] == "done" for one in found), sum(one["step"] for one in found)


def test_a_run_killed_at_ten_random_moments_is_bit_identical(arguments, start, finish, tmp_path):
    """Each batch is followed by a checkpoint; the run is killed after a random number of them, in mid-epoch mostly."""
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    finish(*arguments, *SINGLE, f"paths.out={straight}", log=tmp_path / "straight.log")
    log, generator = tmp_path / "killed.log", random.Random(0)
    for count in (0, 0, *(generator.randint(1, 7) for _ in range(8))):  # 0: with no new one
        process = start("train", *arguments, *SINGLE, f"paths.out={killed}", log=log)
        seen = checkpoints_of(killed)
        wait_until(
            lambda process=process, count=count, seen=seen: (
                process.poll() is not None or has_written(killed, count, seen)
            ),
            poll_seconds=0.002,
        )
        assert process.poll() is None, log.read_text()
        process.kill()
    finish(*arguments, *SINGLE, f"paths.out={killed}", log=log)
    positions = re.findall(r"continues at epoch \d+, batch (\d+)", log.read_text())
    assert any(0 < int(batch) < 12 for batch in positions), log.read_text()
    assert results(killed) == results(straight)


def checkpoints_of(out):
    """Identities of the checkpoints that a run could be resumed from."""
    return {path.stat().st_mtime_ns for path in out.glob("runs/*/*/checkpoints/last.ckpt")}


def has_written(out, count, seen):
    """Whether a living process holds the run and has written so many checkpoints; `seen` collects them."""
    try:
        seen |= checkpoints_of(out)
    except FileNotFoundError:
        return False  # renamed in this moment
    statuses = [status.read(path.parent) for path in out.glob("runs/*/*/status.json")]
    return len(seen) > count and any(run is not None and run.is_alive() for run in statuses)


def on_two_cores():
    """Leave two cores to this process, so that two jobs at a time have one thread each, as the tests' own process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])


def test_a_sweep_killed_twice_ends_with_all_jobs_done_and_no_orphan(arguments, start, cli, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    grid, log = ["-m", *arguments, *GRID, "slots=2"], tmp_path / "killed.log"
    assert cli("train", *grid, f"paths.out={straight}", "hydra/launcher=basic") == 0
    for num_done in (1, 2):
        process = start("train", *grid, f"paths.out={killed}", log=log, before=on_two_cores)
        wait_until(lambda num_done=num_done: progress_of(killed)[0] >= num_done)
        process.kill()
        wait_until(lambda: not processes_of(killed))
    assert start("train", *grid, f"paths.out={killed}", log=log, before=on_two_cores).wait() == 0, log.read_text()
    assert progress_of(killed)[0] == 4
    assert not processes_of(killed)
    assert results(killed) == results(straight)
    assert len(results(killed)) == 4


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_sweep_that_is_stopped_stops_its_jobs_after_a_checkpoint(arguments, start, tmp_path, signum, code):
    out, log = tmp_path / "out", tmp_path / "log"
    options = [*arguments, "trainer.max_epochs=1000", "target=drums,bass,other", "slots=2", f"paths.out={out}"]
    process = start("train", "-m", *options, log=log)
    wait_until(lambda: len(list(out.glob("runs/*/*/checkpoints/last.ckpt"))) == 2)
    process.send_signal(signum)
    assert process.wait() == code, log.read_text()
    assert not processes_of(out)
    states = {path.parent.name: status.read(path.parent).state for path in out.glob("runs/*/*/status.json")}
    assert states == {"drums-s42": "interrupted", "bass-s42": "interrupted"}
    assert "the same command goes on" in log.read_text()
