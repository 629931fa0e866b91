"""Build the W&B workspace that shows runs, sweeps, test scores and clips."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("dashboard"))
