"""Studies of hyperparameter searches, as rows of the leaderboard."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

# Objective of a search -> column of the leaderboard.
COLUMNS = {"val/loss": "val_loss", "val/sdr": "val_sdr", "parameters": "parameters"}
FAILED, STATES = "failed", {"FAIL": "failed", "WAITING": "failed"}  # WAITING: the same command tries again
FEWEST_TRIALS = 4  # complete ones, for importances


def read(path: Path) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Read a study: a row for each trial, the best first, and the importance of each setting, largest first.

    Importances are shares of 1, by PED-ANOVA; empty for fewer than four complete trials.

    Raises:
        ValueError: when the file is not a study, or Optuna is not installed.
    """
    try:
        import optuna

        from unmix.search import study as study_file
    except ModuleNotFoundError as error:
        raise ValueError("needs the package optuna, which is not installed: pip install 'unmix[optuna]'") from error
    name = path.parent.name
    opened = study_file.StudyFile(path, name)
    objectives = opened.objectives
    complete = [trial for trial in opened.trials if trial.state.name == "COMPLETE"]
    ranks = study_file.ranks(opened.trials, opened.is_better_high)
    rows = [_row(name, trial, objectives) | {"rank": ranks.get(trial.number)} for trial in opened.trials]
    importances: dict[str, float] = {}
    if len(complete) >= FEWEST_TRIALS:
        study = optuna.load_study(study_name=name, storage=opened.storage)
        importances = optuna.importance.get_param_importances(study)
    return sorted(rows, key=lambda row: (row["rank"] is None, row["rank"])), importances


def _row(name: str, trial: "FrozenTrial", objectives: Sequence[str]) -> dict[str, Any]:
    state = STATES.get(trial.state.name, trial.state.name.lower())
    runs = trial.user_attrs.get("runs", [])
    values = trial.values or [None] * len(objectives)
    return {
        "kind": "trial",
        "run": f"{name}/{trial.number}",
        "state": state,
        "study": name,
        "experiment": runs[0].partition("/")[0] if runs else "",
        **{COLUMNS.get(objective, objective): value for objective, value in zip(objectives, values, strict=True)},
        **({"reason": f"see {', '.join(runs)}"} if state == FAILED else {}),
        **{key.lstrip("+"): value for key, value in trial.params.items()},
    }
