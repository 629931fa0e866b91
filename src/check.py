"""Check a data set before training on it: what was found, and what is wrong.

python src/check.py data=musdb18hq data.root=/path/to/musdb18hq
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("check"))
