"""A real Slurm for this session, and trainings that its jobs can run."""

import sys
from collections.abc import Sequence

import pytest
import stopped_jobs
from slurm import Cluster, Unavailable

from unmix.processes.jobs import Task


@pytest.fixture(scope="session")
def started_cluster(tmp_path_factory):
    try:
        cluster = Cluster(tmp_path_factory.mktemp("slurm"))
    except Unavailable as reason:
        pytest.skip(f"Slurm cannot be started here: {reason}")
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(started_cluster, monkeypatch):
    """A cluster without jobs, which the commands of this process find, and ask every half second."""
    monkeypatch.setattr("unmix.cluster.slurm.POLL_SECONDS", 0.5)
    for name, value in started_cluster.environment.items():
        monkeypatch.setenv(name, value)
    yield started_cluster
    started_cluster.run("scancel", "--user", "root")


@pytest.fixture
def drained(cluster):
    """The cluster, whose nodes start no job."""
    cluster.run("scontrol", "update", "nodename=ALL", "state=drain", "reason=repair")
    yield cluster
    cluster.resume()


@pytest.fixture(scope="session")
def on_slurm(train_arguments):
    """Arguments of a training that Slurm runs; it writes a checkpoint after every batch."""
    kept = [argument for argument in train_arguments if not argument.startswith("hydra/")]
    return [*kept, "checkpoint.every_minutes=0", "hydra/launcher=slurm", "hydra.launcher.signal_seconds=10"]


@pytest.fixture
def stoppable(tmp_path):
    """A job that waits until it is stopped."""
    command = [sys.executable, "-c", stopped_jobs.PROGRAM]
    return Task(command, tmp_path / "runs" / "e" / "drums-s42", tmp_path / "log", {}, lambda: True)


PROGRAM = """#!/bin/sh
[ "$1" = --noheader ] && exec /bin/cat "{folder}/queue"
/bin/cp "$1" "{folder}/script"
{answer}
"""


@pytest.fixture
def fake_slurm(tmp_path, monkeypatch):
    """Makes programs that stand for Slurm's, the only ones on PATH, and returns their folder.

    Its file `queue` is what `squeue` and `sinfo` print; `script` is what was given to `sbatch`, which runs `answer`.
    """

    def make(
        answer: str = "echo Submitted batch job 7", programs: Sequence[str] = ("sbatch", "srun", "squeue", "sinfo")
    ):
        folder = tmp_path / "slurm"
        folder.mkdir()
        (folder / "queue").touch()
        for name in programs:
            (folder / name).write_text(PROGRAM.format(folder=folder, answer=answer))
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return make
