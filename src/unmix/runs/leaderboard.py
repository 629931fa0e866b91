"""python src/leaderboard.py: compares all runs, jobs and evaluations under paths.out."""

from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from unmix import errors
from unmix.experiments import folder
from unmix.reports import leaderboard, leaderboard_page
from unmix.reports.leaderboard import Leaderboard, Row


@dataclass(frozen=True)
class LeaderboardJob:
    """A leaderboard that was read, its sorted rows, and the folder to write it to."""

    leaderboard: Leaderboard
    rows: list[Row]
    out: Path

    def run(self) -> None:
        """Print the table; write leaderboard.csv, leaderboard.md and leaderboard.html."""
        _write(self.leaderboard, self.rows, self.out)


def prepare(cfg: DictConfig) -> LeaderboardJob:
    """Read all runs, jobs and evaluations under `paths.out`.

    Raises:
        FileNotFoundError: when there are none.
        ValueError: when none matches `name` and `group`, or no row has the column `sort`.
    """
    return LeaderboardJob(*_rows(cfg), Path(cfg.paths.out))


def _write(found: Leaderboard, rows: list[Row], out: Path) -> None:
    leaderboard_page.print_tables(found, rows)
    folder.write_atomically(out / "leaderboard.csv", leaderboard.to_csv(rows))
    folder.write_atomically(out / "leaderboard.md", leaderboard_page.to_markdown(rows))
    folder.write_atomically(out / "leaderboard.html", leaderboard_page.to_html(found, rows, out))
    print(f"page: {out / 'leaderboard.html'}")  # noqa: T201


def _explain_nothing(cfg: DictConfig, out: Path) -> NoReturn:
    """Raise the error for a leaderboard without rows: `name` or `group` matches nothing, or nothing was trained."""
    experiments = sorted({str(row["experiment"]) for row in leaderboard.collect(out).rows})
    if experiments and cfg.group is not None:
        raise ValueError(errors.unknown("group", cfg.group, experiments))
    if experiments and cfg.name is not None:
        names = sorted(set(map(leaderboard.name_of, experiments)))
        raise ValueError(f"{errors.unknown('name', cfg.name, names)}; a pattern such as '*{cfg.name}*' matches several")
    raise FileNotFoundError(f"paths.out: no run and no evaluation in {out}; train one, or name another folder")


def _rows(cfg: DictConfig) -> tuple[Leaderboard, list[Row]]:
    out = Path(cfg.paths.out)
    found = leaderboard.collect(out, cfg.name, cfg.group)
    if not found.rows and not found.damaged:
        _explain_nothing(cfg, out)
    by = cfg.sort or ("sdr" if any("sdr" in row for row in found.rows) else "val_loss")
    return found, leaderboard.sort_rows(found.rows, by)
