"""A job that is stopped by the engine that runs it, as a search does with a trial that it prunes."""

from command_process import wait_until
from unmix.processes.jobs import Engine, Job
from unmix.reports.progress import INTERRUPTED

# Stands for a training: waits for SIGTERM, saves, and ends as one that was interrupted.
PROGRAM = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: (print("saved"), sys.exit(75)))
print("started", flush=True)
signal.pause()
"""


def stop_when_started(engine: Engine, job: Job) -> None:
    """Run a job of `PROGRAM`, stop it once it has begun, and check how it ends; closes the engine."""

    def step():
        engine.step(may_start=True)
        return job.task.log.exists() and "started" in job.task.log.read_text()

    def has_ended():
        engine.step(may_start=True)
        return job.exit_code is not None

    try:
        wait_until(step)
        job.stop()
        wait_until(has_ended)
    finally:
        engine.close()
    assert job.exit_code in INTERRUPTED
    assert not job.is_running
    assert "saved" in job.task.log.read_text()
