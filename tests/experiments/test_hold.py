"""One process holds a folder; others wait, skip or fail, and a dead process holds nothing."""

import errno
import json
import os
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from command_process import PATIENCE, wait_until
from unmix.experiments import hold as module
from unmix.experiments import status, watch
from unmix.experiments.hold import Busy, hold, move_aside
from unmix.experiments.status import Status
from unmix.processes.signals import Interrupted

HOLDER = """
import sys
from pathlib import Path
from unmix.experiments.hold import hold
with hold(Path(sys.argv[1]), "e") as held:
    print("held", flush=True)
    sys.stdin.readline()
    held.update(state="done")
"""


def holder(path):
    """Another process that holds the folder until its input ends."""
    command = [sys.executable, "-c", HOLDER, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    return process


@pytest.fixture
def busy(tmp_path):
    process = holder(tmp_path / "run")
    yield tmp_path / "run"
    process.kill()
    process.wait()


def test_the_status_records_how_the_block_ended(tmp_path):
    with hold(tmp_path, "e") as held:
        assert status.read(tmp_path).state == "running"
        assert status.read(tmp_path).pid == os.getpid()
        held.update(state="done", epoch=3)
    assert (status.read(tmp_path).state, status.read(tmp_path).epoch) == ("done", 3)
    with pytest.raises(ValueError, match="no good"), hold(tmp_path, "e"):
        raise ValueError("no good")
    assert (status.read(tmp_path).state, status.read(tmp_path).reason) == ("failed", "no good")
    with pytest.raises(Interrupted), hold(tmp_path, "e"):
        raise Interrupted(15)
    assert (status.read(tmp_path).state, status.read(tmp_path).reason) == ("interrupted", "SIGTERM")
    with hold(tmp_path, "e"):
        pass
    assert status.read(tmp_path).state == "interrupted"


def test_the_next_attempt_adds_to_the_time_of_those_before(tmp_path):
    status.write(tmp_path, Status("e", "interrupted", started=100.0, heartbeat=160.0, earlier=30.0))
    with hold(tmp_path, "e") as held:
        held.update(state="done")
    assert status.read(tmp_path).earlier == 90
    status.write(tmp_path, Status("e", "interrupted", started=100.0, heartbeat=160.0, earlier=None))
    with hold(tmp_path, "e"):
        assert status.read(tmp_path).seconds is None


def test_a_held_folder_is_refused_or_skipped(busy):
    with (
        pytest.raises(Busy, match=r"is held by process \d+ on .*; on_busy=wait waits"),
        hold(busy, "e", on_busy="fail"),
    ):
        pass
    with hold(busy, "e", on_busy="skip") as held:
        assert held is None
    with pytest.raises(Busy, match="stop that one first"):
        move_aside(busy)


def test_a_held_folder_is_waited_for(tmp_path, monkeypatch):
    process = holder(tmp_path)
    waits, seen = [], []

    def wait(seconds):
        waits.append(seconds)
        process.communicate(timeout=PATIENCE)  # its input ends, and it

    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=wait))
    with hold(tmp_path, "e", wanted=lambda previous: seen.append(previous.state)) as held:
        assert held is None  # `append` returns None, which is falsy: no work
    assert seen == ["done"]
    assert waits == [module.POLL_SECONDS]
    assert process.returncode == 0


def test_a_killed_process_holds_nothing(tmp_path):
    process = holder(tmp_path)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # gone but a zombie, as a launcher's child may be
    with hold(tmp_path, "e", on_busy="fail") as held:
        assert held is not None
        held.update(state="done")
    process.wait()


def test_another_process_with_a_reused_id_is_not_the_holder(tmp_path):
    gone = status.running_here("e").beat(pid_started=1.0)
    status.write(tmp_path, gone)
    assert not gone.is_alive()


def test_on_another_machine_a_recent_heartbeat_means_alive():
    remote = status.running_here("e").beat(host="elsewhere")
    assert remote.is_alive()
    silent = status.Status(**{**remote.__dict__, "heartbeat": remote.heartbeat - status.SILENT_SECONDS - 1})
    assert not silent.is_alive()


def test_the_heartbeat_is_updated_while_the_folder_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.05)
    with hold(tmp_path, "e") as held:
        first = status.read(tmp_path).heartbeat
        wait_until(lambda: status.read(tmp_path).heartbeat > first)
        held.update(state="done")


def test_of_many_at_once_one_gets_the_folder(tmp_path):
    got, skipped = [], threading.Semaphore(0)

    def attempt():
        with hold(tmp_path, "e", on_busy="skip") as held:
            if held is None:
                skipped.release()
            else:
                got.append(held)
                assert all(skipped.acquire(timeout=PATIENCE) for _ in range(7))
                held.update(state="done")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_the_folder_of_another_experiment_is_refused(tmp_path):
    status.write(tmp_path, status.running_here("other").beat(state="done"))
    with pytest.raises(ValueError, match="belongs to other, this configuration is e: "), hold(tmp_path, "e"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 1}', '{"schema": "x"}'])
