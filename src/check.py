"""Look at a data set before training on it."""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("check"))
