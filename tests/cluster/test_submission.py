"""What is asked of Slurm, and what is refused before: on any machine, with programs that stand for Slurm's."""

import errno
import json
import os
import re
import subprocess
import sys

import pytest

from unmix import extras
from unmix.cluster import node, options, queue, record
from unmix.cluster.node import TrainingOnNode
from unmix.cluster.record import Record
from unmix.cluster.slurm import SlurmArray
from unmix.cluster.submission import Request, Resources
from unmix.experiments import status
from unmix.processes.jobs import Task


@pytest.fixture
def submit(fake_slurm, on_slurm, cli, capfd, tmp_path):
    """Submit a training to programs that stand for Slurm's; returns the exit code, what is printed, and the script."""

    def run(*arguments, queued="", **fake):
        folder = fake_slurm(**fake)
        (folder / "queue").write_text(queued)
        code = cli("train", *on_slurm, f"paths.out={tmp_path / 'out'}", "hydra.launcher.wait=false", *arguments)
        script = folder / "script"
        return code, capfd.readouterr(), script.read_text() if script.exists() else ""

    return run


def options_of(script):
    """Options of sbatch in a script, by name."""
    found = re.findall(r"^#SBATCH --([a-z-]+)(?:=(.*))?$", script, re.MULTILINE)
    return {name: value.strip("'") for name, value in found}


def test_a_job_asks_for_exactly_what_it_needs_on_a_login_node_without_gpus_and_data(submit):
    code, printed, script = submit(
        *("-m", "trainer.gpus=4", "trainer.num_nodes=2", "data.num_workers=3", "target=drums,bass,other"),
        *("hydra.launcher.partition=long", "hydra.launcher.time=2-12:30:00", "hydra.launcher.mem=64GB"),
        *("hydra.launcher.account=music", "hydra.launcher.constraint=a100|h100", "hydra.launcher.max_parallel=2"),
        *(
            "hydra.launcher.extra=--qos=long --exclusive",
            "hydra.launcher.setup=export NCCL_DEBUG=WARN; module load cuda",
        ),
        "data.root=/nowhere/on/the/login/node",
    )
    assert code == 0, printed
    assert "3 queued" in printed.out
    asked = options_of(script)
    asked.pop("output")
    assert asked.pop("job-name").startswith("unmix-")
    assert asked == {
        "account": "music",
        "array": "0-2%2",
        "constraint": "a100|h100",
        "cpus-per-task": "4",
        "exclusive": "",
        "gpus-per-node": "4",
        "mem": "64GB",
        "nodes": "2",
        "ntasks-per-node": "4",
        "open-mode": "append",
        "partition": "long",
        "qos": "long",
        "requeue": "",
        "signal": "USR2@10",
        "time": str(60 * 60 + 30),
        "wckey": "submitit",
    }
    assert "\nexport NCCL_DEBUG=WARN; module load cuda\n" in script
    assert "--cpus-per-task=4 --kill-on-bad-exit=1" in script


@pytest.mark.parametrize(("resources", "expected"), [("gpu:4\n(null)\n", "1"), ("(null)\n", None)])
def test_the_default_is_one_gpu_where_the_cluster_has_some(submit, resources, expected):
    _, _, script = submit("trainer.gpus=null", queued=resources)
    assert options_of(script).get("gpus-per-node") == expected


@pytest.fixture
def engine(fake_slurm, tmp_path):
    """An engine for three jobs, of which `other` needs two ranks."""
    fake_slurm()
    needs = {tmp_path / name: Resources(tasks_per_node=1 + (name == "other")) for name in ("drums", "bass", "other")}
    made = SlurmArray(3, Request(tmp_path / "slurm", 60, 10), needs, waits=True)
    yield made
    made.close()


def task(tmp_path, name, *, is_needed=True):
    return Task(["true"], tmp_path / name, tmp_path / f"{name}.log", {}, lambda: is_needed)


def test_jobs_with_other_needs_are_an_array_of_their_own_and_finished_ones_are_in_none(engine, tmp_path):
    tasks = [task(tmp_path, "drums"), task(tmp_path, "bass", is_needed=False), task(tmp_path, "other")]
    drums, bass, other = engine.add(tasks)
    assert {job.waits_as for job in engine.jobs} == {"waiting"}
    engine.step(may_start=True)
    assert (bass.was_skipped, drums.waits_as, other.waits_as) == (True, "queued", "queued")
    assert drums.key[0] != other.key[0]
    assert record.read(tmp_path / "bass") is None


def test_after_a_failure_no_queued_job_starts_when_it_shall_not(engine, tmp_path):
    (drums,) = engine.add([task(tmp_path, "drums")])
    engine.step(may_start=True)
    (tmp_path / "slurm" / "scancel").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/cancelled\n')
    (tmp_path / "slurm" / "scancel").chmod(0o755)
    engine.step(may_start=False)
    assert drums.was_skipped
    assert (tmp_path / "cancelled").read_text() == "7\n"


