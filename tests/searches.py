"""Searches whose trainings are pretended: jobs write status.json and metrics.csv in this process, epoch by epoch."""

import math
import os
import signal
from functools import partial
from importlib import import_module
from pathlib import Path

import optuna
import pytest
from hydra.core.plugins import Plugins
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from unmix.experiments import status
from unmix.experiments.folder import write_atomically
from unmix.processes import jobs
from unmix.processes.jobs import Engine, Job

SPACE = ["optimizer.lr=tag(log,interval(1e-4,1e-1))", "model.hidden_size=choice(16,32)"]
COLUMNS = "epoch,step,val/loss,val/sdr\n"
FAILING = 0.08  # learning rate from which on a training diverges
TOO_LARGE = math.inf  # hidden size from which on there is no memory for the second epoch


def loss(arguments, epoch):
    """Loss of a pretended training after an epoch: a bowl around lr=0.003, which falls."""
    learning_rate, size = float(arguments["optimizer.lr"]), int(arguments["model.hidden_size"])
    offset = {"drums": 1.0, "bass": 3.0}.get(arguments.get("target"), 0.0)
    return (math.log10(learning_rate / 0.003)) ** 2 + 1 / size + offset + 1 / epoch


class PretendedJob(Job):
    def __init__(self, task, pace):
        super().__init__(task)
        self.code, self.is_on, self.pace, self.steps = None, False, pace, 0
        self.arguments = dict(word.partition("=")[::2] for word in task.command[2:])
        self.arguments["trainer.max_epochs"] = int(self.arguments["trainer.max_epochs"])

    is_running = property(lambda self: self.is_on)
    exit_code = property(lambda self: self.code)
    pid = property(lambda self: os.getpid())

    def begin(self):
        self.is_on = True
        before = status.read(self.task.run)
        self.epoch = 0 if before is None else before.epoch
        self.status = status.running_here(self.task.environment["UNMIX_EXPERIMENT"])
        self.write(state="running", epoch=self.epoch)

    def step(self):
        """Train an epoch, or end."""
        self.steps += 1
        if self.steps % self.pace:
            return None
        if float(self.arguments["optimizer.lr"]) >= FAILING:
            return self.end(1, state="failed", reason="val/loss is nan after step 1", diverged=True, step=1)
        if int(self.arguments["model.hidden_size"]) >= TOO_LARGE and self.epoch == 1:
            return self.end(1, state="failed", reason="out of memory")
        if self.epoch >= self.arguments["trainer.max_epochs"]:
            return self.end(0, state="done", length={"max_epochs": self.epoch, "max_steps": -1, "max_time": None})
        table = self.task.run / "metrics.csv"
        rows = table.read_text().splitlines(keepends=True) if table.exists() else [COLUMNS]
        value = loss(self.arguments, self.epoch + 1)
        row = f"{self.epoch},{self.epoch + 1},{value:.9g},{-value:.9g}\n"
        write_atomically(table, "".join([*rows[: self.epoch + 1], row]))
        self.epoch += 1
        return self.write(epoch=self.epoch, step=self.epoch)

    def write(self, **changes):
        self.task.run.mkdir(parents=True, exist_ok=True)
        self.status = self.status.beat(**changes)
        status.write(self.task.run, self.status)

    def end(self, code, **changes):
        self.write(**changes)
        self.code, self.is_on = code, False

    def stop(self):
        if self.is_on:
            self.end(75, state="interrupted")


class PretendedEngine(Engine):
    """Engine of pretended trainings; every second one takes `pace` times as long."""

    def __init__(self, slots, pace):
        super().__init__(slots)
        self.pace, self.jobs = pace, []

    def add(self, tasks):
        added = [PretendedJob(task, self.pace if (len(self.jobs) + i) % 2 else 1) for i, task in enumerate(tasks)]
        self.jobs += added
        return added

    def step(self, *, may_start):
        for job in [job for job in self.jobs if job.is_running]:
            job.step()
        for job in self.jobs if may_start else ():
            if job.is_waiting and sum(each.is_running for each in self.jobs) < self.slots:
                job.begin()

    def interrupt(self, signum, tick):
        for job in self.jobs:
            job.stop()
        tick()

    def close(self):
        """Nothing is to be released."""


def pretend_slowly():
    """Have trainings of this process pretended, ten epochs a second."""
    pretend(pytest.MonkeyPatch().setattr, pace=3)
    jobs.TICK_SECONDS = 0.1


def pretend(setattr_, *, slots=2, pace=1, engines=None):
    """Have trainings pretended; `setattr_` is a monkeypatch's. Engines that are made are appended to `engines`."""

    def engine(self, plans):
        made = PretendedEngine(slots, pace)
        if engines is not None:
            engines.append(made)
        return made

    Plugins.instance()  # imports the launchers anew
    setattr_(import_module("hydra_plugins.unmix_launchers").ProcessLauncher, "engine", engine)
    setattr_(jobs, "TICK_SECONDS", 0.0)


def pretend_and_die(count, is_torn):
    """Have trainings pretended, and kill this process as it writes line `count` of the study, or half of it."""
    pretend(pytest.MonkeyPatch().setattr)
    append, left = JournalFileBackend.append_logs, [count]

    def appending(self, logs):
        append(self, logs)
        left[0] -= 1
        if left[0] == 0:
            if is_torn:
                os.truncate(self._file_path, Path(self._file_path).stat().st_size - 20)
            os.kill(os.getpid(), signal.SIGKILL)

    JournalFileBackend.append_logs = appending


def partial_kill(count, *, is_torn):
    """Function to be called in a process, which has it killed; see `pretend_and_die`."""
    return partial(pretend_and_die, count, is_torn)


def table(out, name="mystudy"):
    """Trials of a study as Optuna reads them: number, state, values, parameters, values by epoch."""
    path = Path(out) / "sweeps" / name / "study.log"
    study = optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))
    return [
        (trial.number, trial.state.name, trial.values, trial.params, trial.intermediate_values, trial.user_attrs)
        for trial in study.trials
    ]
