"""Cost of large sweeps, beside Hydra's basic launcher and dora's grid, in one run: `make bench-sweeps`.

Jobs do nothing: those of Unmix are done already, those of the peers are an empty function with the same
conf/train.yaml. Each number is the median of several rounds, in which the commands take turns. The second part counts
what 10,000 run folders cost on this disk.
"""

import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from unmix.composition import CONF, parse
from unmix.experiments import hold, status
from unmix.experiments.status import Status
from unmix.plans import Plan, plan_all
from unmix.processes.jobs import Task
from unmix.processes.pool import ChildProcess
from unmix.reports import leaderboard
from unmix.reports.progress import Line, Progress

ROUNDS, JOBS, PEER_JOBS, NEW_JOBS, FOLDERS, RUNNING = 3, 500, 60, 2000, 10_000, 100
TRAIN = CONF.parent / "src" / "train.py"
# The peers: an empty job with the same conf/train.yaml, for Hydra, then for dora, which needs it in a package.
HYDRA = f'''
import hydra
from unmix import schema

schema.register()
hydra.main(config_path="{CONF}", config_name="train", version_base="1.3")(lambda cfg: None)()
'''
DORA_JOB = f'''
import os
from pathlib import Path
from dora import hydra_main
from unmix import schema

schema.register()


@hydra_main(config_path=os.path.relpath("{CONF}", Path(__file__).parent), config_name="train", version_base="1.3")
def main(cfg):
    pass


main.dora.dir = Path("dora")
main.dora.exclude += ["run_dir", "sweep_name"]
'''
DORA_GRID = """
import sys
from pathlib import Path
from dora import Explorer
from dora.grid import RunGridArgs, run_grid
from empty.train import main

jobs = [line.split() for line in Path(sys.argv[1]).read_text().splitlines()]
grid = Explorer(lambda launcher: [launcher(job) for job in jobs])
run_grid(main, grid, "grid", args=RunGridArgs(dry_run=True, monitor=False, silent=True))
"""
PEERS = {"by_hydra.py": HYDRA, "by_dora.py": DORA_GRID, "empty/train.py": DORA_JOB, "empty/__init__.py": ""}


