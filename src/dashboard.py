"""Build the W&B workspace that shows runs, sweeps, test scores and clips.

python src/dashboard.py                                       prints it
python src/dashboard.py entity=me save=true
"""

from unmix.config import main

if __name__ == "__main__":
    raise SystemExit(main("dashboard"))
