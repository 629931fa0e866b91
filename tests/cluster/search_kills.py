"""A search that is killed at random moments, beside one that is not; prints both tables of trials. Takes minutes.

PYTHONPATH=src:tests python tests/cluster/search_kills.py --kills 20 --pruner halving
"""

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from conftest import write_tree
from searches import table

TRAIN = Path(__file__).parents[2] / "src" / "train.py"
LONGEST_SECONDS = 20.0  # from a start to the kill


def arguments(root: Path, pruner: str, trials: int) -> list[str]:
    """Command line of a search over tiny networks."""
    return [
        f"data.root={root}",
        "data.validation_tracks=[Actions - One Minute Smile]",
        "data.segment_seconds=0.5",
        "data.samples_per_track=4",
        "data.batch_size=2",
        "data.num_workers=0",
        "trainer.gpus=0",
        "trainer.max_epochs=9",
        "checkpoint.every_minutes=0",
        "slots=2",
        "hydra/sweeper=optuna",
        "sweep_name=mystudy",
        f"hydra.sweeper.n_trials={trials}",
        f"hydra.sweeper.pruner={pruner}",
        "model.hidden_size=choice(8,16)",
        "optimizer.lr=tag(log,interval(1e-4,1e-1))",
    ]


def run(command: list[str], log: Path, seconds: float | None) -> bool:
    """Run a search, or kill it after some seconds; returns whether it ended by itself."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        wait_for_children(command)
        return False
    assert code == 0, log.read_text()
    return True


def wait_for_children(command: list[str]) -> None:
    """Wait until no job of a search is left, which the kernel kills with it."""
    out = next(word for word in command if word.startswith("paths.out="))
    while any(out in (process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])):
        time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--trials", type=int, default=9)
    parser.add_argument("--pruner", default="halving")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    root = write_tree(folder / "data", ("Some Band - Track", "Actions - One Minute Smile", "Other Band - Song"))
    generator, begun = random.Random(given.seed), time.monotonic()
    command = [sys.executable, str(TRAIN), *arguments(root, given.pruner, given.trials)]
    assert run([*command, f"paths.out={folder / 'straight'}"], folder / "straight.log", None)
    print(f"uninterrupted: {time.monotonic() - begun:.0f} s")
    killed, log = [*command, f"paths.out={folder / 'killed'}"], folder / "killed.log"
    for kill in range(given.kills):
        seconds = generator.uniform(0, LONGEST_SECONDS)
        is_over = run(killed, log, seconds)
        path = folder / "killed" / "sweeps" / "mystudy" / "study.log"
        trials = table(folder / "killed") if path.exists() and path.stat().st_size else []
        done = sum(trial[1] not in ("RUNNING", "WAITING") for trial in trials)
        print(f"kill {kill + 1} after {seconds:4.1f} s: {len(trials)} trials, {done} done{', over' if is_over else ''}")
    assert run(killed, log, None)
    straight, restarted = table(folder / "straight"), table(folder / "killed")
    for trial in restarted:
        print(*trial[:4], sep=" | ")
    print("equal" if straight == restarted else f"DIFFERENT: {straight}")
    sys.exit(straight != restarted)


if __name__ == "__main__":
    main()
