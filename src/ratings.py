"""Read the results of a listening test: who is excluded, how each method was rated, which metrics agree with ears.

python src/listen.py ckpt=[A,B] format=webmushra               exports the test
python src/ratings.py results=mushra.csv key=outputs/listening-test/key.json
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("ratings"))
