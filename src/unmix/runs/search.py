"""The run of a search: `python src/train.py search=umx sweep_name=mystudy`.

Hydra's own Optuna plugin is not used: its studies cannot go on after a kill, choose trials while others run, or prune.
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from hydra.core.utils import configure_log
from omegaconf import DictConfig

from unmix import errors
from unmix.errors import counted
from unmix.experiments.hold import check_writable, explained_when_full, hold
from unmix.plans import plan
from unmix.processes import jobs as jobs_of_sweep
from unmix.processes.jobs import Engine
from unmix.runs.build import fetch, make_datamodule
from unmix.runs.searching import Searching
from unmix.runs.trials import TrialRuns
from unmix.search import study as study_file
from unmix.search.study import StudyFile, described
from unmix.studies import PARALLEL, Search, preview, summarize, trials_of


def run(search: Search, prepare: Callable[[DictConfig], Any]) -> int:
    """Run a search whose command line is checked; return the exit code.

    Args:
        search: the search.
        prepare: checks a job's configuration, with its model and data.
    Raises:
        ValueError: before anything is written, when a configuration is not allowed.
    """
    configure_log(search.command.hydra.job_logging, search.command.hydra.verbose)
    check_writable(search.launcher.sweep_dir)
    for _ in search.command.each(range(len(search.cfgs)), lambda number: prepare(search.cfgs[number])):
        pass
    engine = search.launcher.engine([plan(cfg) for cfg in search.cfgs])
    if search.cfg.dry_run:
        engine.close()
        preview(search, trials_of(search))
        return 0
    return _run(search, engine)


def _run(search: Search, engine: Engine) -> int:
    """Run a search that has been checked; return the exit code."""

    def kept() -> str:
        ended = sum(trial.state.is_finished() for trial in trials_of(search))
        num_trials = counted(search.settings.n_trials, "trial")
        return f"{ended} of {num_trials} of {search.name} are done; the same command goes on"

    name = f"search {search.name}"
    folder = search.launcher.sweep_dir
    with explained_when_full(folder), hold(folder, name, on_busy=search.cfg.on_busy, kept=kept) as held:
        if held is None:
            engine.close()
            return 0
        searching = _begin(search, engine)
        with searching.progress:
            jobs_of_sweep.run(engine, searching.jobs, fail_fast=False, tick=searching.update)
        trials = searching.study.trials
        is_done = len(trials) == search.settings.n_trials and not searching.under_way and not searching.failed
        held.update(state="done" if is_done else "interrupted")
    summarize(search, trials)
    if unfinished := {**searching.failed, **searching.left}:
        reasons = [f"trial {number}: {reason}" for number, reason in sorted(unfinished.items())]
        text = errors.failed_jobs("train", reasons, len(trials), "trial")
        print(f"{text}; the same command {'tries again' if searching.failed else 'goes on'}", file=sys.stderr)  # noqa: T201
    return 0 if is_done else 1


def _begin(search: Search, engine: Engine) -> Searching:
    """Open the study of a search, whose folder this process holds, and fetch the data."""
    study_file.repair(search.path)
    trials_of(search)  # checks again what another process may have written meanwhile
    study = StudyFile(search.path, search.name)
    study.begin(search.record(search.parallel or engine.slots), search.settings)
    assert study.record is not None
    if not search.launcher.is_elsewhere:
        fetch(make_datamodule(search.cfg.data))
    return Searching(
        study,
        search.settings,
        search.space,
        search.schedule(study.record[PARALLEL]),
        make_runs=partial(_runs, search),
        engine=engine,
        sweep_dir=search.launcher.sweep_dir,
        fail_fast=search.launcher.fail_fast,
    )


def _runs(search: Search, number: int, values: Mapping[str, Any]) -> TrialRuns:
    """Make the runs of a trial."""
    return TrialRuns(
        number,
        search.space.jobs(values),
        f"trial {number}, {described(values)}",
        config_dir=search.command.config_dir,
        objectives=search.settings.objectives,
    )
