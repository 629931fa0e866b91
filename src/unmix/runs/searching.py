"""The loop of a search: chooses trials, runs their jobs by an engine, records results, stops what is pruned."""

from collections.abc import Callable, Sequence
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from unmix.checks import NO_LIMIT
from unmix.errors import counted
from unmix.processes.jobs import Engine, Job, last_line
from unmix.reports.progress import INTERRUPTED, Line, Progress
from unmix.runs import sweep
from unmix.runs.trials import TrialRuns, latest
from unmix.search.schedule import Schedule, Seen, Verdict
from unmix.search.settings import SearchSettings
from unmix.search.space import SearchSpace
from unmix.search.study import StudyFile

ENDED = {"pruned": TrialState.PRUNED, "complete": TrialState.COMPLETE}


class Searching:
    """A search under way; `update` is to be called several times per second.

    Args:
        study: its file.
        settings, space, schedule: what is searched.
        make_runs: makes the runs of a trial, given its number and values.
        engine: runs the jobs.
        sweep_dir: folder of the jobs' logs.
        fail_fast: whether a failed job ends the search, and leaves its trial to the next command.
    """

    def __init__(
        self,
        study: StudyFile,
        settings: SearchSettings,
        space: SearchSpace,
        schedule: Schedule,
        *,
        make_runs: Callable[..., TrialRuns],
        engine: Engine,
        sweep_dir: Path,
        fail_fast: bool,
    ) -> None:
        self.study, self.settings, self.space, self.schedule = study, settings, space, schedule
        self.make_runs, self.engine, self.sweep_dir, self.fail_fast = make_runs, engine, sweep_dir, fail_fast
        self.lines: list[Line] = []
        self.jobs: list[Job] = []
        total = settings.n_trials * len(space.repetitions)
        self.progress = Progress(self.lines, self.jobs, sweep_dir / "jobs.jsonl", total)
        self.started: dict[tuple[int, int], tuple[int, int | None]] = {}  # (trial, run) -> index of its job, epochs
        self.left: dict[int, str] = {}  # trials that are left to the next command, with the reason
        self.failed: dict[int, str] = {}  # trials that have ended, and that the next command tries again
        self.under_way: dict[int, TrialRuns] = {}
        for trial in study.trials:
            if not trial.state.is_finished():
                self.under_way[trial.number] = make_runs(trial.number, trial.params)
            if trial.state == TrialState.WAITING:
                study.begin_again(trial.number)

    def update(self) -> None:
        """Record results, choose trials and start their jobs, and show all of it."""
        for runs in self.under_way.values():
            runs.refresh()
        for number in sorted(self.under_way):
            self._advance(number)
        while self._may_choose():
            self._choose()
        self.progress.update()

    def _may_choose(self) -> bool:
        trials = self.study.trials
        known = self.schedule.known(len(trials))
        has_room = len(trials) < self.settings.n_trials and not self.left
        return has_room and not any(trial.number in self.under_way for trial in trials[:known])

    def _choose(self) -> None:
        number = len(self.study.trials)
        values = self.study.suggest(self.settings, self.space.dimensions, self.schedule.known(number))
        runs = self.make_runs(number, values)
        self.study.add(values, self.space.dimensions, runs.folders)
        self.under_way[number] = runs
        self._advance(number)

    def _advance(self, number: int) -> None:
        """Record what a trial has reached, then end it or train it further."""
        runs = self.under_way[number]
        if (reason := self._failure(runs)) is not None:
            if number not in self.left:
                self._fail(number, reason)
            return
        verdict = self._report(runs)
        if verdict.kind == "train":
            for index in range(len(runs.plans)):
                self._train(runs, index, verdict.epochs)
            return
        if not runs.curve:
            self._fail(number, f"{runs.folders[0]}/metrics.csv has no val/loss")
            return
        values = latest(runs.curve, verdict.epochs) if verdict.epochs else latest(runs.curve)
        after = f" after {counted(verdict.epochs, 'epoch')}" if verdict.epochs else ""
        self._end(number, ENDED[verdict.kind], values, f"{verdict.kind}{after}, {runs.described(values)}")

    def _report(self, runs: TrialRuns) -> Verdict:
        """Record the values of a trial by epoch, as far as they do not prune it; return what it is to do."""
        number = runs.number
        reported = max(self.study.trials[number].intermediate_values, default=0)
        verdict = self._verdict(number, reported)
        if len(self.settings.objectives) > 1:
            return verdict
        for epochs in sorted(epochs for epochs in runs.curve if epochs > reported):
            if (verdict.epochs or epochs) < epochs:
                break
            self.study.report(number, epochs, runs.curve[epochs][0])
            verdict = self._verdict(number, epochs)
        return verdict

    def _verdict(self, number: int, after: int) -> Verdict:
        return self.schedule.verdict(number, [self._seen(trial) for trial in self.study.trials], after)

    def _seen(self, trial: FrozenTrial) -> Seen:
        """What the schedule may see of a trial."""
        if trial.number not in self.under_way:
            has_failed = trial.state in (TrialState.FAIL, TrialState.WAITING)
            is_complete = trial.state == TrialState.COMPLETE
            return Seen(trial.intermediate_values, lambda _: True, has_failed, is_complete)
        runs = self.under_way[trial.number]
        return Seen({epochs: values[0] for epochs, values in runs.curve.items()}, runs.is_trained)

    def _fail(self, number: int, reason: str) -> None:
        """End a trial that has failed: for good if it diverged, which is a result, else until the next command."""
        runs = self.under_way[number]
        has_diverged = any(map(runs.has_diverged, range(len(runs.plans))))
        if self.fail_fast:
            self.left[number] = f"{reason}{' (retry=true tries again)' if has_diverged else ''}"
        elif has_diverged:
            self._end(number, TrialState.FAIL, None, f"failed: {reason}")
        else:
            self.failed[number] = reason
            self._end(number, TrialState.WAITING, None, f"failed: {reason}; the same command tries again")

    def _end(self, number: int, state: TrialState, values: Sequence[float] | None, text: str) -> None:
        self.study.end(number, state, values)
        runs = self.under_way.pop(number)
        for index in range(len(runs.plans)):
            if (job := self._job(number, index)) and not runs.is_run_trained(index, self.started[number, index][1]):
                job.stop()
        self.progress.console.print(f"{runs.label}: {text}", markup=False, soft_wrap=True)

    def _failure(self, runs: TrialRuns) -> str | None:
        """Why a trial has failed; None if it has not. What was interrupted has not, but is left to the next command."""
        for index, planned in enumerate(runs.plans):
            job = self._job(runs.number, index)
            if job is not None and (job.exit_code in INTERRUPTED or (job.exit_code or 0) < 0):
                self.left[runs.number] = f"{planned.run} was interrupted"
            elif job is not None and job.has_failed:
                written = planned.previous if runs.has_failed(index) else None
                return last_line(job.task.log) if written is None else written.reason
            elif job is None and runs.has_failed(index) and planned.previous is not None:
                return planned.previous.reason
        return None

    def _job(self, number: int, index: int) -> Job | None:
        """Job of a run of a trial; None before it was started."""
        started = self.started.get((number, index))
        return None if started is None else self.jobs[started[0]]

    def _train(self, runs: TrialRuns, index: int, epochs: int | None) -> None:
        """Start the job of a run, unless it is trained, under way, or has ended in this command."""
        planned, key = runs.planned(index, epochs), (runs.number, index)
        is_busy = any(job.task.run == planned.run and (job.is_running or job.is_waiting) for job in self.jobs)
        if runs.is_run_trained(index, epochs) or is_busy or self.left:
            return
        if key in self.started and self.started[key][1] == epochs:
            self.left[runs.number] = f"{planned.run} is not done; see {self.jobs[self.started[key][0]].task.log}"
            return
        of_all = f", {planned.run.name}" if len(runs.plans) > 1 else ""
        length = epochs if epochs is not None else planned.cfg.trainer.max_epochs
        number = runs.number * len(runs.plans) + index + 1
        line = Line(
            number, f"{runs.label}{of_all}", planned.run, None if length == NO_LIMIT else length, runs.parameters[index]
        )
        (job,) = self.engine.add([sweep.task(planned, runs.arguments(index, epochs), line, self.sweep_dir)])
        if key in self.started:
            position = self.started[key][0]
            self.lines[position], self.jobs[position] = line, job
        else:
            position = len(self.jobs)
            self.lines.append(line)
            self.jobs.append(job)
        self.started[key] = (position, epochs)
