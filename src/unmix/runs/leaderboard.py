"""python src/leaderboard.py: every run, job and evaluation under paths.out."""

from pathlib import Path

from omegaconf import DictConfig

from unmix.experiments import folder, leaderboard, leaderboard_page
from unmix.experiments.leaderboard import Leaderboard, Row


def check(cfg: DictConfig) -> None:
    """Nothing: `run` refuses what cannot be before it writes, and reading all twice would take twice as long."""


def run(cfg: DictConfig) -> None:
    """Print the table; write leaderboard.csv, leaderboard.md and leaderboard.html."""
    found, rows = _rows(cfg)
    out = Path(cfg.paths.out)
    leaderboard_page.print_board(found, rows)
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
