import signal
import sys

import pytest

from unmix.processes import jobs as jobs_module
from unmix.processes import signals
from unmix.processes.jobs import Task
from unmix.processes.pool import ProcessPool


def make_task(tmp_path, code, needed=True, log="job.log"):
    return Task([sys.executable, "-c", code], tmp_path, tmp_path / log, {}, lambda: needed)


def make_pool(tasks, slots=2):
    """Return a pool, and its jobs."""
    pool = ProcessPool(slots, lambda slot: {"SLOT": str(slot)})
    return pool, pool.add(tasks)


def run(tasks, fail_fast=False, **options):
    """Run jobs to their end, and return them."""
    pool, jobs = make_pool(tasks, **options)
    jobs_module.run(pool, jobs, fail_fast=fail_fast, tick=lambda: None)
    return jobs


def test_at_most_as_many_jobs_run_at_once_as_there_are_slots(tmp_path):
    code = "import os, time\nwhile not os.path.exists({!r}):\n    time.sleep(.01)\nprint('slot', os.environ['SLOT'])"
    tasks = [make_task(tmp_path, code.format(str(tmp_path / f"go-{i}")), log=f"{i}.log") for i in range(4)]
    pool, jobs = make_pool(tasks)
    most = 0

    def tick():
        """Let jobs end once they run side by side, or nobody is left who could join."""
        nonlocal most
        running = [i for i, job in enumerate(jobs) if job.is_running]
        most = max(most, len(running))
        if len(running) == 2 or not any(job.is_waiting for job in jobs):
            for i in running:
                (tmp_path / f"go-{i}").touch()

    jobs_module.run(pool, jobs, fail_fast=False, tick=tick)
    assert most == 2
    assert [job.exit_code for job in jobs] == [0] * 4
    assert {(tmp_path / f"{number}.log").read_text() for number in range(4)} == {"slot 0\n", "slot 1\n"}


def test_a_failed_job_stops_the_rest_only_with_fail_fast(tmp_path):
    tasks = [make_task(tmp_path, "raise SystemExit(3)"), *(make_task(tmp_path, "") for _ in range(3))]
    assert [job.exit_code for job in run(tasks, slots=1)] == [3, 0, 0, 0]
    assert [job.exit_code for job in run(tasks, slots=1, fail_fast=True)] == [3, None, None, None]


def test_a_job_that_is_no_longer_needed_is_not_started(tmp_path):
    jobs = run([make_task(tmp_path, "", needed=False), make_task(tmp_path, "")])
    assert [job.was_skipped for job in jobs] == [True, False]
    assert jobs[0].process is None


def test_a_signal_is_passed_on_to_the_running_jobs_and_their_end_awaited(tmp_path):
    code = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(75)); print('up', flush=True); time.sleep(60)"
    )
    pool, jobs = make_pool([make_task(tmp_path, code)] * 3)
    (tmp_path / "job.log").touch()
    sent = []

    def tick():
        if not sent and (tmp_path / "job.log").read_text().count("up") == 2:
            sent.append(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)

    with signals.handled(), pytest.raises(signals.Interrupted) as ended:
        jobs_module.run(pool, jobs, fail_fast=False, tick=tick)
    assert ended.value.code == 75
    assert [job.exit_code for job in jobs] == [75, 75, None]


def test_a_second_signal_kills_the_jobs(tmp_path):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    pool, jobs = make_pool([make_task(tmp_path, code)])
    (tmp_path / "job.log").touch()

    def tick():
        if "up" in (tmp_path / "job.log").read_text():
            signal.raise_signal(signal.SIGTERM)

    with signals.handled(), pytest.raises(signals.Interrupted):
        jobs_module.run(pool, jobs, fail_fast=False, tick=tick)
    assert jobs[0].exit_code == -signal.SIGKILL


def test_a_job_that_is_added_while_others_run_is_run_too(tmp_path):
    pool, jobs = make_pool([make_task(tmp_path, "")])

    def tick():
        if len(jobs) < 3 and jobs[-1].exit_code == 0:
            jobs.extend(pool.add([make_task(tmp_path, "")]))

    jobs_module.run(pool, jobs, fail_fast=False, tick=tick)
    assert [job.exit_code for job in jobs] == [0, 0, 0]
