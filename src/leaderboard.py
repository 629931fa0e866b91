"""Every run and evaluation under paths.out, in one table."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("leaderboard"))
