"""Ranks that torchrun starts: the results of our own, one of them dies, two machines, and what is refused."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from command_process import PATIENCE, SOURCE, wait_until
from unmix.experiments import status

VALID = ["Actions - One Minute Smile", "Leaf - Summerghost", "Meaxic - Take A Step"]  # do not divide by two
TOY = Path(__file__).parents[1] / "toy"
EPOCHS = 8


@pytest.fixture(scope="module")
def arguments(train_arguments, write_tree, tmp_path_factory):
    """A training of all sources at once, which an evaluation follows."""
    root = write_tree(tmp_path_factory.mktemp("torchrun") / "tree", ["A - B", "C - D", *VALID], ["T - T"])
    left_out = ("hydra/", "data.root", "data.validation", "model.", "trainer.", "evaluation.after")
    return [
        *(one for one in train_arguments if not one.startswith(left_out)),
        *("experiment=demo", "plugins=[my_package]", "model=my_model", "objective=my_objective", "target=all"),
        *("trainer.gpus=0", f"trainer.max_epochs={EPOCHS}", f"data.root={root}"),
        f"data.validation_tracks=[{','.join(VALID)}]",
    ]


@pytest.fixture
def torchrun():
    """Starts train.py by torchrun, with its options and those of the command; none outlives its test."""
    started = []

    def run(options, arguments, log):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCE), str(TOY)])}
        command = [sys.executable, "-m", "torch.distributed.run", *options, str(SOURCE / "train.py")]
        with log.open("ab") as output:
            started.append(
                subprocess.Popen(
                    [*command, "--config-dir", str(TOY / "my_conf"), *arguments],
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                )
            )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def only_run(out):
    return next(iter(out.glob("runs/*/all-s42")), None)


def epoch_of(out):
    run = only_run(out)
    now = None if run is None else status.read(run)
    return 0 if now is None else now.epoch


def result(out):
    run = only_run(out)
    rows = [(row["step"], row["train/loss"], row["val/loss"]) for row in csv.DictReader((run / "metrics.csv").open())]
    return status.read(run).state, status.read(run).weights, rows


def evaluation_of(out):
    (summary,) = out.glob("runs/*/eval/*/summary.json")
    return json.loads(summary.read_text())["medians"]


def rank_of(process):
    return process.environ().get("RANK")


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.mark.slow
def test_a_run_of_torchrun_loses_a_rank_is_continued_on_two_machines_and_ends_like_our_own(
    arguments, torchrun, start, tmp_path
):
    own, ours = tmp_path / "own", tmp_path / "own.log"
    expected = start(
        "train",
        *("--config-dir", str(TOY / "my_conf")),
        *arguments,
        *("trainer=ddp_cpu", f"paths.out={own}"),
        log=ours,
        environment={"PYTHONPATH": os.pathsep.join([str(SOURCE), str(TOY)])},
        before=import_from_toy,
    )
    out, log = tmp_path / "out", tmp_path / "log"
    process = torchrun(["--standalone", "--nproc-per-node=2"], [*arguments, "trainer=ddp_cpu", f"paths.out={out}"], log)
    wait_until(lambda: epoch_of(out) >= 2 or process.poll() is not None)
    assert process.poll() is None, log.read_text()
    (second,) = (child for child in psutil.Process(process.pid).children() if rank_of(child) == "1")
    second.send_signal(signal.SIGKILL)
    assert process.wait(PATIENCE) == 1
    assert status.read(only_run(out)).state == "interrupted", log.read_text()
    assert epoch_of(out) < EPOCHS
    assert "the same command continues" in log.read_text()

    port = free_port()
    machines = []
    for machine in (0, 1):
        options = ["--nnodes=2", "--nproc-per-node=1", f"--node-rank={machine}", "--master-addr=127.0.0.1"]
        given = [*arguments, "trainer.num_nodes=2", f"paths.out={out}"]
        machines.append(torchrun([*options, f"--master-port={port}"], given, tmp_path / f"log{machine}"))
    assert [each.wait(PATIENCE) for each in machines] == [0, 0], (tmp_path / "log0").read_text()
    assert expected.wait() == 0, ours.read_text()
    assert result(out) == result(own)
    assert evaluation_of(out) == evaluation_of(own)
    printed = [(tmp_path / f"log{machine}").read_text() for machine in (0, 1)]
    assert "continues at epoch" in printed[0]
    assert "report:" in printed[0]
    assert "epoch" not in printed[1]


def import_from_toy():
    """Let a command that is forked from a server import the package of the toy."""
    sys.path.append(str(TOY))


@pytest.fixture
def started_by_torchrun(monkeypatch):
    """This process is the only one that torchrun started."""
    from unmix.processes import signals

    monkeypatch.setattr(signals, "die_with_parent", lambda *_: None)
    values = {"TORCHELASTIC_RUN_ID": "none", "RANK": 0, "LOCAL_RANK": 0, "WORLD_SIZE": 1, "LOCAL_WORLD_SIZE": 1}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["trainer=ddp_cpu"],
            "train: trainer.cpu_processes: got 2 on each of 1 machine (trainer.num_nodes), but torchrun started "
            "1 process, 1 on this one; give trainer.cpu_processes the number of --nproc-per-node, and "
            "trainer.num_nodes that of --nnodes\n",
        ),
        (
            ["trainer.num_nodes=2"],
            "train: trainer.cpu_processes: got 1 on each of 2 machines (trainer.num_nodes), but torchrun started "
            "1 process, 1 on this one; give trainer.cpu_processes the number of --nproc-per-node, and "
            "trainer.num_nodes that of --nnodes\n",
        ),
        (
            ["-m", "seed=1,2"],
            "train: torchrun: a sweep gives every job processes of its own; python src/train.py -m without torchrun, "
            "and trainer.gpus=N for the processes of a job\n",
        ),
    ],
)
def test_what_torchrun_started_differently_is_refused_in_one_line(
    started_by_torchrun, train_arguments, cli, capfd, tmp_path, options, message
):
    flags, overrides = [one for one in options if one == "-m"], [one for one in options if one != "-m"]
    assert cli("train", *flags, *train_arguments, *overrides, f"paths.out={tmp_path / 'out'}") == 2
    assert capfd.readouterr().err == message
    assert not (tmp_path / "out").exists()


def test_other_commands_refuse_the_ranks_of_torchrun(monkeypatch):
    from unmix import torchrun

    torchrun.check("evaluate", is_sweep=False)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    torchrun.check("train", is_sweep=False)
    with pytest.raises(ValueError, match=r"torchrun: evaluate.py starts its own processes; python src/evaluate.py"):
        torchrun.check("evaluate", is_sweep=False)


def test_only_the_loss_of_another_rank_of_torchrun_counts_as_a_signal(monkeypatch):
    from unmix import torchrun
    from unmix.processes.signals import Interrupted

    def run(message):
        with torchrun.stopping_together():
            raise RuntimeError(message)

    lost = "[gloo/transport/tcp/pair.cc:545] Read error [127.0.0.1]:6043: Connection reset by peer"
    with pytest.raises(RuntimeError, match="Read error"):
        run(lost)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    with pytest.raises(RuntimeError, match="shapes differ"):
        run("shapes differ")
    with pytest.raises(Interrupted):
        run(lost)
