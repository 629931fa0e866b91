"""Train one target of an experiment; -m sweeps, the same command again continues."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("train"))
