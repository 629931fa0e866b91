"""Faults on a real Slurm, at random moments, each followed by the same command; prints a table. By hand:

    PYTHONPATH=src:tests python tests/cluster/faults.py [repetitions] [seed] [faults]

A sweep of two jobs, which write a checkpoint after every batch, is disturbed once per row. `bit-equal` compares
weights, optimiser, schedule and metrics.csv with a sweep on this machine.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from slurm import NODES, Cluster
from test_slurm import is_training, jobs_of

from run_results import results
from unmix.cluster import record
from unmix.experiments import status

TRAIN = str(Path(__file__).parents[2] / "src" / "train.py")
SETTINGS = (
    "-m target=drums,bass data=demo data.prepare.num_tracks=6 data.prepare.seconds=2 data.segment_seconds=0.5",
    "data.samples_per_track=12 data.batch_size=4 data.num_workers=0 model.hidden_size=16 trainer.gpus=0",
    "trainer.max_epochs=8 evaluation.after_training=false checkpoint.every_minutes=0",
)


def scancel(cluster, run):
    cluster.run("scancel", jobs_of(run.parents[2])[run])


def time_limit(cluster, run):
    cluster.run("scancel", "--signal=USR2", jobs_of(run.parents[2])[run])


def requeue_by_the_administrator(cluster, run):
    cluster.run("scontrol", "requeue", jobs_of(run.parents[2])[run])


def kill_the_training(_, run):
    psutil.Process(record.read(run).pid).kill()


def restart_the_controller(cluster, _):
    cluster.daemons["slurmctld"].kill()
    cluster.stop_controller()
    time.sleep(3)
    cluster.start_controller()


def kill_the_node_and_start_it_again(cluster, run):
    cluster.kill_node(_node_of(cluster, run))
    time.sleep(3)
    cluster.start_nodes()


def kill_the_node_for_good(cluster, run):
    cluster.kill_node(_node_of(cluster, run))


def _node_of(cluster, run):
    return cluster.run("squeue", "--noheader", f"--jobs={jobs_of(run.parents[2])[run]}", "--format=%N").strip()


def set_the_nodes_down(cluster, _):
    for node in NODES:
        cluster.run("scontrol", "update", f"nodename={node}", "state=down", "reason=power")
    while set(cluster.state().split()) != {"idle"}:  # it registers again
        time.sleep(1)


FAULTS = (
    scancel,
    time_limit,
    requeue_by_the_administrator,
    kill_the_training,
    restart_the_controller,
    set_the_nodes_down,
    kill_the_node_and_start_it_again,
    kill_the_node_for_good,
)


def command(*arguments):
    return [sys.executable, TRAIN, *arguments]


def disturb(cluster, fault, out, options, generator):
    """Run the sweep, disturb it once, run it again until it is done; returns the moment and the number of commands."""
    slurm = [*options, "hydra/launcher=slurm", "hydra.launcher.signal_seconds=10", f"paths.out={out}"]
    subprocess.run(command(*slurm, "hydra.launcher.wait=false"), check=True, stdout=subprocess.DEVNULL)
    batch = generator.randint(1, 60)
    while True:
        started = [run for run in jobs_of(out) if is_training(run)]
        run = started[0] if started else None
        if run is not None and (status.read(run).epoch * 12 + 12) > batch:
            break
        time.sleep(0.05)
    now = status.read(run)
    fault(cluster, run)
    for count in range(1, 6):
        if subprocess.run(command(*slurm, "retry=true"), stdout=subprocess.DEVNULL).returncode == 0:
            return f"epoch {now.epoch + 1}", count
    return f"epoch {now.epoch + 1}", 0


def main(repetitions=1, seed=0, *names):
    generator = random.Random(seed)
    folder = Path(tempfile.mkdtemp(prefix="faults"))
    os.environ |= {"UNMIX_DATA": str(folder / "data"), "OMP_NUM_THREADS": "1"}
    options = " ".join(SETTINGS).split()
    subprocess.run(command(*options, f"paths.out={folder / 'here'}"), check=True, stdout=subprocess.DEVNULL)
    expected = results(folder / "here")
    print("| fault | in | same command, times | result |\n|---|---|---|---|", flush=True)
    cluster = Cluster(folder / "slurm", silence_seconds=15)
    os.environ.update(cluster.environment)
    try:
        for number in range(repetitions):
            for fault in [fault for fault in FAULTS if not names or fault.__name__ in names]:
                out = folder / f"{fault.__name__}-{number}"
                moment, count = disturb(cluster, fault, out, options, generator)
                result = "bit-equal" if results(out) == expected else "DIFFERENT"
                print(f"| {fault.__name__.replace('_', ' ')} | {moment} | {count} | {result} |", flush=True)
                cluster.start_nodes()
    finally:
        cluster.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]), *sys.argv[3:])