def overrides_of(count: int, folder: Path) -> list[str]:
    """Command line of a sweep of `count` jobs, each an experiment of its own; `count` is even, or 1."""
    sizes = ",".join(str(16 + 2 * index) for index in range(max(count // 2, 1)))
    rates = "1e-3" if count == 1 else "1e-3,2e-3"
    return [f"model.hidden_size={sizes}", f"optimizer.lr={rates}", f"paths.out={folder}", "data.root=nowhere"]


def planned(overrides: Sequence[str]) -> list[Plan]:
    """Plan all jobs of a command line: compose, check, identify, and decide which are to run."""
    return plan_all(list(parse("train", list(overrides), multirun=True).compose_jobs()))


def finish_all(plans: Sequence[Plan]) -> None:
    """Write the status of a finished run for every plan."""
    length = {"max_epochs": 1000, "max_steps": -1, "max_time": None}
    for one in plans:
        done = Status(one.experiment, "done", epoch=1000, step=9, length=length, best=1.0, targets=tuple(one.targets))
        status.write(one.run, done.beat())


def measure(command: Sequence[str], folder: Path) -> tuple[float, float, float]:
    """Run a command; return its seconds, its seconds of CPU, and its largest memory in MB."""
    started = time.perf_counter()
    environment = {**os.environ, "PYTHONPATH": f"{CONF.parent / 'src'}{os.pathsep}{folder}"}
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=quiet)
    _, code, usage = os.wait4(pid, 0)
    if code:
        raise RuntimeError(f"{' '.join(command)[:200]} ended with {code}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def sweeps(folder: Path) -> None:
    """Print the table of whole commands: a fixed part, which one job costs, and what each further job adds."""
    (folder / "empty").mkdir()
    for name, text in PEERS.items():
        (folder / name).write_text(text)
    finish_all(planned(overrides_of(JOBS, folder)))
    rows: dict[str, tuple[int, Callable[[int], list[str]], str]] = {
        "Unmix": (JOBS, lambda n: [str(TRAIN), "-m", *overrides_of(n, folder)], "composes, checks, says what is done"),
        "Hydra, launcher `basic`": (
            PEER_JOBS,
            lambda n: [str(folder / "by_hydra.py"), "-m", "hydra/launcher=basic", *overrides_of(n, folder)],
            "composes, calls an empty function",
        ),
        "dora, `grid --dry_run`": (PEER_JOBS, lambda n: [str(folder / "by_dora.py"), _grid(n, folder)], DORA),
    }
    measured: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    for _ in range(ROUNDS):
        for name, (most, arguments, _text) in rows.items():
            for count in (1, most):
                command = [sys.executable, *arguments(count)]
                measured.setdefault((name, count), []).append(measure(command, folder))
    print("| | jobs | fixed s | ms a job | ms of CPU a job | MB | for each job |\n|---|---|---|---|---|---|---|")
    for name, (most, _arguments, text) in rows.items():
        one, many = (list(map(statistics.median, zip(*measured[name, count], strict=True))) for count in (1, most))
        wall, cpu = ((many[i] - one[i]) / (most - 1) * 1000 for i in (0, 1))
        print(f"| {name} | {most} | {one[0]:.1f} | {wall:.1f} | {cpu:.1f} | {many[2]:.0f} | {text} |")


DORA = "composes, in four processes; compares with the default, looks for its Slurm job"


def _grid(count: int, folder: Path) -> str:
    """Write the jobs of a sweep as the lines of a file, without the folder, which is dora's own."""
    rates = ("1e-3", "2e-3")
    lines = [f"model.hidden_size={16 + 2 * (i // 2)} optimizer.lr={rates[i % 2]}" for i in range(count)]
    path = folder / f"grid-{count}"
    path.write_text("\n".join(f"{line} data.root=nowhere" for line in lines))
    return str(path)


def planning(folder: Path) -> None:
    """Print what planning 2,000 new jobs takes, in processes of their own."""
    measured = []
    for _ in range(ROUNDS):
        measured.append(measure([sys.executable, __file__, "plan", str(folder / "new")], folder))
    seconds, cpu, peak = map(statistics.median, zip(*measured, strict=True))
    print(
        f"\nplanning {NEW_JOBS} new jobs, start of Python included: {seconds:.1f} s, {cpu:.1f} s of CPU, {peak:.0f} MB"
    )


def counted(work: Callable[[], object]) -> tuple[float, int]:
    """Time a piece of work; return its seconds and how many files it opened and folders it listed."""
    COUNTER["opened"], started = 0, time.perf_counter()
    work()
    return time.perf_counter() - started, COUNTER["opened"]


COUNTER = {"opened": 0}


def _count(event: str, _: object) -> None:
    if event in ("open", "os.listdir", "os.scandir"):
        COUNTER["opened"] += 1


def folders(folder: Path) -> None:
    """Print what 10,000 run folders cost: in the leaderboard, in a sweep's tick, and to hold one."""
    made = planned([*overrides_of(2, folder), "seed=0"])[0]
    config = json.dumps({"model": {"hidden_size": 512}, "objective": {"_target_": "unmix.MagnitudeMse"}})
    runs = [folder / "runs" / f"umx-{index // 4:08x}" / f"vocals-s{index % 4}" for index in range(FOLDERS)]
    for run in runs:
        status.write(run, Status(run.parent.name, "done", epoch=100, best=1.0).beat())
        (run / "config.yaml").write_text(config)
        (run / "metrics.csv").write_text("epoch,val/loss,val/sdr\n" + "".join(f"{n},1.0,2.0\n" for n in range(100)))
    lines = [Line(number, run.name, run, 100, 1) for number, run in enumerate(runs)]
    jobs = [ChildProcess(Task([], run, folder / "log", {}, lambda: True)) for run in runs]
    for job in jobs[:RUNNING]:
        job.process = type("Running", (), {"poll": lambda _: None, "pid": 1})()  # type: ignore[assignment]
    shown = Progress(lines, jobs, folder / "jobs.jsonl")
    shown.live = None
    sys.addaudithook(_count)
    stdout, sys.stdout = sys.stdout, Path(os.devnull).open("w")  # noqa: SIM115
    shown.console.file = sys.stdout
    rows = {f"first tick of a sweep, {RUNNING} jobs run": counted(shown.update)}
    rows[f"another tick, {RUNNING} jobs run"] = counted(shown.update)
    rows["leaderboard"] = counted(lambda: leaderboard.collect(folder))

    def take() -> None:
        with hold.hold(made.run, made.experiment) as held:
            assert held is not None
            held.update(state="done")

    rows["take, finish and leave one run folder"] = counted(take)
    sys.stdout = stdout
    print(f"\n| with {FOLDERS:,} run folders | seconds | files opened, folders listed |\n|---|---|---|")
    for name, (seconds, opened) in rows.items():
        print(f"| {name} | {seconds:.3f} | {opened:,} |")


def main() -> None:
    """Print the tables."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("hydra-core", "omegaconf", "dora-search"))
    load = os.getloadavg()[0]
    print(f"machine: {platform.machine()}, {os.cpu_count()} CPUs at a load of {load:.1f}; {versions}\n")
    with tempfile.TemporaryDirectory() as temporary:
        os.chdir(temporary)
        sweeps(Path(temporary))
        planning(Path(temporary))
        folders(Path(temporary) / "many")


if __name__ == "__main__":
    if sys.argv[1:2] == ["plan"]:
        assert not any(one.is_finished for one in planned(overrides_of(NEW_JOBS, Path(sys.argv[2]))))
    else:
        main()
