"""Compare all runs and evaluations below paths.out, in tables and one page.

python src/leaderboard.py sort=sdr.vocals
python src/leaderboard.py 'name=umx*' sort=val_loss
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("leaderboard"))