@pytest.mark.parametrize(
    ("state", "written", "code"),
    [
        ("COMPLETED", 0, 0),
        ("COMPLETED", None, 0),  # a file system that shows late what other machines write
        ("FAILED", 2, 2),
        ("FAILED", None, 1),
        ("OUT_OF_MEMORY", None, 1),
        ("CANCELLED", None, 75),
        ("NODE_FAIL", None, 75),
        (None, None, 75),  # Slurm has forgotten it
        (None, 0, 0),
    ],
)
def test_how_a_job_ended_is_what_it_wrote_or_else_what_slurm_says(engine, tmp_path, state, written, code):
    (drums,) = engine.add([task(tmp_path, "drums")])
    engine.step(may_start=True)
    record.write(tmp_path / "drums", Record(*drums.key, "log", exit_code=written))
    engine._learn({} if state is None else {drums.key: queue.Entry("7", state, "node1", "", "NonZeroExitCode")})
    assert drums.exit_code == code
    assert (tmp_path / "drums.log").exists() == (code == 1)


def test_dry_run_asks_slurm_for_nothing(submit):
    code, printed, script = submit("dry_run=true", "trainer.gpus=2", "data.root=/nowhere")
    assert (code, script) == (0, "")
    assert "2 x gpu" in printed.out


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("hydra.launcher.time=1h", "hydra.launcher.time: got '1h', a time limit is needed: minutes, HH:MM:SS or D-"),
        ("hydra.launcher.time=0", "hydra.launcher.time: got 0, a time limit is needed"),
        ("hydra.launcher.time=00:00:10", "hydra.launcher.time: got '00:00:10', allowed more than"),
        ("hydra.launcher.max_parallel=0", "hydra.launcher.max_parallel: got 0, allowed 1 or more"),
        ("hydra.launcher.cpus_per_task=no", "hydra.launcher.cpus_per_task: got "),
        ("hydra.launcher.wait=maybe", "hydra.launcher.wait: got 'maybe', allowed true, false"),
        ("hydra.launcher.extra=qos", "hydra.launcher.extra: got 'qos', long options of sbatch are needed"),
        ("hydra.launcher.partition=[a]", "hydra.launcher.partition: got ['a'], a text is needed"),
        ("hydra.launcher.setup=[a,a]", "hydra.launcher.setup: got a, a, which names a twice"),
        ("hydra.launcher.signal_seconds=0", "hydra.launcher.signal_seconds: got 0, allowed 1 or more"),
        ("trainer.gpus=-1", "trainer.gpus: got -1, but Slurm chooses the GPUs: a number of them per node is needed"),
        ("trainer.gpus=[0,1]", "trainer.gpus: got [0, 1], but Slurm chooses the GPUs"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_submitted(submit, tmp_path, setting, message):
    code, printed, script = submit("hydra.launcher.signal_seconds=60", setting)
    assert (code, script) == (2, "")
    (line,) = printed.err.splitlines()
    assert line.startswith(f"train: {message}")
    assert not (tmp_path / "out").exists()


def test_without_sbatch_the_command_says_where_to_go(submit):
    code, printed, _ = submit(programs=())
    assert code == 2
    (line,) = printed.err.splitlines()
    assert line.startswith(
        "train: hydra/launcher=slurm: sbatch is not on PATH; submit from a login node of the cluster"
    )


def test_without_submitit_the_command_says_what_to_install(submit, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    code, printed, _ = submit()
    assert code == 2
    (line,) = printed.err.splitlines()
    assert line.endswith("needs the package submitit, which is not installed: pip install 'unmix[slurm]'")
    assert line.startswith("train: hydra/launcher=slurm: ")


def test_a_full_disk_is_said_in_one_line(submit, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(record, "write", full)
    code, printed, script = submit()
    assert (code, script) == (2, "")
    (line,) = printed.err.splitlines()
    assert "cannot be written (No space left on device), so nothing was submitted" in line


@pytest.mark.parametrize(
    ("text", "expected"),
    [(90, 90), ("90", 90), ("1:30", 2), ("12:00:00", 720), ("2-0", 2880), ("1-12:30", 2190), ("1-00:00:01", 1441)],
)
def test_time_limits_mean_what_sbatch_takes_them_for(text, expected):
    assert options.minutes("time", text) == expected


def test_the_queue_is_read_as_squeue_prints_it():
    output = (
        "unmix-a|0|12_0|RUNNING|node1|2026-11-26T02:00:00|None\n"
        "unmix-a|1|12_1|PENDING||N/A|ReqNodeNotAvail, UnavailableNodes:node1\n"
        "unmix-b|N/A|13|COMPLETED|node2|2026-11-26T01:00:00|None\n"
    )
    entries = queue.parse(output)
    assert [entry.job for entry in entries.values()] == ["12_0", "12_1", "13"]
    running, waiting, ended = entries["unmix-a", 0], entries["unmix-a", 1], entries["unmix-b", 0]
    assert (running.is_running, waiting.is_waiting, ended.has_ended) == (True, True, True)
    assert (running.obstacle, waiting.obstacle) == ("", "ReqNodeNotAvail, UnavailableNodes:node1")


def test_a_damaged_record_is_named(tmp_path):
    run = tmp_path / "drums-s42"
    record.path_of(run).write_text("{")
    with pytest.raises(ValueError, match=r"drums-s42.slurm.json: damaged .*; remove it to submit the run again"):
        record.read(run)


@pytest.fixture
def on_node(tmp_path, monkeypatch):
    """Run a Python program as the training of a Slurm job, as rank `rank` of two; returns the exit code."""

    def run(program, *, rank=0, attempt=0):
        for name, value in {"PROCID": rank, "LOCALID": rank, "NTASKS": 2, "RESTART_COUNT": attempt}.items():
            monkeypatch.setenv(f"SLURM_{name}", str(value))
        monkeypatch.setattr(node, "SIGNAL_SECONDS", 0.0)
        command = [sys.executable, "-c", program]
        training = TrainingOnNode(command, tmp_path / "run", tmp_path / "log", {"SOME": "value"}, "unmix-a", 0)
        try:
            training()
        except SystemExit as ended:
            return ended.code
        return 0

    return run


@pytest.mark.parametrize(
    ("program", "code", "recorded"),
    [
        ("print('hello')", 0, 0),
        ("raise SystemExit(3)", 3, 3),
        ("raise SystemExit(75)", 75, 75),
        ("import os; os.kill(os.getpid(), 9)", 137, -9),
    ],
)
def test_the_end_of_a_command_is_recorded_and_is_that_of_the_job(on_node, tmp_path, program, code, recorded):
    assert on_node(program) == code
    assert record.read(tmp_path / "run").exit_code == recorded
    assert ("killed by SIGKILL" in (tmp_path / "log").read_text()) == (recorded == -9)


def test_a_requeued_command_does_not_start_afresh_again(on_node, tmp_path):
    on_node("import sys; print(sys.argv[1:])")
    on_node("import sys; print(sys.argv[1:])", attempt=1)
    assert (tmp_path / "log").read_text().splitlines() == ["[]", "['fresh=false']"]


def test_a_further_rank_starts_when_the_first_one_holds_the_run_and_never_alone(on_node, tmp_path):
    run, written = tmp_path / "run", Record("unmix-a", 0, "log", attempt=0, host="elsewhere", pid=5)
    program = f"import os, pathlib; pathlib.Path({str(tmp_path / 'rank')!r}).write_text(os.environ['LOCAL_RANK'])"
    record.write(run, Record(**{**written.__dict__, "exit_code": 0}))
    assert on_node(program, rank=1) == 0
    assert not (tmp_path / "rank").exists(), "the first rank had nothing to do"
    record.write(run, written)
    status.write(run, status.running_here("e").beat(host="elsewhere", pid=5))
    assert on_node(program, rank=1) == 0
    assert (tmp_path / "rank").read_text() == "1"
    assert on_node("raise SystemExit(75)", rank=1) == 0, "the first rank decides about requeuing"
    assert on_node("raise SystemExit(1)", rank=1) == 1


def test_a_command_sees_the_variables_of_its_task(on_node, tmp_path):
    on_node("import os; print(os.environ['SOME'], os.environ['UNMIX_LAUNCHER'], os.environ.get('MASTER_ADDR'))")
    assert (tmp_path / "log").read_text().split() == ["value", str(os.getpid()), "127.0.0.1"]


def test_the_leaderboard_asks_slurm_nothing_where_nothing_was_submitted(monkeypatch, cli, tmp_path, capfd):
    folder = tmp_path / "runs" / "umx-00000000" / "drums-s42"
    folder.mkdir(parents=True)
    status.write(folder, status.running_here("umx-00000000"))

    def refuse(*_, **__):
        raise AssertionError("Slurm was asked")

    monkeypatch.setattr(queue, "read", refuse)
    assert cli("leaderboard", f"paths.out={tmp_path}") == 0
    printed = capfd.readouterr().out
    assert "running" in printed
    assert status.read(folder).host in printed


def test_a_job_that_failed_before_its_run_is_listed_with_the_last_line_of_its_log(cli, tmp_path, capfd):
    run = tmp_path / "runs" / "umx-00000000" / "drums-s42"
    (tmp_path / "log").write_text("first\ntrain: data.root: needed\n")
    record.write(run, Record("unmix-a", 0, str(tmp_path / "log"), exit_code=2))
    assert cli("leaderboard", f"paths.out={tmp_path}") == 0
    assert "umx-00000000/drums-s42: train: data.root: needed" in capfd.readouterr().out
    assert json.loads(record.path_of(run).read_text())["exit_code"] == 2


def test_squeue_that_fails_is_said_in_one_line(fake_slurm):
    folder = fake_slurm()
    (folder / "squeue").write_text(
        "#!/bin/sh\necho slurm_load_jobs error: Unable to contact slurm controller >&2\nexit 1\n"
    )
    with pytest.raises(
        OSError, match=r"hydra/launcher: squeue failed \(slurm_load_jobs error: Unable to .*\); try again"
    ):
        queue.read({"unmix-a"})
    (folder / "squeue").unlink()
    with pytest.raises(OSError, match="squeue is not on PATH"):
        queue.read({"unmix-a"})
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
