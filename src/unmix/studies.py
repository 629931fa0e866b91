"""Searches, as their command lines describe them, and their studies; does not import torch."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.trial import FrozenTrial

from unmix import checks, errors, next_steps
from unmix.composition import Command
from unmix.errors import counted
from unmix.identity import experiment_id, included
from unmix.search import study as study_file
from unmix.search.schedule import Brackets, Schedule, make_schedule
from unmix.search.settings import SearchSettings, from_node
from unmix.search.space import SearchSpace, read
from unmix.search.study import StudyFile, described

# Given first, so that the command line can replace them: the test tracks are for what is chosen, not for choosing.
DEFAULTS = ("evaluation.after_training=false",)
STATES = {"FAIL": "failed", "WAITING": "to be tried again"}  # Optuna's word for a state -> ours
PARALLEL = "hydra.sweeper.parallel"


@dataclass(frozen=True)
class Search:
    """A search, as its command line describes it.

    Args:
        command: the command line; its jobs have every end of every interval, and every choice.
        settings: how it is searched.
        space: what is searched.
        cfgs: configurations of the command's jobs.
        launcher: makes the engine that runs the jobs, and names the folder of the study.
    """

    command: Command
    settings: SearchSettings
    space: SearchSpace
    cfgs: list[DictConfig]
    launcher: Any

    @property
    def cfg(self) -> DictConfig:
        """Configuration of the first job, with the beginning of every interval."""
        return self.cfgs[0]

    @property
    def path(self) -> Path:
        """File of the study."""
        return self.launcher.sweep_dir / study_file.FILE

    @property
    def name(self) -> str:
        """Name of the study."""
        return self.launcher.sweep_dir.name

    def schedule(self, parallel: int) -> Schedule:
        """Order of the search, with so many trials under way."""
        return make_schedule(self.settings, int(self.cfg.trainer.max_epochs), parallel)

    @property
    def parallel(self) -> int | None:
        """Number of trials under way that the command line asks for; None leaves it to the launcher, or the pruner."""
        return None if isinstance(self.schedule(1), Brackets) else self.settings.parallel

    def record(self, parallel: int | None) -> dict[str, Any]:
        """What must stay the same in a study: setting -> value, without the values that are searched."""
        fixed = {key: value for key, value in _flat(included(self.cfg)) if key not in self.space.description}
        given = {key: getattr(self.settings, key) for key in ("objectives", "sampler", "seed", "pruner", "min_epochs")}
        content = {
            **fixed,
            **self.space.description,
            **{f"hydra.sweeper.{key}": value for key, value in given.items()},
            PARALLEL: parallel,
            "trainer.max_epochs": self.cfg.trainer.max_epochs,
            "target": OmegaConf.to_container(self.cfg).get("target"),  # type: ignore[union-attr]
            "seed": self.cfg.seed,
            "jobs of a trial": [" ".join(own) for own in self.space.repetitions],
        }
        normalised: dict[str, Any] = json.loads(json.dumps(content))
        return normalised


def command(command: Command, overrides: Sequence[str], prepare: Callable[[DictConfig], Any]) -> int:
    """Search, given a command line and the function that checks a command's configuration; return the exit code.

    Raises:
        ValueError: before anything is written, when the search, its study or one of its configurations is not allowed.
    """
    if command.config_name != "train":
        raise ValueError(
            f"hydra/sweeper: got optuna, which searches trainings, by src/train.py, not src/{command.config_name}.py"
        )
    settings = from_node(OmegaConf.to_container(command.hydra.sweeper, resolve=True))  # type: ignore[arg-type]
    space = read(settings.params, overrides)
    space = replace(space, fixed=(*DEFAULTS, *space.fixed))
    probes = replace(command, jobs=[job for values in space.probes for job in space.jobs(values)])
    cfgs = list(probes.compose_jobs())
    if not command.hydra.launcher._target_.startswith("hydra_plugins.unmix_"):
        raise ValueError(
            f"hydra/launcher: got {command.launcher}, which cannot run the jobs of a search; leave the launcher process"
        )
    launcher = instantiate(command.hydra.launcher, _convert_="all")
    if not getattr(launcher, "wait", True):
        raise ValueError("hydra.launcher.wait: got false, but a search waits for its jobs; leave it out")
    search = Search(probes, settings, space, cfgs, launcher)
    _check(search)
    trials = trials_of(search)
    if len(trials) == settings.n_trials and all(trial.state.is_finished() for trial in trials):
        summarize(search, trials)
        return 0
    return int(import_module("unmix.runs.search").run(search, prepare))


def _check(search: Search) -> None:
    """Check what a search needs beyond the configurations of its jobs; raises ValueError."""
    settings, cfg, schedule = search.settings, search.cfg, search.schedule(1)
    if "${now:" in str(OmegaConf.to_container(cfg, resolve=False)["sweep_name"]):  # type: ignore[index, call-overload]
        raise ValueError("sweep_name: needed for a search, as the name of its study: sweep_name=mystudy")
    checks.folder_name("sweep_name", cfg.sweep_name)
    if cfg.fresh:
        raise ValueError("fresh: got true, but a search goes on with its trials; take another sweep_name")
    if (cfg.callbacks or {}).get("metrics") is None:
        raise ValueError("callbacks.metrics: got null, but a search reads the file that it writes, metrics.csv")
    if isinstance(schedule, Brackets):
        schedule.check(settings.n_trials)
        shorter = cfg.copy()
        shorter.trainer.max_epochs = schedule.rungs[0]
        if experiment_id(shorter) != experiment_id(cfg):
            raise ValueError(
                f"hydra.sweeper.pruner: got {settings.pruner}, but the configuration depends on trainer.max_epochs, as "
                "scheduler=cosine does, so that no trial can go on to more epochs; take scheduler=plateau, or "
                "hydra.sweeper.pruner=median"
            )


def trials_of(search: Search) -> list[FrozenTrial]:
    """Trials of the study, none when there is no file.

    Raises:
        ValueError: when the study is not this search's, or has more trials than it.
    """
    if not search.path.exists():
        return []
    study = StudyFile(search.path, search.name)
    if study.record is None and study.trials:
        raise ValueError(f"{search.path}: was not made by a search of this project; take another sweep_name")
    former, now = study.record or {}, search.record(search.parallel)
    if search.parallel is None:
        now[PARALLEL] = former.get(PARALLEL)  # the number of jobs that the launcher ran at a time then
    keys = [key for key in {**former, **now} if former and former.get(key) != now.get(key)]
    if keys:
        differing = [f"{key}={former.get(key)}, now {now.get(key)}" for key in keys[: errors.MOST_REASONS]]
        raise ValueError(
            f"sweep_name: the study {search.name} was begun with {'; '.join(differing)}: "
            "keep what it was begun with, or take another sweep_name"
        )
    if len(study.trials) > search.settings.n_trials:
        raise ValueError(
            f"hydra.sweeper.n_trials: got {search.settings.n_trials}, the study {search.name} has {len(study.trials)} "
            "trials: it is the number in all, take as many or more"
        )
    return study.trials


def summarize(search: Search, trials: Sequence[FrozenTrial]) -> None:
    """Print the states of the trials, and the best."""
    states = Counter(STATES.get(trial.state.name, trial.state.name.lower()) for trial in trials)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    lines = [f"study {search.name}: {counted(len(trials), 'trial')}, {counts}"]
    for trial in study_file.best(trials, search.settings.is_better_high):
        values = described(dict(zip(search.settings.objectives, trial.values, strict=True)))
        lines += [f"best: trial {trial.number}, {values}: {' '.join(search.space.overrides(trial.params))}"]
        lines += [f"      {Path(search.cfg.paths.out) / 'runs' / run}" for run in trial.user_attrs[study_file.RUNS]]
    if len(trials) == search.settings.n_trials and all(trial.state.is_finished() for trial in trials):
        lines.append(next_steps.script("leaderboard", *next_steps.from_command_line("paths")))
    print("\n".join(lines))  # noqa: T201


def preview(search: Search, trials: Sequence[FrozenTrial]) -> None:
    """Print what a search would do."""
    settings, schedule = search.settings, search.schedule(1)
    done = sum(trial.state.is_finished() for trial in trials)
    rest = settings.n_trials - done
    jobs = len(search.space.repetitions)
    lines = [
        f"study {search.name} ({search.path}): {counted(settings.n_trials, 'trial')} of {counted(jobs, 'job')}, "
        f"{done} done, {len(trials) - done} to be continued, {rest - (len(trials) - done)} new; "
        "none started (dry_run=true)",
        f"objective {', '.join(settings.objectives)}; sampler {settings.sampler}; pruner {settings.pruner}",
        *([f"rungs of {', '.join(map(str, schedule.rungs))} epochs"] if isinstance(schedule, Brackets) else []),
        *(f"  {key}: {values}" for key, values in search.space.description.items()),
    ]
    print("\n".join(lines))  # noqa: T201


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted key and value of every setting of a configuration of plain containers."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
