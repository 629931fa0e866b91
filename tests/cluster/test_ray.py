"""Ray: a sweep over two nodes ends like that of this machine, whatever dies or is stopped in between."""

import csv
import json
import os
import signal

import pytest
from stopped_jobs import stop_when_started

from command_process import wait_until
from unmix import extras
from unmix.composition import compose
from unmix.experiments import status
from unmix.plans import plan_all
from unmix.processes import signals
from unmix.runs import ray_cluster

TARGETS = ("drums", "bass")
EPOCHS = 10
SMALL = 80 * 2**20  # bytes of shared memory, of which jobs use nothing
CPU_NODE, GPU_NODE = {"CPU": 8.0}, {"CPU": 16.0, "GPU": 4.0}


@pytest.fixture(scope="module")
def two_nodes(tmp_path_factory):
    """A Ray cluster of two nodes with one CPU each, on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ray_cluster.QUIET, "RAY_worker_niceness": "0"}.items():  # as the tests beside it
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": SMALL}
        soon_dead = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        head = {**node, "include_dashboard": False, "_system_config": soon_dead}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        cluster.add_node(**node)
        yield cluster
        cluster.shutdown()


@pytest.fixture(scope="module")
def arguments(train_arguments):
    """A sweep of two jobs, long enough to be disturbed."""
    kept = [one for one in train_arguments if not one.startswith(("hydra/", "trainer.max_epochs"))]
    return ["-m", *kept, f"target={','.join(TARGETS)}", f"trainer.max_epochs={EPOCHS}"]


@pytest.fixture(scope="module")
def expected(arguments, cli, tmp_path_factory):
    """Results of the same sweep on this machine."""
    out = tmp_path_factory.mktemp("local")
    assert cli("train", *arguments, f"paths.out={out}", "hydra/launcher=basic") == 0
    return results(out)


def results(out):
    """Digest of the best weights, and the losses of every epoch, by target."""
    return {target: (status.read(run).weights, losses(run)) for target, run in runs_of(out).items()}


def runs_of(out):
    return {run.name.partition("-")[0]: run for run in out.glob("runs/*/*-s42")}


def losses(run):
    return [(row["step"], row["train/loss"], row["val/loss"]) for row in csv.DictReader((run / "metrics.csv").open())]


def epochs(out):
    """Finished epochs of the run of each target that has one."""
    return {target: status.read(run).epoch for target, run in runs_of(out).items() if status.read(run)}


def starts(out):
    """By target: what the logs of all sweeps say of where it was started."""
    lines = {target: [] for target in TARGETS}
    for log in sorted(out.glob("sweeps/*/*.log")):
        target = log.stem.split("-")[1]
        lines[target] += [line for line in log.read_text().splitlines() if line.startswith("ray: process")]
    return lines


@pytest.mark.slow
def test_a_sweep_over_two_nodes_is_stopped_and_loses_a_node_and_ends_like_the_local_one(
    two_nodes, arguments, expected, start, tmp_path
):
    out, log = tmp_path / "out", tmp_path / "log"
    command = [*arguments, f"paths.out={out}", "hydra/launcher=ray", f"hydra.launcher.address={two_nodes.address}"]

    def wait_for(condition):
        wait_until(lambda: condition() or process.poll() is not None)
        assert process.poll() is None, log.read_text()

    process = start("train", *command, log=log)
    wait_for(lambda: all(starts(out).values()) and max(epochs(out).values(), default=0) >= 1)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, log.read_text()
    assert {status.read(run).state for run in runs_of(out).values()} == {"interrupted"}
    assert len({lines[0].partition(", node ")[2] for lines in starts(out).values()}) == 2, "each node runs a job"

    before = epochs(out)
    process = start("train", *command, log=log)
    wait_for(lambda: all(len(lines) == 2 for lines in starts(out).values()))
    node = two_nodes.list_all_nodes()[-1]
    (lost,) = (target for target, lines in starts(out).items() if node.node_id[:8] in lines[-1])
    wait_for(lambda: epochs(out).get(lost, 0) > before.get(lost, 0))
    assert epochs(out)[lost] < EPOCHS
    two_nodes.remove_node(node, allow_graceful=False)
    assert process.wait() == 0, log.read_text()
    assert {target: len(lines) - 2 for target, lines in starts(out).items()} == {**dict.fromkeys(TARGETS, 0), lost: 1}
    assert results(out) == expected
    assert "2 done" in log.read_text()
    assert "raylet" not in log.read_text()
    (*_, journal) = sorted(out.glob("sweeps/*/jobs.jsonl"))
    assert {json.loads(line)["state"] for line in journal.read_text().splitlines()} >= {"running", "done"}


@pytest.mark.slow
def test_a_node_that_does_not_see_the_files_says_so_in_one_line(
    two_nodes, arguments, cli, capfd, monkeypatch, tmp_path
):
    from unmix.processes import ray_tasks

    submit = ray_tasks.RayJob.submit

    def elsewhere(job, remote):
        submit(job, Moved(remote))

    class Moved:
        """Gives a worker the path that another machine would have: nothing is there."""

        def __init__(self, remote):
            self.given = remote

        def options(self, **options):
            self.given = self.given.options(**options)
            return self

        def remote(self, command, folder, log, environment):
            return self.given.remote(command, folder, f"/elsewhere{log}", environment)

    monkeypatch.setattr(ray_tasks.RayJob, "submit", elsewhere)
    address = f"hydra.launcher.address={two_nodes.address}"
    assert cli("train", *arguments, f"paths.out={tmp_path}", "hydra/launcher=ray", address) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "2 of 2 jobs failed" in line
    assert f"does not see /elsewhere{tmp_path}" in line
    assert "needs a file system that all nodes share" in line


@pytest.mark.slow
def test_a_job_that_a_search_prunes_is_told_to_stop(two_nodes, stoppable):
    from unmix.processes.ray_tasks import Needs, RayTasks

    with signals.handled():  # which connecting replaces
        ray_cluster.connect(two_nodes.address)
        engine = RayTasks(1, Needs())
        (job,) = engine.add([stoppable])
        stop_when_started(engine, job)


def engine(monkeypatch, *overrides, nodes=(GPU_NODE, CPU_NODE), **settings):
    """Engine for one job on a cluster of such nodes, to which no process is connected."""
    monkeypatch.setattr(ray_cluster, "connect", lambda address: list(nodes))
    given = {"address": "auto", "slots": "auto", "num_cpus": "auto", "max_retries": 3, **settings}
    return ray_cluster.engine(plan_all([compose("train", list(overrides))]), **given)


@pytest.mark.parametrize(
    ("overrides", "slots", "num_cpus", "num_gpus", "threads"),
    [
        (["trainer.gpus=2"], 2, 2, 2, 1),
        (["trainer.gpus=null"], 4, 1, 1, 1),
        (["trainer.gpus=0"], 24, 1, 0, 1),
        (["trainer=ddp_cpu"], 12, 2, 0, 1),
    ],
)
def test_jobs_fill_the_nodes_that_suit_them(monkeypatch, overrides, slots, num_cpus, num_gpus, threads):
    made, needs = [], []
    from unmix.processes import ray_tasks

    monkeypatch.setattr(ray_tasks, "RayTasks", lambda slots, needs_: made.append(slots) or needs.append(needs_))
    engine(monkeypatch, *overrides)
    assert made == [slots]
    assert needs == [ray_tasks.Needs(num_cpus, num_gpus, threads, 3)]


@pytest.mark.parametrize(
    ("overrides", "settings", "message"),
    [
        (["trainer.gpus=5"], {}, "trainer.gpus: got 5, but no node of the Ray cluster has more than 4 GPUs"),
        (["trainer.gpus=1"], {"nodes": [CPU_NODE]}, "trainer.gpus: got 1, but no node .* has more than 0 GPUs"),
        (["trainer.gpus=[0,1]"], {}, r"trainer.gpus: got \[0, 1\], but Ray chooses the GPUs of a job: their number"),
        (["trainer.gpus=-1"], {}, "trainer.gpus: got -1, but Ray chooses the GPUs of a job: their number is needed"),
        (["trainer.num_nodes=2"], {}, "trainer.num_nodes: got 2, but .*=ray runs a job on one node; .*=slurm"),
        ([], {"num_cpus": 17}, "num_cpus: got 17, but no node of the Ray cluster with 1 GPU has more than 16 CPUs"),
        ([], {"num_cpus": "many"}, "hydra.launcher.num_cpus: got 'many', a whole number is needed"),
        ([], {"max_retries": -1}, "hydra.launcher.max_retries: got -1, allowed 0 or more"),
        ([], {"slots": 0}, "slots: got 0, allowed 'auto' or a number of jobs at a time, 1 or more"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(monkeypatch, overrides, settings, message):
    with pytest.raises(ValueError, match=message):
        engine(monkeypatch, *overrides, **settings)


def test_an_address_without_a_cluster_is_refused_in_one_line_and_writes_nothing(arguments, cli, capfd, tmp_path):
    out = tmp_path / "out"
    address = "hydra.launcher.address=127.0.0.1:9"  # the port `discard`, which nothing uses
    assert cli("train", *arguments, f"paths.out={out}", "hydra/launcher=ray", address) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("train: hydra.launcher.address: got 127.0.0.1:9, where no Ray cluster answers")
    assert "null starts one on this machine" in line
    assert not out.exists()


@pytest.mark.parametrize(("has_token", "mode"), [(True, "token"), (False, None)])
def test_a_token_that_ray_has_made_here_is_used_as_ray_start_does(monkeypatch, tmp_path, has_token, mode):
    monkeypatch.setattr(ray_cluster, "TOKEN", tmp_path / "auth_token")
    if has_token:
        (tmp_path / "auth_token").touch()
    monkeypatch.setenv("RAY_AUTH_MODE", "")  # restored at the end
    monkeypatch.delenv("RAY_AUTH_MODE")
    with pytest.raises(ValueError, match="no Ray cluster answers"):
        ray_cluster.connect("127.0.0.1:9")
    assert os.environ.get("RAY_AUTH_MODE") == mode


def test_the_launcher_without_its_package_is_refused_in_one_line(arguments, cli, capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "find_spec", lambda package: None if package == "ray" else object())
    assert cli("train", *arguments, f"paths.out={tmp_path / 'out'}", "hydra/launcher=ray") == 2
    assert capfd.readouterr().err == (
        "train: hydra/launcher=ray: needs the package ray, which is not installed: pip install 'unmix[ray]'\n"
    )
    assert not list(tmp_path.iterdir())
