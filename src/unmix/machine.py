"""Whether other processes keep this machine's CPUs busy, and how OpenMP's threads then wait; does not import torch.

Threads that have finished their part of a parallel region spin for some milliseconds before they sleep. Alone this is
fastest. With more threads than CPUs, they spin on the CPU that the thread they wait for needs: two small trainings side
by side can reach less than half of what one reaches alone. A short spin gives most of it back (bench/RESULTS.md).
"""

import os
import time
from dataclasses import dataclass

import psutil

SPIN_COUNT = "GOMP_SPINCOUNT"  # of GNU's OpenMP, which torch uses on Linux; read when torch is imported
SHORT_SPIN = 300
CHOSEN_BY_USER = (SPIN_COUNT, "OMP_WAIT_POLICY")
TOLERANCE = 0.5  # CPUs that others may keep busy beyond those that are left over
SHORTEST_SECONDS = 0.1  # a shorter measurement says nothing: the system counts in steps of 10 ms


@dataclass(frozen=True)
class CpuTimes:
    """CPU time used since the machine and this process started, in seconds, at one moment.

    Args:
        all: of all processes.
        own: of this process.
        at: the moment, on a monotonic clock.
    """

    all: float
    own: float
    at: float


def cpu_times() -> CpuTimes:
    """Read the clock and the CPU times."""
    total = psutil.cpu_times()
    own = psutil.Process().cpu_times()
    return CpuTimes(total.user + total.system, own.user + own.system, time.monotonic())


def num_cpus() -> int:
    """Count the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy_cpus(since: CpuTimes, now: CpuTimes) -> float:
    """CPUs that other processes kept busy between two moments, on average; 0 when they are too close to tell."""
    seconds = now.at - since.at
    if seconds < SHORTEST_SECONDS:
        return 0.0
    return max(0.0, ((now.all - since.all) - (now.own - since.own)) / seconds)


def share_cpus(since: CpuTimes, now: CpuTimes) -> str:
    """Make the threads of this process spin less when they and other processes want more CPUs than there are.

    To be called before torch is imported. It changes how threads wait, and no result. A setting by the user stays.

    Returns:
        A warning for the user; empty when there are CPUs enough.
    """
    cpus = num_cpus()
    given = os.environ.get("OMP_NUM_THREADS", "")
    threads = int(given) if given.isdecimal() else cpus
    others = busy_cpus(since, now)
    if threads == 1 or others + threads <= cpus + TOLERANCE:
        return ""
    if not any(name in os.environ for name in CHOSEN_BY_USER):
        os.environ[SPIN_COUNT] = str(SHORT_SPIN)
    return (
        f"other processes keep {others:.1f} of {cpus} CPUs busy, and this one has {threads} threads: all become slow; "
        f"OMP_NUM_THREADS={max(1, round(cpus - others))} leaves room, and changes the last bits of a result"
    )
