"""python src/leaderboard.py: every run and evaluation under paths.out."""

from pathlib import Path

from omegaconf import DictConfig

from unmix.experiments import leaderboard


def check(cfg: DictConfig) -> None:
    """Refuse a folder with nothing in it, and an unknown column."""
    leaderboard.sort_rows(leaderboard.collect(Path(cfg.paths.out)), cfg.sort)


def run(cfg: DictConfig) -> None:
    """Print the table, and write leaderboard.csv."""
    leaderboard.show(Path(cfg.paths.out), cfg.sort)