def test_a_damaged_status_is_refused_and_moved_aside_on_request(tmp_path, text):
    run = tmp_path / "run"
    run.mkdir()
    (run / "status.json").write_text(text)
    with pytest.raises(ValueError, match=r"status.json: damaged .*fresh=true"), hold(run, "e"):
        pass
    assert move_aside(run) == tmp_path / "old" / "run-1"
    assert not run.exists()
    assert move_aside(run) is None


def test_a_status_of_a_newer_version_is_refused(tmp_path):
    status.write(tmp_path, status.running_here("e"))
    content = json.loads((tmp_path / "status.json").read_text())
    (tmp_path / "status.json").write_text(json.dumps({**content, "schema": 99}))
    with pytest.raises(ValueError, match="has schema 99, this version reads up to 1: update unmix"):
        status.read(tmp_path)


def test_runs_moved_aside_do_not_overwrite_each_other(tmp_path):
    for number in (1, 2):
        (tmp_path / "run").mkdir()
        assert move_aside(tmp_path / "run") == tmp_path / "old" / f"run-{number}"


def test_an_unknown_on_busy_is_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"on_busy: got 'wiat', .*did you mean 'wait'"),
        hold(tmp_path, "e", on_busy="wiat"),
    ):
        pass


class Clock:
    """A clock that only moves when somebody sleeps; another machine writes heartbeats meanwhile, by its own clock.

    Args:
        path: folder that the other machine's process holds.
        skew: seconds by which the other machine's clock is late.
        dies_after: seconds after which it writes no more.
    """

    def __init__(self, path, skew, dies_after):
        self.path, self.skew, self.dies_after, self.now = path, skew, dies_after, 1e6
        self.beat()

    def beat(self):
        remote = status.running_here("e").beat(host="elsewhere", pid=1)
        status.write(self.path, status.Status(**{**remote.__dict__, "heartbeat": self.now - self.skew}))

    def sleep(self, seconds):
        self.now += seconds
        if self.now % module.HEARTBEAT_SECONDS == 0 and self.now - 1e6 <= self.dies_after:
            self.beat()

    def time(self):
        return self.now

    monotonic = time


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Starts a `Clock`, which is the only one from then on."""

    def begin(skew, dies_after):
        clock = Clock(tmp_path, skew, dies_after)
        for place in (module, watch, status):
            monkeypatch.setattr(place, "time", clock)
        return clock

    return begin


@pytest.mark.parametrize("skew", [0, 3600, -3600])
def test_a_process_on_a_machine_whose_clock_differs_holds_its_folder(elsewhere, tmp_path, skew):
    clock = elsewhere(skew, dies_after=10_000)
    with pytest.raises(Busy, match="held by process 1 on elsewhere"), hold(tmp_path, "e", on_busy="fail"):
        pass
    with hold(tmp_path, "e", on_busy="skip") as held:
        assert held is None
    with pytest.raises(Busy, match="stop that one first"):
        move_aside(tmp_path)
    assert clock.now - 1e6 <= 200


@pytest.mark.parametrize("skew", [0, 3600, -3600])
def test_a_process_that_died_on_a_machine_whose_clock_differs_loses_its_folder(elsewhere, tmp_path, skew):
    clock = elsewhere(skew, dies_after=120)
    with hold(tmp_path, "e") as held:
        held.update(state="done")
    assert 120 < clock.now - 1e6 <= 120 + status.SILENT_SECONDS + watch.WATCH_SECONDS + 1


class FullFile:
    """A file on a disk without space: it can be made, but nothing can be written."""

    def __init__(self, **_):
        self.write = self.flush = self._refuse

    def _refuse(self, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


def test_a_full_disk_is_named_before_anything_is_written(tmp_path, monkeypatch):
    module.check_writable(tmp_path / "out")
    monkeypatch.setattr(module, "TemporaryFile", FullFile)
    with pytest.raises(OSError, match=f"paths.out: {tmp_path}/out cannot be made, as {tmp_path} is full; name"):
        module.check_writable(tmp_path / "out")


def test_a_disk_that_becomes_full_is_named_and_other_errors_are_left_alone(tmp_path):
    message = r"paths.out: no space left for .* \(No space .*\); free some, and the same command goes on"
    with pytest.raises(OSError, match=message), module.explained_when_full(tmp_path):
        FullFile().write(b"")
    with pytest.raises(FileNotFoundError, match="no-such-file"), module.explained_when_full(tmp_path):
        (tmp_path / "no-such-file").read_bytes()
