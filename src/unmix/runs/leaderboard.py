"""python src/leaderboard.py: compares all runs, jobs and evaluations under paths.out."""

from dataclasses import dataclass
from pathlib import Path

from omegaconf import DictConfig

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
        ValueError: when no row has the column `sort`.
    """
    return LeaderboardJob(*_rows(cfg), Path(cfg.paths.out))


def _write(found: Leaderboard, rows: list[Row], out: Path) -> None:
    leaderboard_page.print_tables(found, rows)
    folder.write_atomically(out / "leaderboard.csv", leaderboard.to_csv(rows))
    folder.write_atomically(out / "leaderboard.md", leaderboard_page.to_markdown(rows))
    folder.write_atomically(out / "leaderboard.html", leaderboard_page.to_html(found, rows, out))
    print(f"page: {out / 'leaderboard.html'}")  # noqa: T201


def _rows(cfg: DictConfig) -> tuple[Leaderboard, list[Row]]:
    out = Path(cfg.paths.out)
    found = leaderboard.collect(out, cfg.name, cfg.group)
    if not found.rows and not found.damaged:
        which = ", ".join(f"{key}={cfg[key]}" for key in ("name", "group") if cfg[key] is not None)
        raise FileNotFoundError(
            f"paths.out: no run and no evaluation in {out}{f' with {which}' if which else ''}; "
            "train one, or name another folder"
        )
    by = cfg.sort or ("sdr" if any("sdr" in row for row in found.rows) else "val_loss")
    return found, leaderboard.sort_rows(found.rows, by)
