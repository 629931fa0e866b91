"""A search that is killed at random moments, beside one that is not; prints both tables of trials. Takes minutes.

PYTHONPATH=src:tests python tests/cluster/search_kills.py --kills 20 --trials 16 --pruner none --epochs 2 --longest 10
"""

import argparse
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from command_process import CommandProcess, wait_until
from searches import pretend_slowly, table
from trees import songs, write_musdb
from unmix.experiments import status


def arguments(root: Path, pruner: str, trials: int, epochs: int) -> list[str]:
    """Command line of a search over tiny networks."""
    return [
        f"data.root={root}",
        "data.validation_tracks=[Actions - One Minute Smile]",
        "data.segment_seconds=0.5",
        "data.samples_per_track=4",
        "data.batch_size=2",
        "data.num_workers=0",
        "trainer.gpus=0",
        f"trainer.max_epochs={epochs}",
        "checkpoint.every_minutes=0",
        "slots=2",
        "hydra/sweeper=optuna",
        "sweep_name=mystudy",
        f"hydra.sweeper.n_trials={trials}",
        f"hydra.sweeper.pruner={pruner}",
        "model.hidden_size=choice(8,16)",
        "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    ]


def run(words: list[str], log: Path, seconds: float | None, *, is_pretended: bool) -> bool:
    """Run a search, or kill it some seconds after it has begun to work; returns whether it ended by itself."""
    process = CommandProcess("train", *words, log=log, before=pretend_slowly if is_pretended else None)
    if seconds is not None:
        study = Path(words[-1].removeprefix("paths.out=")) / "sweeps" / "mystudy"
        wait_until(lambda: process.poll() is not None or ((now := status.read(study)) and now.is_alive()))
    process.process.join(seconds)
    is_over = process.poll() is not None
    if is_over:
        assert process.poll() == 0, log.read_text()
    process.kill()
    out = next(word for word in words if word.startswith("paths.out="))
    while any(out in (each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"])):
        time.sleep(0.1)  # the kernel kills its jobs with it
    return is_over


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--pruner", default="halving")
    parser.add_argument("--epochs", type=int, default=9, help="of a trial")
    parser.add_argument("--longest", type=float, default=5.0, help="seconds until the kill, at most")
    parser.add_argument("--pretended", action="store_true", help="trainings are pretended: for 20 kills in two minutes")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    root = folder / "data"
    names = ("Some Band - Track", "Actions - One Minute Smile", "Other Band - Song")
    write_musdb(root, songs({"train": names}, seconds=2.0))
    generator, begun = random.Random(given.seed), time.monotonic()
    command = arguments(root, given.pruner, given.trials, given.epochs)
    search = partial(run, is_pretended=given.pretended)
    assert search([*command, f"paths.out={folder / 'straight'}"], folder / "straight.log", None)
    print(f"uninterrupted: {time.monotonic() - begun:.0f} s", flush=True)
    killed, log = [*command, f"paths.out={folder / 'killed'}"], folder / "killed.log"
    for kill in range(given.kills):
        seconds = generator.uniform(0, given.longest)
        is_over = search(killed, log, seconds)
        path = folder / "killed" / "sweeps" / "mystudy" / "study.log"
        trials = table(folder / "killed") if path.exists() and path.stat().st_size else []
        done = sum(trial[1] not in ("RUNNING", "WAITING") for trial in trials)
        over = ", over" if is_over else ""
        print(f"kill {kill + 1} after {seconds:4.1f} s: {len(trials)} trials, {done} done{over}", flush=True)
    assert search(killed, log, None)
    straight, restarted = table(folder / "straight"), table(folder / "killed")
    for trial in restarted:
        print(*trial[:4], sep=" | ")
    print("equal" if straight == restarted else f"DIFFERENT: {straight}")
    sys.exit(straight != restarted)


if __name__ == "__main__":
    main()
