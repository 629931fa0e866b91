"""Summarise the ratings of a listening test, and how far metrics agree with them.

python src/ratings.py results=mushra.csv key=outputs/listening-test/key.json
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("ratings"))
