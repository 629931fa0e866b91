"""Sweeps on a real Slurm, whose jobs are cancelled, requeued, adopted, held back and lost, end as on this machine.

Slurm has two nodes here, on one machine, and starts with the first test that needs it.
"""

import json
import signal

import pytest
from slurm import HIDDEN
from stopped_jobs import stop_when_started

from command_process import wait_until
from run_results import results
from unmix.cluster import record
from unmix.cluster.slurm import SlurmArray
from unmix.cluster.submission import Request, Resources
from unmix.experiments import status

LONG = ["data.samples_per_track=12", "trainer.max_epochs=4"]
GRID = ["target=drums,bass", "model.bidirectional=true,false"]


def local(arguments):
    """The same arguments for this machine."""
    return [argument for argument in arguments if not argument.startswith("hydra")]


def jobs_of(out):
    """Folder of a run -> its Slurm job, once that has started."""
    return {run: written.job for run in record.runs(out) if (written := record.read(run)).job}


def is_training(run):
    """Whether a living process has written a checkpoint."""
    now = status.read(run)
    return now is not None and now.is_alive() and (run / "checkpoints" / "last.ckpt").exists()


def queued(cluster):
    """Ids of the jobs that wait or run."""
    return set(cluster.run("squeue", "--noheader", "--array", "--format=%i").split())


def submitted(cluster):
    """Ids of all jobs that Slurm knows."""
    return set(cluster.run("squeue", "--noheader", "--array", "--states=all", "--format=%i").split())


@pytest.mark.slow
def test_a_sweep_whose_jobs_are_cancelled_and_requeued_in_mid_epoch_ends_as_on_this_machine(
    cluster, on_slurm, cli, capfd, tmp_path
):
    here, there = tmp_path / "here", tmp_path / "there"
    grid = ["-m", *on_slurm, *LONG, *GRID]
    assert cli("train", *grid, f"paths.out={there}", "hydra.launcher.wait=false") == 0
    assert "4 queued" in capfd.readouterr().out
    before = submitted(cluster)
    wait_until(lambda: sum(is_training(run) for run in jobs_of(there)) >= 2)
    cancelled, requeued, *_ = [run for run in jobs_of(there) if is_training(run)]
    cluster.run("scancel", jobs_of(there)[cancelled])
    cluster.run("scancel", "--signal=USR2", jobs_of(there)[requeued])
    wait_until(lambda: jobs_of(there)[cancelled] not in queued(cluster))
    code = cli("train", *grid, f"paths.out={there}")
    printed = capfd.readouterr()
    assert code == 0, printed
    assert "4 done" in printed.out
    assert record.read(requeued).attempt == 1
    assert len(submitted(cluster) - before) == 1, "three jobs were adopted, the cancelled one submitted again"
    assert cli("train", *local(grid), f"paths.out={here}", "hydra/launcher=basic") == 0
    assert results(there) == results(here)
    log = "".join(path.read_text() for path in there.glob("sweeps/*/*.log"))
    assert log.count("continues at epoch") == 2


@pytest.mark.slow
def test_a_job_that_a_search_prunes_is_told_to_stop_and_not_requeued(cluster, tmp_path, stoppable):
    request = Request(tmp_path / "slurm", minutes=60, signal_seconds=10)
    engine = SlurmArray(1, request, {stoppable.run: Resources()}, waits=True)
    (job,) = engine.add([stoppable])
    stop_when_started(engine, job)
    assert queued(cluster) == set()


@pytest.mark.slow
def test_a_job_of_two_ranks_that_is_requeued_ends_as_on_this_machine(
    cluster, on_slurm, cli, capfd, tmp_path, write_tree, start
):
    valid = ["Actions - One Minute Smile", "Leaf - Summerghost"]
    root = write_tree(tmp_path / "tree", ["A - B", "C - D", *valid])
    changed = [f"data.root={root}", f"data.validation_tracks=[{','.join(valid)}]", "target=drums"]
    command = [*on_slurm, *changed, *LONG, "trainer=ddp_cpu"]
    here, there = tmp_path / "here", tmp_path / "there"
    assert cli("train", *command, f"paths.out={there}", "hydra.launcher.wait=false") == 0
    wait_until(lambda: any(is_training(run) for run in jobs_of(there)))
    ((run, job),) = jobs_of(there).items()
    cluster.run("scancel", "--signal=USR2", job)
    assert cli("train", *command, f"paths.out={there}") == 0, capfd.readouterr()
    assert record.read(run).attempt == 1
    log = tmp_path / "log"
    assert start("train", *local(command), f"paths.out={here}", log=log).wait() == 0, log.read_text()
    assert results(there) == results(here)


