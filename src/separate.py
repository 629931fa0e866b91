"""Separate a song into stems that stand next to it."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("separate"))
