"""Killed with SIGKILL, again and again: the same command ends as if nothing had been, and leaves no process behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from unmix.experiments import status

TRAIN = Path(__file__).parents[2] / "src" / "train.py"
SINGLE = ["data.samples_per_track=12", "trainer.max_epochs=20", "checkpoint.every_minutes=0", "target=drums"]
GRID = ["target=drums,bass", "model.hidden_size=16,32", "model.bidirectional=true,false"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arguments(train_arguments):
    return [argument for argument in train_arguments if not argument.startswith("hydra/")]


def start(*arguments, log):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, str(TRAIN), *arguments], stdout=output, stderr=subprocess.STDOUT, env=environment
        )


def finish(*arguments, log):
    assert start(*arguments, log=log).wait(300) == 0, log.read_text()


def results(out):
    """By run folder: weights, optimiser, schedule, early stopping and metrics.csv."""
    found = {}
    for run in sorted(out.glob("runs/*/*-s42")):
        content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        kept = [content[name] for name in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks")]
        found[run.relative_to(out)] = (flat(kept), (run / "metrics.csv").read_bytes(), status.read(run).state)
    return found


def flat(value):
    if isinstance(value, dict):
        return {name: flat(child) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [flat(child) for child in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def processes_of(out):
    """Processes that have this folder on their command line."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if is_alive and any(str(out) in part for part in process.info["cmdline"] or []):
            found.append(process)
    return found


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def progress_of(out):
    """(finished jobs, steps) of everything below."""
    found = []
    for path in out.glob("runs/*/*/status.json"):
        try:
            found.append(json.loads(path.read_text()))
        except FileNotFoundError:
            continue  # renamed in this moment
    return sum(one["state"] == "done" for one in found), sum(one["step"] for one in found)


def test_a_run_killed_at_ten_random_moments_is_bit_identical(arguments, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    finish(*arguments, *SINGLE, f"paths.out={straight}", log=tmp_path / "straight.log")
    log, moments = tmp_path / "killed.log", random.Random(0)
    for _ in range(10):
        process = start(*arguments, *SINGLE, f"paths.out={killed}", log=log)
        wait_until(lambda process=process: is_running(killed) or process.poll() is not None, 120)
        time.sleep(moments.uniform(0.0, 0.8))
        process.kill()
        assert process.wait() in (-signal.SIGKILL, 0)
    finish(*arguments, *SINGLE, f"paths.out={killed}", log=log)
    assert log.read_text().count("continues at epoch") >= 3, log.read_text()
    assert results(killed) == results(straight)


def is_running(out):
    return any(one.is_alive() for path in out.glob("runs/*/*/status.json") if (one := status.read(path.parent)))


def test_a_sweep_killed_twice_ends_with_all_jobs_done_and_no_orphan(arguments, tmp_path):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    grid = ["-m", *arguments, *GRID, "slots=2"]
    finish(*grid, f"paths.out={straight}", log=tmp_path / "straight.log")
    log = tmp_path / "killed.log"
    for num_done in (2, 5):
        process = start(*grid, f"paths.out={killed}", log=log)
        wait_until(lambda num_done=num_done: progress_of(killed)[0] >= num_done, 240)
        process.kill()
        process.wait()
        wait_until(lambda: not processes_of(killed), 60)
    finish(*grid, f"paths.out={killed}", log=log)
    assert progress_of(killed)[0] == 8
    assert not processes_of(killed)
    assert results(killed) == results(straight)
    assert len(results(killed)) == 8


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_sweep_that_is_stopped_stops_its_jobs_after_a_checkpoint(arguments, tmp_path, signum, code):
    out, log = tmp_path / "out", tmp_path / "log"
    options = [*arguments, "trainer.max_epochs=1000", "target=drums,bass,other", "slots=2", f"paths.out={out}"]
    process = start("-m", *options, log=log)
    wait_until(lambda: len(list(out.glob("runs/*/*/checkpoints/last.ckpt"))) == 2, 120)
    process.send_signal(signum)
    assert process.wait(60) == code, log.read_text()
    assert not processes_of(out)
    states = {path.parent.name: status.read(path.parent).state for path in out.glob("runs/*/*/status.json")}
    assert states == {"drums-s42": "interrupted", "bass-s42": "interrupted"}
    assert "the same command goes on" in log.read_text()
