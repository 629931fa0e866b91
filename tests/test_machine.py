"""On a machine that others keep busy, threads spin less and the user is told; alone, nothing changes."""

import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from unmix import machine
from unmix.machine import CpuTimes, busy_cpus, cpu_times, share_cpus

START = CpuTimes(all=100.0, own=1.0, at=50.0)


def after(others, seconds=2.0, own=1.5):
    """CPU times some seconds later, in which other processes used `others` CPUs."""
    return CpuTimes(START.all + own + others * seconds, START.own + own, START.at + seconds)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr(machine, "num_cpus", lambda: 4)
    for name in ("OMP_NUM_THREADS", *machine.CHOSEN_BY_USER):
        monkeypatch.delenv(name, raising=False)
    yield
    os.environ.pop(machine.SPIN_COUNT, None)


@pytest.mark.parametrize("others", [0.0, 0.5, 3.0])
def test_time_of_other_processes_is_what_this_one_did_not_use(others):
    assert busy_cpus(START, after(others)) == pytest.approx(others)


def test_two_moments_too_close_to_tell_count_as_idle():
    assert busy_cpus(START, after(3.0, seconds=0.05)) == 0


def test_the_clocks_of_this_machine_advance():
    first = cpu_times()
    second = first
    while second.own == first.own or second.all == first.all:  # the system's clock has coarser ticks
        sum(range(10_000))
        second = cpu_times()
    assert second.at > first.at
    assert 0 <= busy_cpus(first, second) <= (os.cpu_count() or 1) + 1


@pytest.mark.parametrize(
    ("others", "threads", "is_crowded"),
    [(0.0, "", False), (0.4, "", False), (0.6, "", True), (4.0, "", True), (2.0, "2", False), (3.0, "2", True)],
)
def test_threads_spin_less_only_when_they_and_others_want_more_than_there_is(others, threads, is_crowded, monkeypatch):
    if threads:
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
    warning = share_cpus(START, after(others))
    assert (os.environ.get(machine.SPIN_COUNT) == str(machine.SHORT_SPIN)) == is_crowded
    assert ("of 4 CPUs busy" in warning) == is_crowded


def test_a_single_thread_waits_for_nobody(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert not share_cpus(START, after(4.0))
    assert machine.SPIN_COUNT not in os.environ


@pytest.mark.parametrize("name", machine.CHOSEN_BY_USER)
def test_what_the_user_chose_stays_and_the_warning_is_given(name, monkeypatch):
    monkeypatch.setenv(name, "passive")
    warning = share_cpus(START, after(4.0))
    assert os.environ.get(machine.SPIN_COUNT) == ("passive" if name == machine.SPIN_COUNT else None)
    assert "4.0 of 4 CPUs busy, and this one has 4 threads" in warning
    assert "OMP_NUM_THREADS=1 leaves room" in warning


@pytest.mark.slow
def test_a_command_that_computes_says_so_and_others_do_not(trained, song):
    script = (
        "import os, sys; from unmix import config, machine; machine.busy_cpus = lambda since, now: 9.0;"
        "command, *sys.argv[1:] = sys.argv[1:]; print(config.main(command), os.environ['GOMP_SPINCOUNT'])"
    )
    variables = {**os.environ, "OMP_NUM_THREADS": "2"}
    for arguments, expected in (
        (["separate", f"ckpt={trained}", f"input={song}"], True),
        (["export", f"ckpt={trained}", f"out={song.parent / 'weights'}"], False),
    ):
        command = [sys.executable, "-c", script, *arguments]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        assert done.stdout.split()[-2:] == ["0", str(machine.SHORT_SPIN)]
        assert ("other processes keep 9.0 of" in done.stdout + done.stderr) == expected


@pytest.fixture
def song(tmp_path):
    soundfile.write(tmp_path / "song.wav", np.full((22050, 2), 0.1), 44100)
    return tmp_path / "song.wav"
