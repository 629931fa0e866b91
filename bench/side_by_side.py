"""Speed of training jobs that share a machine, by how OpenMP's threads wait: `make bench-side_by_side`.

Each job repeats a training step of `experiment=demo` (hidden size 128, 4 x 1.5 s) on the CPU, in a process of its own,
for a fixed time after all jobs have made a step. Settings take turns, in several rounds, so that a machine that slows
down decides nothing.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from unmix import machine

SECONDS, ROUNDS = 4.0, 3
JOBS = (1, 2, 3)
VARIABLES = (machine.SPIN_COUNT, "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
Environments = tuple[dict[str, str], dict[str, str]]  # of the first job, and of those that start after it
# Spin counts are of GNU's OpenMP, which torch uses on Linux.
SETTINGS: dict[str, Environments] = {
    "OpenMP's own": ({}, {}),
    "Unmix": ({}, {machine.SPIN_COUNT: str(machine.SHORT_SPIN)}),
    "GOMP_SPINCOUNT=1000": ({machine.SPIN_COUNT: "1000"},) * 2,
    "OMP_WAIT_POLICY=passive": ({"OMP_WAIT_POLICY": "passive"},) * 2,
    "OMP_NUM_THREADS=1": ({"OMP_NUM_THREADS": "1"},) * 2,
}


def job(folder: Path, number_of_jobs: int) -> None:
    """Count training steps in `SECONDS`, once every job has made its first; print the steps per second."""
    import torch
    from torch.nn.functional import mse_loss

    from unmix.dsp.stft import Stft
    from unmix.models.open_unmix import OpenUnmix

    torch.manual_seed(0)
    stft, network = Stft(), OpenUnmix(128)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    mixture = stft(0.1 * torch.randn(4, 2, round(1.5 * 44100))).abs()

    def step() -> None:
        optimizer.zero_grad()
        mse_loss(network(mixture), mixture).backward()
        optimizer.step()

    step()
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < number_of_jobs:
        time.sleep(0.01)
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < SECONDS:
        step()
        count += 1
    print(count / (time.perf_counter() - started))


def throughput(environments: Environments, number_of_jobs: int) -> float:
    """Steps per second of all jobs together."""
    inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, folder, str(number_of_jobs)]
        jobs = [
            subprocess.Popen(
                command, env={**inherited, **environments[min(index, 1)]}, stdout=subprocess.PIPE, text=True
            )
            for index in range(number_of_jobs)
        ]
        return sum(float(process.communicate()[0]) for process in jobs)


def main() -> None:
    """Print the table."""
    print(f"machine: {platform.machine()}, {machine.num_cpus()} CPUs; steps per second of all jobs together\n")
    measured: dict[tuple[str, int], list[float]] = {}
    for _ in range(ROUNDS):
        for number_of_jobs in JOBS:
            for name, environments in SETTINGS.items():
                measured.setdefault((name, number_of_jobs), []).append(throughput(environments, number_of_jobs))
    print(f"| how threads wait | {' | '.join(f'jobs: {count}' for count in JOBS)} |\n|---|{'---|' * len(JOBS)}")
    for name in SETTINGS:
        row = [statistics.median(measured[name, count]) for count in JOBS]
        print(f"| {name} | {' | '.join(f'{value:.2f}' for value in row)} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        job(Path(sys.argv[1]), int(sys.argv[2]))
    else:
        main()