@pytest.mark.slow
def test_jobs_that_wait_survive_the_command_and_the_controller_and_are_adopted(
    drained, on_slurm, cli, capfd, tmp_path, start
):
    out, log = tmp_path / "out", tmp_path / "log"
    command = ["-m", *on_slurm, "target=drums,bass", f"paths.out={out}"]
    process = start("train", *command, log=log)
    wait_until(lambda: log.exists() and log.read_text().count("queued") >= 2 and len(submitted(drained)) >= 2)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130
    ids = sorted(queued(drained))
    assert f"the jobs go on in Slurm; `scancel {' '.join(ids)}` ends them" in log.read_text()

    drained.stop_controller()
    drained.start_controller()
    wait_until(lambda: "drain" in drained.state())
    assert cli("train", *command, "hydra.launcher.wait=false") == 0
    assert "2 queued" in capfd.readouterr().out
    assert queued(drained) == set(ids)

    assert cli("leaderboard", f"paths.out={out}") == 0
    printed = capfd.readouterr().out
    assert "Jobs without a run" in printed
    assert printed.count("queued") == 2
    drained.run("scancel", *ids)
    assert cli("leaderboard", f"paths.out={out}") == 0
    assert capfd.readouterr().out.count("interrupted") == 2


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("partition=lnog", r"hydra.launcher.partition: got 'lnog', but Slurm refused the jobs (Invalid partition name"),
        ("constraint=fast", "hydra.launcher.constraint: got 'fast', but Slurm refused the jobs (Invalid feature"),
        ("extra=--qso=long", "hydra/launcher: Slurm refused the jobs (unrecognized option '--qso=long')"),
    ],
)
def test_what_slurm_refuses_is_said_in_one_line(cluster, on_slurm, cli, capfd, tmp_path, option, message):
    command = [*on_slurm, f"paths.out={tmp_path / 'out'}", f"hydra.launcher.{option}"]
    assert cli("train", *command) == 2
    printed = capfd.readouterr().err
    assert len(printed.splitlines()) == 1, printed
    (line,) = printed.splitlines()
    assert line.startswith("train: ")
    assert message in line
    assert not list(record.runs(tmp_path / "out")), "the next command does not look for a job that never was"


def test_gpus_that_the_cluster_lacks_are_named(cluster, on_slurm, cli, capfd, tmp_path):
    assert cli("train", *on_slurm, f"paths.out={tmp_path / 'out'}", "trainer.gpus=4") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "trainer.gpus: Slurm refused the jobs (Invalid generic resource (gres) specification); no node" in line


def test_a_folder_that_the_node_does_not_see_is_named(cluster, on_slurm, cli, capfd):
    out = cluster.folder / HIDDEN / "out"
    assert cli("train", *on_slurm, f"paths.out={out}") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "ended as FAILED (JobLaunchFailure); does that node see " in line
    assert f"{out / 'sweeps'}" in line
    assert "paths.out must be a folder that all nodes share" in line


@pytest.mark.slow
def test_a_job_that_fails_on_its_node_is_said_with_the_last_line_of_its_log(cluster, on_slurm, cli, capfd, tmp_path):
    command = [*on_slurm, f"paths.out={tmp_path / 'out'}", "data.root=/on/the/node"]
    assert cli("train", *command, "target=drums") == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "drums-s42: train: data.root: /on/the/node" in line
    assert cli("leaderboard", f"paths.out={tmp_path / 'out'}") == 0
    assert "data.root: /on/the/node" in capfd.readouterr().out
    (run,) = record.runs(tmp_path / "out")
    assert json.loads(record.path_of(run).read_text())["exit_code"] == 2
