"""Scores of recipes after a fixed time of training on this machine: `python bench/speedrun.py umx_small shallow`.

A recipe is an experiment of conf/ or of bench/speedrun/. Its trainings share 600 s of two cores: start of Python, scans
and statistics of the data, training and validation; the files of the data set are there, and scoring is not counted.
UMX has four trainings, two at a time with a thread each, as two jobs of one thread do more steps than one job of two
(bench/RESULTS.md). `--clock processor` counts processor seconds of all processes instead, twice as many, for machines
that are not quiet. Records are scored on songs that no recipe was tuned on; `--explore` scores the demo's own test
tracks. A row is written as soon as it is known, and a recipe that has its row is left out.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from speedrun import CLOCKS, WALL, Limit, children_seconds

import unmix
from unmix.composition import CONF, parse
from unmix.data.cache import default_folder
from unmix.data.tracks import SOURCES
from unmix.demo.excerpt import write_excerpt
from unmix.demo.tree import write_tree
from unmix.identity import experiment_id

BENCH, SRC = Path(__file__).parent, CONF.parent / "src"
CONFIG_DIR, TABLE = BENCH / "speedrun", BENCH / "speedrun" / "RECORDS.md"
RECIPES = sorted(path.stem for path in (CONFIG_DIR / "experiment").glob("*.yaml"))
CORES = 2
HELD_OUT = {"num_tracks": 64, "seconds": 20, "seed": 1}  # 16 test tracks of songs that no recipe was tuned on
HEADER = f"| date | recipe | budget | seconds | parameters | {' | '.join(SOURCES)} | mean |\n|{'---|' * 10}\n"


@dataclass(frozen=True)
class Budget:
    """Seconds that the trainings of a recipe share: of two cores by the wall clock, or twice as many of processors."""

    clock: str
    seconds: float

    @property
    def total(self) -> float:
        """All seconds that its clock may count."""
        return self.seconds if self.clock == WALL else CORES * self.seconds

    def read(self) -> float:
        """Seconds that its clock shows; only differences mean anything."""
        return time.monotonic() if self.clock == WALL else children_seconds()

    def share(self, used: float, left: Sequence[Sequence[Any]], processes: int = 1) -> float:
        """Seconds of each process of the next round of jobs.

        Args:
            used: seconds used so far.
            left: rounds of jobs that are left, the next one first.
            processes: processes of a job.
        """
        of_round = (self.total - used) / len(left)
        return of_round if self.clock == WALL else of_round / (len(left[0]) * processes)


def rounds_of(cfg: DictConfig) -> list[list[str]]:
    """Overrides of the trainings of a recipe, in rounds of those that run at once."""
    if cfg.target != "vocals":  # the default: a recipe of one network per target
        return [[f"target={cfg.target}"]]
    return [[f"target={target}" for target in SOURCES[first : first + CORES]] for first in range(0, 4, CORES)]


def compose(recipe: str, data: str) -> tuple[DictConfig, list[str]]:
    """Compose the configuration of a recipe; return it with its overrides."""
    overrides = [f"experiment={recipe}", "evaluation.after_training=false"]
    (cfg,) = parse("train", overrides, config_dir=str(CONFIG_DIR)).compose_jobs()
    if data == "stempeg":
        overrides += [
            "data.name=stempeg",
            f"data.root={write_excerpt(default_folder() / 'stempeg')}",
            "data.prepare=null",
            "data.validation_tracks=[Validation]",
            "trainer.cpu_processes=1",  # each would need a track to validate on
            f"data.segment_seconds={min(cfg.data.segment_seconds, 2.5)}",
            f"data.samples_per_track={14 * cfg.data.samples_per_track}",  # epochs as long as those of the demo
        ]
    else:
        root = Path(cfg.data.root).expanduser()
        write_tree(root, **{name: cfg.data.prepare[name] for name in HELD_OUT})
        overrides.append(f"data.root={root}")
    (cfg,) = parse("train", overrides, config_dir=str(CONFIG_DIR)).compose_jobs()
    return cfg, overrides


def run_round(commands: dict[Path, list[str]], limit: Limit, processes: int = 1) -> None:
    """Run commands at once.

    Args:
        commands: arguments of Python by log.
        limit: of each process.
        processes: processes of a command; all have the same number of threads.
    Raises:
        RuntimeError: with the end of the log of a command that failed.
    """
    environment = {
        **os.environ,
        **limit.environment(),
        "OMP_NUM_THREADS": str(max(1, CORES // (len(commands) * processes))),
        "PYTHONPATH": f"{SRC}{os.pathsep}{BENCH}",
    }
    jobs = {}
    for log, command in commands.items():
        with log.open("w") as file:
            jobs[log] = subprocess.Popen([sys.executable, *command], env=environment, stdout=file, stderr=file)
    codes = {log: job.wait() for log, job in jobs.items()}
    for log, code in codes.items():
        if code:
            raise RuntimeError(f"{log}: ended with {code}\n{log.read_text()[-1000:]}")


def train(cfg: DictConfig, overrides: Sequence[str], budget: Budget, folder: Path) -> float:
    """Run the trainings of a recipe, with nothing prepared but the files of the data set; return the seconds used."""
    started, rounds, processes = budget.read(), rounds_of(cfg), cfg.trainer.cpu_processes
    fixed = [f"paths.out={folder}", f"paths.data={folder / 'cache'}", "trainer.gpus=0", "plugins=[speedrun]"]
    limiter = "+callbacks.budget._target_=speedrun.Budget"
    command = [str(SRC / "train.py"), "--config-dir", str(CONFIG_DIR), *overrides, *fixed, limiter]
    for index, jobs in enumerate(rounds):
        seconds = budget.share(budget.read() - started, rounds[index:], processes)
        limit = Limit(budget.clock, seconds, time.monotonic())
        run_round({folder / f"{job}.log": [*command, job] for job in jobs}, limit, processes)
    return budget.read() - started


def score(experiment: Path, data: Sequence[str]) -> dict[str, float]:
    """Evaluate the networks of an experiment; return the median SDR over tracks of every target, in dB."""
    command = [str(SRC / "evaluate.py"), *data, "plugins=[speedrun]", f"ckpt={experiment}"]
    run_round({experiment.parent / "evaluate.log": command}, Limit(WALL, math.inf, 0.0))
    (summary,) = experiment.glob("eval/*/summary.json")
    medians = json.loads(summary.read_text())["medians"]
    (method,) = set(medians) - {"mixture"}
    return {target: medians[method][target]["SDR"] for target in SOURCES}


def row(recipe: str, budget: str, seconds: float, parameters: int, sdr: dict[str, float]) -> str:
    """Row of the table."""
    scores = " | ".join(f"{sdr[target]:.2f}" for target in SOURCES)
    mean = sum(sdr.values()) / len(sdr)
    return f"| {date.today()} | {recipe} | {budget} | {seconds:.0f} | {parameters:,} | {scores} | **{mean:.2f}** |\n"


def is_in(table: Path, recipe: str, budget: str) -> bool:
    """Whether a table has the row of a recipe with this budget."""
    return table.exists() and f" | {recipe} | {budget} | " in table.read_text()


def append(table: Path, line: str) -> None:
    """Add a row to a table, which is begun if it is not there."""
    table.parent.mkdir(parents=True, exist_ok=True)
    text = table.read_text() if table.exists() else ""
    table.write_text(f"{text}{'' if HEADER in text else HEADER}{line}")


def run(recipe: str, options: argparse.Namespace) -> None:
    """Train and score a recipe, and write its row, unless it has one."""
    budget = Budget(options.clock, options.seconds)
    cfg, overrides = compose(recipe, options.data)
    identity, name = experiment_id(cfg), f"{options.data}, {options.clock} {options.seconds:g} s"
    if is_in(options.table, identity, name):
        print(f"{identity}: {options.table} has it")
        return
    folder = options.out / f"{identity}-{options.data}-{options.clock}-{options.seconds:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds = train(cfg, overrides, budget, folder)
    data = [f"paths.out={folder}"]
    if options.data == "demo" and not options.explore:
        data += ["data=demo", *(f"data.prepare.{key}={value}" for key, value in HELD_OUT.items())]
    sdr = score(folder / "runs" / identity, data)
    separator = unmix.load_separator(folder / "runs" / identity, plugins=["speedrun"])
    line = row(identity, name, seconds, sum(weight.numel() for weight in separator.parameters()), sdr)
    append(options.table, line)
    print(line, end="", flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    """Run recipes one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=RECIPES, help="experiments; default: all of bench/speedrun/")
    parser.add_argument("--seconds", type=float, default=600.0, help="seconds of two cores; default 600")
    parser.add_argument("--clock", choices=CLOCKS, default=WALL)
    parser.add_argument("--data", choices=("demo", "stempeg"), default="demo")
    parser.add_argument("--explore", action="store_true", help="score the tracks that recipes are tuned on")
    parser.add_argument("--out", type=Path, default=Path("outputs/speedrun"), help="folder of runs")
    parser.add_argument("--table", type=Path, help="default: bench/speedrun/RECORDS.md; <out>/explored.md to explore")
    options = parser.parse_args(argv)
    options.table = options.table or (options.out / "explored.md" if options.explore else TABLE)
    for recipe in options.recipes:
        run(recipe, options)


if __name__ == "__main__":
    main()
