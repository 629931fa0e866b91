"""python src/leaderboard.py: compares all runs, jobs and evaluations under paths.out."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from omegaconf import DictConfig

from unmix import errors, next_steps
from unmix.experiments import folder
from unmix.reports import leaderboard, leaderboard_page, live, ranking
from unmix.reports.leaderboard import Leaderboard, Row
from unmix.reports.serving import Server


@dataclass(frozen=True)
class LeaderboardJob:
    """A leaderboard that was read.

    Args:
        leaderboard, rows: what was read, and its sorted rows.
        path: of the files `<path>.csv`, `.md` and `.html`.
        sorted_by: the column that rows are sorted by; None is the result of each kind of row.
        server: serves the page; None if that is not wanted.
    """

    leaderboard: Leaderboard
    rows: list[Row]
    path: Path
    sorted_by: str | None
    server: Server | None = None

    def run(self) -> None:
        """Write the files and print the tables; then serve the page, if that is wanted, until a signal."""
        texts = {
            "csv": leaderboard.to_csv(self.rows),
            "md": leaderboard_page.to_markdown(self.rows),
            "html": leaderboard_page.to_html(self.leaderboard, self.rows, self.path.parent),
        }
        for ending, text in texts.items():
            folder.write_atomically(self.path.with_name(f"{self.path.name}.{ending}"), text)
        # last, because `| head` ends the command
        leaderboard_page.print_tables(self.leaderboard, self.rows, sorted_by=self.sorted_by)
        print(f"page: {self.path}.html; all columns: {self.path}.csv")  # noqa: T201
        if self.server is not None:
            self.server.run()
        else:
            print(next_steps.again("serve=true"))  # noqa: T201


def prepare(cfg: DictConfig) -> LeaderboardJob:
    """Read all runs, jobs and evaluations under `paths.out`.

    The files of a selection, by `name` or `group`, are named after it, so that those of all experiments stay.

    Raises:
        FileNotFoundError: when there are none.
        ValueError: when none matches `name` and `group`, no row has the column `sort`, or the port is taken.
    """
    out = Path(cfg.paths.out)
    chosen = {key: cfg[key] for key in ("name", "group") if cfg[key] is not None}
    read = leaderboard.collect(out, **chosen)
    if not read.rows and not read.damaged:
        _explain_nothing(cfg, out)
    words = [re.sub(r"[^\w.+-]", "_", value) for value in chosen.values()]
    path = out / "-".join(["leaderboard", *words])
    rows = ranking.sort_rows(read.rows, cfg.sort)

    def page() -> str:
        now = leaderboard.collect(out, **chosen)
        return leaderboard_page.to_html(now, ranking.sort_rows(now.rows, cfg.sort), out, is_served=True)

    server = Server(live.routes(page, out), cfg.port) if cfg.serve else None
    return LeaderboardJob(read, rows, path, cfg.sort, server)


def _explain_nothing(cfg: DictConfig, out: Path) -> NoReturn:
    """Raise the error for a leaderboard without rows: `name` or `group` matches nothing, or nothing was trained."""
    experiments = sorted({str(row["experiment"]) for row in leaderboard.collect(out).rows})
    if experiments and cfg.group is not None:
        raise ValueError(errors.unknown("group", cfg.group, experiments))
    if experiments and cfg.name is not None:
        names = sorted(set(map(leaderboard.name_of, experiments)))
        raise ValueError(f"{errors.unknown('name', cfg.name, names)}; a pattern such as '*{cfg.name}*' matches several")
    raise FileNotFoundError(f"paths.out: no run and no evaluation in {out}; train one, or name another folder")
